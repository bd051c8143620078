//! Repairs a data directory, as Kaldi's `utils/fix_data_dir.sh` does: sorted, and reduced to what all files have in
//! common.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::files::{DataFiles, render};
use super::layout::{self, KeyedBy};
use super::rows::Rows;
use super::segments::Segment;
use crate::error::{Error, Result};
use crate::io::lines::Entry;
use crate::io::{atomic, inputs};

/// The change of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file's name.
    pub name: String,
    /// Its readable lines before.
    pub before: usize,
    /// Its lines after.
    pub after: usize,
    /// Keys of the readable lines that were removed.
    pub dropped: Vec<String>,
}

/// Sorts all files. Removes lines that cannot be read, all but the first line of a key, and all utterances that are
/// missing in a file, or whose recording or speaker is. Derives `spk2utt`. Old versions of changed files are kept in
/// `.backup/`. Returns the changes. The order of `utt2spk` by speaker is not repaired.
///
/// # Errors
/// [`Error::Format`] when `utt2spk` is missing or no utterance would be left: then nothing is changed. [`Error::Io`]
/// when a file cannot be read or written.
pub fn fix(folder: impl AsRef<Path>) -> Result<Vec<Change>> {
    let folder = folder.as_ref();
    let mut files = DataFiles::default();
    for name in layout::files(folder)? {
        let path = folder.join(&name);
        let entries = good_lines(&path, &name, Rows::read(&path)?.entries);
        files.0.insert(name, entries);
    }
    if !files.0.contains_key("utt2spk") {
        return Err(Error::format(folder.join("utt2spk"), "a file", "none"));
    }
    let agreed = agreed(&files);
    if agreed.is_empty() {
        let found = "none (is one of the files empty, or keyed otherwise?)";
        return Err(Error::format(
            folder,
            "utterances that all files have",
            found,
        ));
    }
    let mut changes = Vec::new();
    for fixed in files.divide(&agreed, 1) {
        for (name, entries) in &fixed.0 {
            changes.extend(replace(folder, name, entries)?);
        }
    }
    Ok(changes)
}

/// The lines that are valid by themselves, sorted, the first of each key.
fn good_lines(path: &Path, name: &str, mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.retain(|entry| match name {
        "segments" => Segment::parse(path, entry).is_ok(),
        "text" | "utt2phones" => true,
        "utt2spk" => entry.value.split_ascii_whitespace().count() == 1,
        _ => !entry.value.is_empty(),
    });
    // Stable, so that the first of a key's lines stays the first.
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries.dedup_by(|later, first| later.key == first.key);
    entries
}

/// The utterances that are in all files, with speaker and recording.
fn agreed(files: &DataFiles) -> HashMap<&str, usize> {
    let keys = |kind: KeyedBy| -> Vec<HashSet<&str>> {
        let of_kind = files
            .0
            .iter()
            .filter(|(name, _)| layout::keyed_by(name) == Some(kind) && name.as_str() != "spk2utt");
        of_kind
            .map(|(_, entries)| entries.iter().map(|entry| entry.key.as_str()).collect())
            .collect()
    };
    let in_all = |sets: &[HashSet<&str>], key: &str| sets.iter().all(|set| set.contains(key));
    let utterances = keys(KeyedBy::Utterance);
    let recordings = keys(KeyedBy::Recording);
    let speakers = keys(KeyedBy::Speaker);
    let recording_of = files.recording_of();
    let entries = files.lines("utt2spk").iter();
    entries
        .filter(|entry| {
            in_all(&utterances, &entry.key)
                && in_all(&speakers, &entry.value)
                && recording_of
                    .get(entry.key.as_str())
                    .is_some_and(|recording| in_all(&recordings, recording))
        })
        .map(|entry| (entry.key.as_str(), 0))
        .collect()
}

/// Replaces the old file by the fixed one, if they differ, and keeps the old one in `.backup/`.
fn replace(folder: &Path, name: &str, entries: &[Entry]) -> Result<Option<Change>> {
    let path = folder.join(name);
    let there = path.try_exists().map_err(Error::io(&path))?;
    let old = if there {
        Rows::read(&path)?
    } else {
        Rows::default()
    };
    if there && old.problems.is_empty() && old.entries == entries {
        return Ok(None);
    }
    if there {
        let backup = folder.join(".backup");
        atomic::create_dir_all(&backup)?;
        let bytes = inputs::bytes(&path)?;
        atomic::write(backup.join(name), bytes)?;
    }
    atomic::rewrite(&path, render(entries))?;
    let kept: HashSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let before = old.entries.len();
    let gone = (old.entries.into_iter()).filter(|entry| !kept.contains(entry.key.as_str()));
    Ok(Some(Change {
        name: name.to_string(),
        before,
        after: entries.len(),
        dropped: gone.map(|entry| entry.key).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::made::folder;
    use super::super::validate::{ValidateOptions, validate};
    use super::*;

    #[test]
    fn a_broken_folder_becomes_valid() {
        let dir = folder(&[
            ("utt2spk", "b-1 b\na-2 a\na-1 a\na-1 a\nc-1 c\nd-1 d\ne-1\n"),
            ("text", "a-1 one\nb-1 two\n\nc-1 three\nd-1 four\nz-1 none"),
            (
                "segments",
                "a-1 r 0 1\na-2 r 1 2\nb-1 r 2 3\nc-1 s 0 1\nd-1 r 2 1\n",
            ),
            ("wav.scp", "t t.wav\nr r.wav\n"),
            ("spk2gender", "a m\nb f\nc f\n"),
        ]);
        let changes = fix(dir.path()).unwrap();
        let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "segments",
                "spk2gender",
                "spk2utt",
                "text",
                "utt2spk",
                "wav.scp"
            ]
        );
        assert_eq!((changes[3].before, changes[3].after), (5, 2));
        assert_eq!(changes[0].dropped, ["a-2", "c-1", "d-1"]);
        let options = ValidateOptions {
            no_feats: true,
            ..ValidateOptions::default()
        };
        let problems = validate(dir.path(), options).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        let read = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("utt2spk"), "a-1 a\nb-1 b\n");
        assert_eq!(read("wav.scp"), "r r.wav\n");
        assert!(read(".backup/utt2spk").starts_with("b-1 b\na-2 a\n"));
        assert_eq!(fix(dir.path()).unwrap(), []);
    }

    #[test]
    fn byte_order_marks_and_carriage_returns_are_removed_without_losing_utterances() {
        let dir = folder(&[
            ("utt2spk", "\u{feff}a a\r\nb b\r\n"),
            ("text", "\u{feff}a one\nb\n"),
        ]);
        fix(dir.path()).unwrap();
        let read = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("utt2spk"), "a a\nb b\n");
        assert_eq!(read("text"), "a one\nb\n");
        assert_eq!(fix(dir.path()).unwrap(), []);
    }

    #[test]
    fn a_folder_without_common_utterances_is_unchanged() {
        let dir = folder(&[("utt2spk", "b b\na a\n"), ("text", "")]);
        let error = fix(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("expected utterances that all files have"),
            "{error}"
        );
        assert!(!dir.path().join(".backup").exists());
        assert!(fix(folder(&[]).path()).is_err());
    }
}
