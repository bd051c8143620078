//! `NAME=FILE[,FILE...]`: what commands that lay things side by side take.

use std::path::PathBuf;

/// A name and its files, at least one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NamedFiles {
    /// The name.
    pub name: String,
    /// The files.
    pub files: Vec<PathBuf>,
}

impl NamedFiles {
    /// Reads an argument.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let form = "expected NAME=FILE[,FILE...]";
        let (name, files) = text.split_once('=').ok_or(form)?;
        let files: Vec<PathBuf> = files.split(',').map(PathBuf::from).collect();
        if name.is_empty() || files.iter().any(|file| file.as_os_str().is_empty()) {
            return Err(form.into());
        }
        Ok(Self {
            name: name.to_string(),
            files,
        })
    }

    /// Reads an argument of a name and one file, which may have commas.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn parse_one(text: &str) -> Result<(String, PathBuf), String> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok((name.to_string(), file.into()))
            }
            _ => Err("expected NAME=FILE".into()),
        }
    }
}
