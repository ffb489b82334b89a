//! Random cases that can be had again.

use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The variable that names the seed to repeat.
const SEED: &str = "SEED";

/// A runner of so many random cases. Its seed is printed, and taken from the
/// variable `SEED` where that is set.
#[expect(clippy::print_stdout, reason = "a test that fails shows it")]
pub fn seeded(cases: u32) -> TestRunner {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    let seed: u64 = given.unwrap_or_else(|| RandomState::new().hash_one(SEED));
    println!("{SEED}={seed}");
    let bytes = [seed.to_le_bytes(); 4].concat();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::with_cases(cases), rng)
}
