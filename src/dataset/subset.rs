//! Subsets of a data directory.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::files::DataFiles;
use crate::error::{Error, Result};
use crate::io::lines;

/// The choice of utterances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// The first utterances of `utt2spk`.
    First(usize),
    /// The first utterances of each speaker; all of a speaker with fewer.
    PerSpeaker(usize),
    /// Utterances drawn without replacement; the same seed gives the same ones.
    Random {
        /// How many.
        count: usize,
        /// Seed of the draw.
        seed: u64,
    },
    /// Utterances in the first column of a file.
    Utterances(PathBuf),
    /// Utterances of the speakers in the first column of a file.
    Speakers(PathBuf),
}

/// The result of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Number of utterances.
    pub utterances: usize,
    /// Number of keys of the list that are not in the data directory.
    pub unknown: usize,
}

/// Writes the selected utterances of `source`, with their speakers and recordings, as `target`, in the order of
/// `source`.
///
/// # Errors
/// [`Error::Option`] for more utterances than there are, or none; else as reading and writing a data directory.
pub fn subset(source: impl AsRef<Path>, target: impl AsRef<Path>, pick: &Pick) -> Result<Taken> {
    let (source, target) = (source.as_ref(), target.as_ref());
    let files = DataFiles::read(source)?;
    check_target(source, target)?;
    let (picked, unknown) = picked(&files, pick)?;
    if picked.is_empty() {
        let found = "none in its data directory";
        return Err(Error::option("subset", "at least one utterance", found));
    }
    let taken = Taken {
        utterances: picked.len(),
        unknown,
    };
    let part_of: HashMap<&str, usize> = picked.into_iter().map(|key| (key, 0)).collect();
    for part in files.divide(&part_of, 1) {
        part.write(target)?;
    }
    Ok(taken)
}

/// Refuses a target that is also the source.
pub(super) fn check_target(source: &Path, target: &Path) -> Result<()> {
    let same = |a: &Path, b: &Path| Some(a.canonicalize().ok()? == b.canonicalize().ok()?);
    if same(source, target) == Some(true) {
        let found = format!("{} for both", target.display());
        return Err(Error::option(
            "target folder",
            "another than the source",
            found,
        ));
    }
    Ok(())
}

fn picked<'a>(files: &'a DataFiles, pick: &Pick) -> Result<(Vec<&'a str>, usize)> {
    let entries = files.lines("utt2spk");
    let key = |at: usize| entries[at].key.as_str();
    let enough = |count: usize| {
        if count <= entries.len() {
            return Ok(());
        }
        let expected = format!("at most the {} utterances there are", entries.len());
        Err(Error::option("subset", expected, count.to_string()))
    };
    match pick {
        Pick::First(count) => {
            enough(*count)?;
            Ok(((0..*count).map(key).collect(), 0))
        }
        Pick::Random { count, seed } => {
            enough(*count)?;
            let mut generator = ChaCha8Rng::seed_from_u64(*seed);
            let drawn = index::sample(&mut generator, entries.len(), *count);
            Ok((drawn.into_iter().map(key).collect(), 0))
        }
        Pick::PerSpeaker(count) => Ok((per_speaker(files, *count), 0)),
        Pick::Utterances(list) => listed(files, list, |entry| &entry.key),
        Pick::Speakers(list) => listed(files, list, |entry| &entry.value),
    }
}

fn per_speaker(files: &DataFiles, count: usize) -> Vec<&str> {
    let mut taken: HashMap<&str, usize> = HashMap::new();
    let entries = files.lines("utt2spk").iter();
    entries
        .filter(|entry| {
            let so_far = taken.entry(&entry.value).or_default();
            *so_far += 1;
            *so_far <= count
        })
        .map(|entry| entry.key.as_str())
        .collect()
}

/// The utterances whose `column` is in the list, and how many keys of the list do not occur in it.
fn listed<'a>(
    files: &'a DataFiles,
    list: &Path,
    column: impl Fn(&lines::Entry) -> &String,
) -> Result<(Vec<&'a str>, usize)> {
    let list = lines::read_table(list)?;
    let listed: HashSet<&str> = list.iter().map(|entry| entry.key.as_str()).collect();
    let mut found = HashSet::new();
    let mut picked = Vec::new();
    for entry in files.lines("utt2spk") {
        if let Some(key) = listed.get(column(entry).as_str()) {
            found.insert(*key);
            picked.push(entry.key.as_str());
        }
    }
    Ok((picked, listed.len() - found.len()))
}

#[cfg(test)]
mod tests {
    use super::super::DataDir;
    use super::super::made::folder;
    use super::*;

    fn pick(pick: &Pick) -> Result<(Vec<String>, usize)> {
        let dir = folder(&[
            ("utt2spk", "a-1 a\na-2 a\na-3 a\nb-1 b\nc-1 c\n"),
            ("wav.scp", "a-1 1\na-2 2\na-3 3\nb-1 4\nc-1 5\n"),
        ]);
        let target = dir.path().join("deep/er");
        let taken = subset(dir.path(), &target, pick)?;
        let data = DataDir::open(&target)?;
        assert_eq!(data.wavs().unwrap().entries().len(), taken.utterances);
        Ok((data.utterances().to_vec(), taken.unknown))
    }

    #[test]
    fn the_selected_utterances_are_written() {
        let of = |p: Pick| pick(&p).unwrap();
        assert_eq!(of(Pick::First(2)).0, ["a-1", "a-2"]);
        assert_eq!(of(Pick::PerSpeaker(1)).0, ["a-1", "b-1", "c-1"]);
        let draw = |seed| of(Pick::Random { count: 3, seed }).0;
        assert_eq!(draw(1), draw(1));
        assert_eq!(draw(2).len(), 3);
        assert!((0..9).any(|seed| draw(seed) != draw(1)));
        let lists = folder(&[("utts", "c-1\nx\na-2 more\n"), ("spks", "a\ny\nz\n")]);
        let (utts, spks) = (lists.path().join("utts"), lists.path().join("spks"));
        assert_eq!(
            of(Pick::Utterances(utts)),
            (vec!["a-2".into(), "c-1".into()], 1)
        );
        assert_eq!(of(Pick::Speakers(spks)).1, 2);
    }

    #[test]
    fn too_many_and_none_are_refused() {
        let lists = folder(&[("utts", "x\n")]);
        for p in [
            Pick::First(6),
            Pick::First(0),
            Pick::Random { count: 6, seed: 0 },
            Pick::Utterances(lists.path().join("utts")),
        ] {
            let error = pick(&p).unwrap_err().to_string();
            assert!(error.starts_with("subset: expected at "), "{error}");
        }
        let dir = folder(&[("utt2spk", "a a\n")]);
        assert!(subset(dir.path(), dir.path(), &Pick::First(1)).is_err());
    }
}
