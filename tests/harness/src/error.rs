use std::fmt;

pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong and where, advice, and the last lines that the failed program
/// printed.
pub struct Error {
    what: String,
    advice: Option<&'static str>,
    output: Vec<String>,
}

impl Error {
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            advice: None,
            output: Vec::new(),
        }
    }

    #[must_use]
    pub fn advice(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }

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

/// A failed test prints this form, so it is the same as [`fmt::Display`].
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
