//! rule
fn main() {}
