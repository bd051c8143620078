//! The error for a value that a format cannot represent.

use std::path::Path;

use crate::error::Error;

/// A value that cannot be written or cropped; the caller adds file and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Mismatch {
    pub(crate) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
        }
    }

    pub(crate) fn at(self, path: &Path, key: &str) -> Error {
        Error::key(path, key, self.expected, self.found)
    }
}

/// A size as the header's `i32`.
pub(crate) fn header_size(size: usize) -> Result<[u8; 4], Mismatch> {
    i32::try_from(size)
        .map(i32::to_le_bytes)
        .map_err(|_| Mismatch::new(format!("a size of at most {}", i32::MAX), size.to_string()))
}
