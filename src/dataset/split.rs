//! Splits a data directory into parts for jobs: `split10/1` to `split10/10` inside it, with the layout of Kaldi's
//! `utils/split_data.sh`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::files::DataFiles;
use crate::error::{Error, Result};

/// The unit that is not split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitBy {
    /// Speakers, under `splitN/`.
    Speaker,
    /// Utterances, under `splitNutt/`.
    Utterance,
}

/// Splits `folder` into `count` parts with about equal numbers of utterances, in the order of `utt2spk`. Returns the
/// folders of the parts.
///
/// # Errors
/// [`Error::Option`] for no parts, or more than there are speakers (utterances); else as reading and writing a data
/// directory.
pub fn split(folder: impl AsRef<Path>, count: usize, by: SplitBy) -> Result<Vec<PathBuf>> {
    let folder = folder.as_ref();
    let files = DataFiles::read(folder)?;
    let (units, name) = match by {
        SplitBy::Speaker => (by_speaker(&files), format!("split{count}")),
        SplitBy::Utterance => (by_utterance(&files), format!("split{count}utt")),
    };
    if count == 0 || count > units.len() {
        let what = if by == SplitBy::Speaker {
            "speakers"
        } else {
            "utterances"
        };
        let expected = format!("1 to {} parts, as many as there are {what}", units.len());
        return Err(Error::option(
            "number of parts",
            expected,
            count.to_string(),
        ));
    }
    let sizes: Vec<usize> = units.iter().map(Vec::len).collect();
    let parts = balanced(&sizes, count);
    let mut part_of = HashMap::new();
    for (unit, part) in units.iter().zip(parts) {
        part_of.extend(unit.iter().map(|&utterance| (utterance, part)));
    }
    let divided = files.divide(&part_of, count);
    let mut folders = Vec::with_capacity(count);
    for (part, number) in divided.iter().zip(1..) {
        let target = folder.join(&name).join(number.to_string());
        part.write(&target)?;
        folders.push(target);
    }
    Ok(folders)
}

/// The utterances of each speaker; speakers in the order of `utt2spk`.
fn by_speaker(files: &DataFiles) -> Vec<Vec<&str>> {
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut units: Vec<Vec<&str>> = Vec::new();
    for entry in files.lines("utt2spk") {
        let at = *place.entry(&entry.value).or_insert(units.len());
        if at == units.len() {
            units.push(Vec::new());
        }
        units[at].push(&entry.key);
    }
    units
}

fn by_utterance(files: &DataFiles) -> Vec<Vec<&str>> {
    let entries = files.lines("utt2spk").iter();
    entries.map(|entry| vec![entry.key.as_str()]).collect()
}

/// For units of given sizes, in order, the part of each. No part is empty, and each ends as close as possible to its
/// share of the whole.
fn balanced(sizes: &[usize], count: usize) -> Vec<usize> {
    let total: usize = sizes.iter().sum();
    let mut parts = Vec::with_capacity(sizes.len());
    let (mut part, mut done, mut in_part) = (0, 0, 0);
    for (index, &size) in sizes.iter().enumerate() {
        // In units of 1/count, to use integers.
        let target = total * (part + 1);
        let nearer = (done * count).abs_diff(target) < ((done + size) * count).abs_diff(target);
        let needed = sizes.len() - index < count - part;
        if in_part > 0 && part + 1 < count && (nearer || needed) {
            part += 1;
            in_part = 0;
        }
        parts.push(part);
        done += size;
        in_part += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::DataDir;
    use super::super::made::folder;
    use super::*;

    #[test]
    fn parts_are_balanced_and_none_is_empty() {
        assert_eq!(balanced(&[1; 6], 3), [0, 0, 1, 1, 2, 2]);
        assert_eq!(balanced(&[10, 1, 1], 3), [0, 1, 2]);
        assert_eq!(balanced(&[1, 1, 10], 3), [0, 1, 2]);
        assert_eq!(balanced(&[3, 3, 2, 4], 2), [0, 0, 1, 1]);
        assert_eq!(balanced(&[1; 7], 3), [0, 0, 1, 1, 1, 2, 2]);
    }

    const FILES: &[(&str, &str)] = &[
        ("utt2spk", "a-1 a\na-2 a\nb-1 b\nc-1 c\n"),
        ("segments", "a-1 r 0 1\na-2 s 0 1\nb-1 s 1 2\nc-1 t 0 1\n"),
        ("wav.scp", "r r.wav\ns s.wav\nt t.wav\n"),
        ("feats.scp", "a-1 f:1\na-2 f:2\nb-1 f:3\nc-1 f:4\n"),
        ("spk2gender", "a m\nb f\nc f\n"),
    ];

    #[test]
    fn speakers_stay_together() {
        let dir = folder(FILES);
        let parts = split(dir.path(), 2, SplitBy::Speaker).unwrap();
        assert_eq!(parts[1], dir.path().join("split2/2"));
        let second = DataDir::open(&parts[1]).unwrap();
        assert_eq!(second.utterances(), ["b-1", "c-1"]);
        assert_eq!(second.wavs().unwrap().entries().len(), 2);
        let read = |name| std::fs::read_to_string(parts[1].join(name)).unwrap();
        assert_eq!(read("spk2utt"), "b b-1\nc c-1\n");
        assert_eq!(read("spk2gender"), "b f\nc f\n");
        assert_eq!(read("feats.scp"), "b-1 f:3\nc-1 f:4\n");
    }

    #[test]
    fn utterances_may_separate_speakers_and_share_recordings() {
        let dir = folder(FILES);
        let parts = split(dir.path(), 4, SplitBy::Utterance).unwrap();
        let read = |part: usize, name| std::fs::read_to_string(parts[part].join(name)).unwrap();
        assert_eq!(
            (read(1, "wav.scp"), read(2, "wav.scp")),
            ("s s.wav\n".into(), "s s.wav\n".into())
        );
        assert_eq!(read(1, "spk2utt"), "a a-2\n");
        assert!(parts[3].ends_with("split4utt/4"));
    }

    #[test]
    fn a_second_split_removes_the_first() {
        let dir = folder(FILES);
        split(dir.path(), 2, SplitBy::Speaker).unwrap();
        std::fs::remove_file(dir.path().join("feats.scp")).unwrap();
        let parts = split(dir.path(), 2, SplitBy::Speaker).unwrap();
        assert!(!parts[0].join("feats.scp").exists());
    }

    #[test]
    fn too_many_parts_are_refused() {
        let dir = folder(FILES);
        for (count, by) in [
            (0, SplitBy::Speaker),
            (4, SplitBy::Speaker),
            (5, SplitBy::Utterance),
        ] {
            let error = split(dir.path(), count, by).unwrap_err().to_string();
            assert!(
                error.starts_with("number of parts: expected 1 to "),
                "{error}"
            );
        }
    }
}
