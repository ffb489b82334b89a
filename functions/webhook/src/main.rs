//! webhook
mod authentication;
mod timestamp;
mod webhook;
fn main() {}
