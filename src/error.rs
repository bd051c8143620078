//! The one error type of the library: each variant names the place, what was expected and what was found.

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong, told in one line that names file, line, key or option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused: not found, no permission, disk full.
    // Not named `source`: its text stands in ours, and a chain of causes would tell it twice.
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    /// A file's bytes are not what its format asks for.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Format {
        path: PathBuf,
        expected: String,
        found: String,
    },
    /// One line of a text file is wrong. Lines count from 1.
    #[error("{}:{line}: expected {expected}, found {found}", path.display())]
    Line {
        path: PathBuf,
        line: usize,
        expected: String,
        found: String,
    },
    /// One entry (utterance, speaker, tensor, configuration key) of a file is wrong.
    #[error("{}: {key}: expected {expected}, found {found}", path.display())]
    Key {
        path: PathBuf,
        key: String,
        expected: String,
        found: String,
    },
    /// An option or argument has no sense, alone or beside another.
    #[error("{option}: expected {expected}, found {found}")]
    Option {
        option: String,
        expected: String,
        found: String,
    },
    /// A loss ran away.
    #[error("step {step}: {player}: {term} is {value}, expected a finite number")]
    NonFinite {
        step: u64,
        player: String,
        term: String,
        value: f64,
    },
    /// A discriminator has won for good.
    #[error(
        "step {step}: discriminator: right in every answer since step {since}, expected a game that both can win; the last \
         checkpoint is kept"
    )]
    Undefeated { step: u64, since: u64 },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(String),
    /// SIGINT or SIGTERM asked for an end; what was done is saved.
    #[error("stopped by signal {signal} at step {step}; the run is saved, --resume takes it up")]
    Interrupted { signal: i32, step: u64 },
}

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Io`] at `path`, for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |cause| Error::Io { path, cause }
    }

    /// An [`Error::Format`]: the file as a whole is wrong.
    pub fn format(
        path: impl AsRef<Path>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::Format {
            path: path.as_ref().to_path_buf(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// An [`Error::Line`] at line `line`, counted from 1.
    pub fn line(
        path: impl AsRef<Path>,
        line: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::Line {
            path: path.as_ref().to_path_buf(),
            line,
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// An [`Error::Key`]: the entry `key` of a file is wrong.
    pub fn key(
        path: impl AsRef<Path>,
        key: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::Key {
            path: path.as_ref().to_path_buf(),
            key: key.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// An [`Error::Option`].
    pub fn option(
        option: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::Option {
            option: option.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}
