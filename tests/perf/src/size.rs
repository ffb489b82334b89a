use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::{Error, Result};

/// In bytes.
#[derive(Debug, Clone, Copy)]
pub struct BinarySize {
    pub plain: usize,
    /// Deflated at the level that `sam` and `cargo lambda` use. A zip file's headers add
    /// about a hundred bytes.
    pub zipped: usize,
}

impl BinarySize {
    pub fn measure(binary: &Path) -> Result<Self> {
        let failed = || Error::io(format!("{} could not be read", binary.display()));
        let content = std::fs::read(binary).map_err(failed())?;
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        let zipped = deflate
            .write_all(&content)
            .and_then(|()| deflate.finish())
            .map_err(failed())?;
        Ok(Self {
            plain: content.len(),
            zipped: zipped.len(),
        })
    }
}
