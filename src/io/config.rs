//! Options read from TOML files.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Reads a TOML file into options.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Line`] naming the line of an unknown key, a wrong type or a
/// syntax error.
pub fn read_toml<C: DeserializeOwned>(path: &Path) -> Result<C> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    toml::from_str(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text[..start].matches('\n').count() + 1;
        let key = text
            .lines()
            .nth(line - 1)
            .unwrap_or_default()
            .trim()
            .to_string();
        let message = error.message().replace('\n', " ");
        Error::line(path, line, "a valid option", format!("'{key}': {message}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_names_its_line() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Options {
            #[allow(dead_code)]
            steps: u64,
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        for (text, line) in [
            ("steps = 1\nstep = 2\n", 2),
            ("steps = \"x\"\n", 1),
            ("steps = \n", 1),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_toml::<Options>(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("c.toml:{line}: ")), "{error}");
        }
    }
}
