//! Options in TOML files, merged with those of a base, and single settings.

#[cfg(feature = "torch")]
mod difference;
mod document;
mod place;
mod renamed;
mod setting;

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::Result;

#[cfg(feature = "torch")]
pub(crate) use difference::first_difference;
pub use document::Document;
pub use renamed::Renamed;
pub use setting::with_setting;

/// Reads options from a file and its base; unknown keys are errors.
///
/// # Errors
/// As [`Document::read`] and [`Document::options`].
pub fn read_toml<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    Document::read(path)?.options()
}

/// Options that tests of files and of single settings share.
#[cfg(test)]
mod made {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub(super) struct Run {
        pub(super) name: String,
        pub(super) rate: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) folder: Option<String>,
        pub(super) inner: Inner,
    }

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub(super) struct Inner {
        pub(super) steps: u64,
        pub(super) also: u64,
    }
}
