//! Random cases that can be repeated.

use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const SEED: &str = "SEED";

/// In milliseconds. A case that fails is made smaller for no longer.
const MAX_SHRINK_TIME: u32 = 5_000;

/// Takes its seed from the variable `SEED` if that is set, and prints it.
#[expect(clippy::print_stdout, reason = "a failing test shows the seed")]
pub fn seeded(cases: u32) -> TestRunner {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    let seed: u64 = given.unwrap_or_else(|| RandomState::new().hash_one(SEED));
    println!("{SEED}={seed}");
    let bytes = [seed.to_le_bytes(); 4].concat();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        max_shrink_time: MAX_SHRINK_TIME,
        ..Config::with_cases(cases)
    };
    TestRunner::new_with_rng(config, rng)
}
