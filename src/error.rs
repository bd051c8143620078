//! The one error type of the library: each variant names the place, what was expected and what was found.

use std::fmt::Display;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// What can go wrong, told in one line that names file, line, key or option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "a variant's message says what its fields are")]
pub enum Error {
    /// The operating system refused: not found, no permission, disk full.
    // Not named `source`: its text stands in ours, and a chain of causes would tell it twice.
    #[error("{}: {cause}{}", path.display(), advice(path, cause))]
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
    #[error("step {step}: {trainable}: {term} is {value}, expected a finite number")]
    NonFinite {
        step: u64,
        trainable: String,
        term: String,
        value: f64,
    },
    /// A discriminator has won for good.
    #[error(
        "step {step}: discriminator: right in every answer since step {since}, expected a game that both can win; the last \
         checkpoint is kept"
    )]
    DiscriminatorStalled { step: u64, since: u64 },
    /// One of several processes that train together has ended the run of all.
    #[error("rank {rank}: {reason}")]
    Rank { rank: usize, reason: String },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(String),
    /// SIGINT or SIGTERM asked for an end; what was done is saved.
    #[error("stopped by signal {signal} at step {step}; the run is saved, --resume takes it up")]
    Interrupted { signal: i32, step: u64 },
}

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Files by their names, and the command that makes each, DIR being the folder that it is missing in.
const MAKERS: &[(&str, &str)] = &[
    ("spk2utt", "unbraid data fix DIR"),
    ("utt2spk", "unbraid data make RECORDINGS DIR"),
    (
        "feats.scp",
        "unbraid feats fbank scp:DIR/wav.scp ark,scp:DIR/feats.ark,DIR/feats.scp",
    ),
    (
        "pitch.scp",
        "unbraid feats pitch scp:DIR/wav.scp ark,scp:DIR/pitch.ark,DIR/pitch.scp",
    ),
    (
        "vad.scp",
        "unbraid feats vad scp:DIR/feats.scp ark,scp:DIR/vad.ark,DIR/vad.scp",
    ),
    (
        "cmvn.scp",
        "unbraid feats cmvn-stats --spk2utt DIR/spk2utt scp:DIR/feats.scp ark,scp:DIR/cmvn.ark,DIR/cmvn.scp",
    ),
    (
        "ali.scp",
        "unbraid data alignment --phones PHONES ALIGNMENTS DIR/feats.scp ark,scp:DIR/ali.ark,DIR/ali.scp",
    ),
    ("conf.toml", "unbraid train --conf CONF --exp DIR"),
    ("inventory.json", "unbraid train --conf CONF --exp DIR"),
    ("log.jsonl", "unbraid train --conf CONF --exp DIR"),
    ("last", "unbraid train --conf CONF --exp DIR"),
    (
        "best",
        "unbraid train --conf CONF --exp DIR, with data.valid in CONF",
    ),
];

/// What to do about a file that is not there.
fn advice(path: &Path, cause: &io::Error) -> String {
    let name = path.file_name().unwrap_or_default();
    match MAKERS.iter().find(|(made, _)| *made == name) {
        Some((_, command)) if cause.kind() == io::ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).display().to_string();
            format!("; make it with '{}'", command.replace("DIR", &folder))
        }
        _ => String::new(),
    }
}

impl Error {
    /// What is wrong, without its place: the same for all that fail alike.
    pub fn reason(&self) -> String {
        match self {
            Error::Io { cause, .. } => cause.to_string(),
            Error::Format {
                expected, found, ..
            }
            | Error::Line {
                expected, found, ..
            }
            | Error::Key {
                expected, found, ..
            } => format!("expected {expected}, found {found}"),
            other => other.to_string(),
        }
    }

    /// Whether it says that there is no room to write any more.
    pub fn is_full_disk(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let full = [FileTooLarge, QuotaExceeded, StorageFull];
        matches!(self, Error::Io { cause, .. } if full.contains(&cause.kind()))
    }

    /// The entry that it is about, where it is about one.
    pub fn entry(&self) -> Option<&str> {
        match self {
            Error::Key { key, .. } => Some(key),
            _ => None,
        }
    }

    /// An [`Error::Option`] of a key of a configuration's table, named from the top of the file as `--set` takes it. One
    /// that names the table, or is named from the top, stays as it is.
    pub fn in_table(self, table: &str) -> Error {
        const TOP: [&str; 4] = ["data.", "normalisation.", "method.", "train."];
        match self {
            Error::Option {
                option,
                expected,
                found,
            } if !TOP.iter().any(|top| option.starts_with(top))
                && !option.starts_with(&format!("{table}.")) =>
            {
                Error::option(format!("{table}.{option}"), expected, found)
            }
            other => other,
        }
    }

    /// An [`Error::Option`] as one of the entry `key` of a file; any other as it is.
    pub fn at_key(self, path: impl AsRef<Path>, key: &str) -> Error {
        match self {
            Error::Option {
                expected, found, ..
            } => Error::key(path, key, expected, found),
            other => other,
        }
    }

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

/// Refuses a number outside `range`, and NaN; `key` is the option that holds it.
///
/// # Errors
/// [`Error::Option`] naming the key.
pub fn check_within<T: PartialOrd + Display>(
    key: impl Into<String>,
    value: T,
    range: RangeInclusive<T>,
) -> Result<()> {
    match range.contains(&value) {
        true => Ok(()),
        false => {
            let expected = format!("{} to {}", range.start(), range.end());
            Err(Error::option(key, expected, value.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_says_what_makes_it() {
        let missing = |path: &str, kind: io::ErrorKind| Error::io(path)(kind.into()).to_string();
        let told = missing("data/x/feats.scp", io::ErrorKind::NotFound);
        assert!(
            told.starts_with("data/x/feats.scp: ")
                && told.ends_with("make it with 'unbraid feats fbank scp:data/x/wav.scp ark,scp:data/x/feats.ark,data/x/feats.scp'"),
            "{told}"
        );
        let told = missing("spk2utt", io::ErrorKind::NotFound);
        assert!(
            told.ends_with("make it with 'unbraid data fix .'"),
            "{told}"
        );
        for told in [
            missing("data/x/feats.scp", io::ErrorKind::PermissionDenied),
            missing("data/x/own.scp", io::ErrorKind::NotFound),
        ] {
            assert!(!told.contains("make it"), "{told}");
        }
    }

    #[test]
    fn keys_are_named_from_the_top() {
        let named = |option: &str, table: &str| match Error::option(option, "", "").in_table(table)
        {
            Error::Option { option, .. } => option,
            other => panic!("{other}"),
        };
        assert_eq!(named("channels", "method"), "method.channels");
        assert_eq!(named("model.baseline", "model"), "model.baseline");
        assert_eq!(named("data.labels", "method"), "data.labels");
    }
}
