//! Options in TOML files.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Reads options from a file whose keys all have to be known ones.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Line`] for what is not TOML, an unknown key or a value of
/// another type.
pub fn read_toml<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = line_of(&bytes, error.valid_up_to());
        Error::line(path, line, "UTF-8 text", "other bytes")
    })?;
    toml::from_str(text).map_err(|error| {
        let line = line_of(&bytes, error.span().map_or(0, |span| span.start));
        let found = error.message().trim().replace('\n', "; ");
        Error::line(path, line, "known keys with values of their types", found)
    })
}

/// The line, from 1, of the byte at `offset`.
fn line_of(bytes: &[u8], offset: usize) -> usize {
    let before = &bytes[..offset.min(bytes.len())];
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        bins: usize,
    }

    fn read(content: &[u8]) -> Result<Options> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        read_toml(file.path())
    }

    #[test]
    fn the_line_is_named() {
        assert_eq!(read(b"# none\n").unwrap().bins, 0);
        assert_eq!(read(b"bins = 4").unwrap().bins, 4);
        for (content, place, found) in [
            (&b"\nbinz = 4\n"[..], ":2: ", "unknown field `binz`"),
            (b"bins = 'x'\n", ":1: ", "invalid type"),
            (b"bins = 4\nbins = 5\n", ":2: ", "duplicate key"),
            (b"\n\nbins = \n", ":3: ", "found"),
            (b"bins = 4\n#\xff\n", ":2: ", "other bytes"),
        ] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.contains(place) && error.contains(found), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
