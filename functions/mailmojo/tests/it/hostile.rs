//! No answer kills the function.

use std::path::Path;

use performance::{Connector, hostile};

#[test]
fn no_answer_takes_more_memory_than_the_function_has() {
    let binary = Path::new(env!("CARGO_BIN_EXE_mailmojo"));
    let peaks = hostile::endure(Connector::Mailmojo, binary).unwrap();
    let over = peaks.iter().filter(|(_, peak)| *peak > hostile::MEMORY);
    assert_eq!(over.collect::<Vec<_>>(), [] as [&(String, u64); 0]);
}
