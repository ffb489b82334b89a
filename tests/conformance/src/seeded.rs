//! Random cases that can be repeated.

use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const SEED: &str = "SEED";

/// Takes its seed from the variable `SEED` if that is set, and prints it.
#[expect(clippy::print_stdout, reason = "a failing test shows the seed")]
pub fn seeded(cases: u32) -> TestRunner {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    let seed: u64 = given.unwrap_or_else(|| RandomState::new().hash_one(SEED));
    println!("{SEED}={seed}");
    let bytes = [seed.to_le_bytes(); 4].concat();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::with_cases(cases), rng)
}
