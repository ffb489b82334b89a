//! What went wrong, for a person to act on.

use std::fmt;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong and where, what to do about it, and the last lines the
/// program concerned printed.
pub struct Error {
    what: String,
    advice: Option<&'static str>,
    output: Vec<String>,
}

impl Error {
    /// An error that says what went wrong and where.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            advice: None,
            output: Vec::new(),
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn advice(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }

    /// Adds the last lines the program concerned printed.
    #[must_use]
    pub fn output(mut self, lines: Vec<String>) -> Self {
        self.output = lines;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(advice) = self.advice {
            write!(f, "\n{advice}")?;
        }
        if !self.output.is_empty() {
            f.write_str("\nIts last lines:")?;
        }
        for line in &self.output {
            write!(f, "\n  | {line}")?;
        }
        Ok(())
    }
}

/// As [`fmt::Display`], since a failed test shows this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
