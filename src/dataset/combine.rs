//! Several data directories as one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::files::DataFiles;
use super::subset::apart;
use crate::error::{Error, Result};
use crate::io::lines::Entry;

/// Writes the union of `sources` as `target`, every file sorted, `spk2utt` made anew. A file has to be in all
/// sources; those that are only in some are left out and returned, as are those named in `without`.
///
/// # Errors
/// [`Error::Key`] for a key to which two sources give different lines, [`Error::Format`] when only some have
/// `segments`; else as reading and writing a data directory.
pub fn combine(
    sources: &[PathBuf],
    target: impl AsRef<Path>,
    without: &[String],
) -> Result<Vec<String>> {
    let target = target.as_ref();
    let mut read = Vec::with_capacity(sources.len());
    for source in sources {
        apart(source, target)?;
        read.push(DataFiles::read(source)?);
    }
    if read.is_empty() {
        return Err(Error::option("sources", "a data directory", "none"));
    }
    same_segments(sources, &read)?;
    let names: BTreeSet<&String> = read.iter().flat_map(|files| files.0.keys()).collect();
    let mut combined = DataFiles::default();
    let mut left_out = Vec::new();
    for name in names {
        let everywhere = read.iter().all(|files| files.0.contains_key(name));
        if without.contains(name) || !everywhere {
            left_out.push(name.clone());
        } else if name != "spk2utt" {
            combined
                .0
                .insert(name.clone(), union(name, sources, &read)?);
        }
    }
    combined.invert();
    combined.write(target)?;
    left_out.retain(|name| name != "spk2utt");
    Ok(left_out)
}

/// Left out of some, `segments` would make recordings of what are utterances elsewhere.
fn same_segments(sources: &[PathBuf], read: &[DataFiles]) -> Result<()> {
    let has = |files: &DataFiles| files.0.contains_key("segments");
    match sources
        .iter()
        .zip(read)
        .find(|(_, files)| has(files) != has(&read[0]))
    {
        None => Ok(()),
        Some((source, files)) => {
            let (expected, found) = match has(files) {
                true => ("no file, as in the first source", "one"),
                false => ("a file, as in the first source", "none"),
            };
            Err(Error::format(source.join("segments"), expected, found))
        }
    }
}

/// The lines of all sources, sorted.
fn union(name: &str, sources: &[PathBuf], read: &[DataFiles]) -> Result<Vec<Entry>> {
    let mut entries: BTreeMap<&str, &Entry> = BTreeMap::new();
    for (source, files) in sources.iter().zip(read) {
        for entry in files.lines(name) {
            let first = *entries.entry(&entry.key).or_insert(entry);
            if first.value != entry.value {
                return Err(Error::key(
                    source.join(name),
                    &entry.key,
                    format!("'{}' as in another source", first.value),
                    format!("'{}'", entry.value),
                ));
            }
        }
    }
    Ok(entries.into_values().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::super::DataDir;
    use super::super::made::folder;
    use super::*;

    type Files<'a> = &'a [(&'a str, &'a str)];

    fn combined(a: Files, b: Files, without: &[&str]) -> Result<(DataDir, Vec<String>)> {
        let (a, b, target) = (folder(a), folder(b), folder(&[]));
        let sources = [a.path().to_path_buf(), b.path().to_path_buf()];
        let target = target.path().join("all");
        let without: Vec<String> = without.iter().map(ToString::to_string).collect();
        let left_out = combine(&sources, &target, &without)?;
        Ok((DataDir::open(&target)?, left_out))
    }

    #[test]
    fn speakers_of_both_are_one() {
        let a: Files = &[
            ("utt2spk", "a-2 a\nb-1 b\n"),
            ("text", "a-2 x\n"),
            ("spk2gender", "a m\nb f\n"),
        ];
        let b: Files = &[
            ("utt2spk", "a-1 a\n"),
            ("spk2gender", "a m\n"),
            ("spk2utt", "a a-1\n"),
        ];
        let (data, left_out) = combined(a, b, &[]).unwrap();
        assert_eq!(data.utterances(), ["a-1", "a-2", "b-1"]);
        assert_eq!(data.utterances_of("a").collect::<Vec<_>>(), ["a-1", "a-2"]);
        assert_eq!(left_out, ["text"]);
    }

    #[test]
    fn contradictions_are_told() {
        let a: Files = &[("utt2spk", "a-1 a\n"), ("cmvn.scp", "a c:1\n")];
        let b: Files = &[("utt2spk", "a-2 a\n"), ("cmvn.scp", "a c:2\n")];
        let error = combined(a, b, &[]).unwrap_err().to_string();
        assert!(
            error.contains("cmvn.scp: a: expected 'c:1' as in another source, found 'c:2'"),
            "{error}"
        );
        assert_eq!(combined(a, b, &["cmvn.scp"]).unwrap().1, ["cmvn.scp"]);
        let c: Files = &[("utt2spk", "a-2 a\n"), ("segments", "a-2 r 0 1\n")];
        let error = combined(a, c, &[]).unwrap_err().to_string();
        assert!(
            error.contains("segments: expected no file, as in the first source"),
            "{error}"
        );
    }
}
