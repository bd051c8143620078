//! Options in TOML files, over those of a base, and single ones set instead.

mod document;
mod place;
mod setting;

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::Result;

pub use document::Document;
pub use setting::with_setting;

/// Reads options from a file, over its base, whose keys all have to be known ones.
///
/// # Errors
/// As [`Document::read`] and [`Document::options`].
pub fn read_toml<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    Document::read(path)?.options()
}
