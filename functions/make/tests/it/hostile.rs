//! No answer of an API makes the function run out of memory.

use std::path::Path;

use perf::{ConnectorKind, hostile};

#[test]
fn no_answer_takes_more_memory_than_the_function_has() {
    let binary = Path::new(env!("CARGO_BIN_EXE_make"));
    let peaks = hostile::memory_peaks(ConnectorKind::Make, binary).unwrap();
    let over = peaks.iter().filter(|(_, peak)| *peak > hostile::MAX_MEMORY);
    assert_eq!(over.collect::<Vec<_>>(), [] as [&(String, u64); 0]);
}
