//! Why nothing could be measured.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why nothing could be measured.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no such binary.
    #[error("{0} is not there; `make bench` builds it")]
    NotBuilt(PathBuf),
    /// A server, a process or a file of the measurement failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A function did not do what it was asked to.
    #[error("{function} {what}; its last words are in {}", .log.display())]
    Function {
        /// The function.
        function: &'static str,
        /// What it did instead.
        what: String,
        /// Where its output is.
        log: PathBuf,
    },
}

/// The result of what may fail for an [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of the operating system while doing something.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
