use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;

pub fn read<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("cases")
        .join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

pub fn user_files() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("cases")
        .join("users");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| format!("users/{}", entry.unwrap().file_name().display()))
        .collect();
    names.sort();
    names
}

/// Collects the failures of all cases, so that one run shows all of them.
#[derive(Default)]
pub struct Failures(Vec<String>);

impl Failures {
    pub fn check<T: PartialEq + std::fmt::Debug>(
        &mut self,
        case: &str,
        what: &str,
        actual: &T,
        expected: &T,
    ) {
        if actual != expected {
            self.0.push(format!(
                "{case}\n    {what}: is {actual:?}\n    {what}: must be {expected:?}"
            ));
        }
    }

    pub fn report(self, cases: usize) {
        println!("{cases} cases, {} failures", self.0.len());
        assert!(self.0.is_empty(), "\n\n{}\n", self.0.join("\n\n"));
    }
}
