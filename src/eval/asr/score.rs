//! Error rates of words, characters or phones, over all utterances and per group, with bootstrap intervals; of one
//! recognition, and the difference of two.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::dataset::DataDir;
use crate::dataset::labels::Labels;
use crate::dataset::strings::StringTable;
use crate::error::{Error, Result};
use crate::eval::edits::{Edits, edits};
use crate::eval::grouping::Grouping;
use crate::eval::interval::{bootstrap, middle_of};
use crate::io::lines::read_table;

/// The recognised labels of a data directory's utterances, compared with their references.
#[derive(Debug)]
pub struct Hypotheses {
    path: PathBuf,
    /// Per utterance of the data directory: edits, and labels of the reference.
    found: Vec<(Edits, usize)>,
}

/// The error rate of a group of utterances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorRate {
    /// The attribute of the grouping, and the group's name; empty for all utterances.
    pub group: (String, String),
    /// Edits over labels of the references, in percent; none where all references are empty.
    pub percent: Option<f64>,
    /// 95 % bootstrap interval over utterances (Bisani and Ney 2004), in percent.
    pub interval: Option<(f64, f64)>,
    /// The edits.
    pub edits: Edits,
    /// Labels of the reference.
    pub labels: usize,
    /// Utterances, and those with any error.
    pub utterances: (usize, usize),
}

/// One recognition compared with another of the same utterances.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Error rate minus the other's, in percentage points.
    pub difference: f64,
    /// 95 % interval of the difference, by paired bootstrap over utterances.
    pub interval: (f64, f64),
    /// Share of the bootstrap draws in which it is lower than the other's.
    pub better: f64,
}

impl Hypotheses {
    /// Compares the lines of `path` (`utterance labels`, as Kaldi's `text`) with those of a data directory. In an utterance
    /// with an empty reference, all recognised labels are insertions.
    ///
    /// # Errors
    /// Errors of reading the tables; [`Error::Key`] for an utterance that one of them lacks.
    pub fn read(path: &Path, dir: &DataDir, labels: Labels) -> Result<Self> {
        let references = StringTable::open(dir, labels)?;
        let lines = read_table(path)?;
        let mut recognised: BTreeMap<&str, &str> =
            lines.iter().map(|e| (&e.key[..], &e.value[..])).collect();
        let found = dir.utterances().iter().map(|id| {
            let line = recognised
                .remove(&id[..])
                .ok_or_else(|| Error::key(path, id, "what was recognised", "none"))?;
            let reference = references.of(id)?;
            Ok((edits(&reference, &labels.split(line)), reference.len()))
        });
        let found = found.collect::<Result<_>>()?;
        match recognised.keys().next() {
            Some(id) => {
                let expected = format!("utterances of {}", dir.path().display());
                Err(Error::key(path, *id, expected, "another"))
            }
            None => Ok(Self {
                path: path.to_path_buf(),
                found,
            }),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rate over all utterances.
    pub fn rate(&self) -> ErrorRate {
        let all: Vec<usize> = (0..self.found.len()).collect();
        self.rate_of(&all, (String::new(), String::new()))
    }

    /// The rate of each group, in the order of their names.
    pub fn by(&self, grouping: &Grouping) -> Vec<ErrorRate> {
        let (names, classes) = grouping.classes();
        let mut groups = vec![Vec::new(); names.len()];
        for (utterance, &class) in classes.iter().enumerate() {
            groups[class].push(utterance);
        }
        let named = names.into_iter().zip(groups);
        let rate = |(name, own): (&str, Vec<usize>)| {
            self.rate_of(&own, (grouping.name.clone(), name.to_string()))
        };
        named.map(rate).collect()
    }

    fn rate_of(&self, utterances: &[usize], group: (String, String)) -> ErrorRate {
        let own: Vec<(Edits, usize)> = utterances.iter().map(|&u| self.found[u]).collect();
        let mut edits = Edits::default();
        own.iter().for_each(|(more, _)| edits += *more);
        let labels: usize = own.iter().map(|(_, labels)| labels).sum();
        let counts: Vec<(f64, f64)> = own.iter().map(|&one| counts(one)).collect();
        let (low, high) = bootstrap(&counts, 0);
        ErrorRate {
            group,
            percent: (labels > 0).then(|| 100.0 * edits.count() as f64 / labels as f64),
            interval: (labels > 0).then_some((100.0 * low, 100.0 * high)),
            edits,
            labels,
            utterances: (own.len(), own.iter().filter(|(e, _)| e.count() > 0).count()),
        }
    }

    /// The difference to `other`, both of the same utterances; none where all references are empty.
    pub fn against(&self, other: &Self) -> Option<Comparison> {
        const RESAMPLES: usize = 2000;
        let pairs: Vec<_> = self
            .found
            .iter()
            .zip(&other.found)
            .map(|(own, other)| (counts(*own), counts(*other)))
            .collect();
        let difference = |pairs: &mut dyn Iterator<Item = &((f64, f64), (f64, f64))>| {
            let (mut own, mut others, mut labels) = (0.0, 0.0, 0.0);
            for ((edits, count), (other, _)) in pairs {
                own += edits;
                others += other;
                labels += count;
            }
            100.0 * (own - others) / labels
        };
        let found = Some(difference(&mut pairs.iter())).filter(|found| found.is_finite())?;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut drawn: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let mut draws = (0..pairs.len()).map(|_| &pairs[rng.random_range(0..pairs.len())]);
                difference(&mut draws)
            })
            .collect();
        // A draw in which all references are empty has no rates to compare.
        drawn.retain(|difference| difference.is_finite());
        let better = drawn.iter().filter(|d| **d < 0.0).count();
        Some(Comparison {
            difference: found,
            better: better as f64 / drawn.len() as f64,
            interval: middle_of(drawn),
        })
    }
}

fn counts((edits, labels): (Edits, usize)) -> (f64, f64) {
    (edits.count() as f64, labels as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("wav.scp", "a-1 x.wav\na-2 x.wav\nb-1 x.wav\n"),
            ("utt2spk", "a-1 a\na-2 a\nb-1 b\n"),
            ("spk2utt", "a a-1 a-2\nb b-1\n"),
            ("text", "a-1 one two\na-2 two\nb-1 one two two\n"),
            ("hyp", "b-1 one two three\na-2 two\na-1 two\n"),
            ("worse", "a-1\na-2 one\nb-1\n"),
        ];
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn rates_are_those_of_the_edits() {
        let folder = folder();
        let dir = DataDir::open(folder.path()).unwrap();
        let read = |name: &str, labels| Hypotheses::read(&folder.path().join(name), &dir, labels);
        let words = read("hyp", Labels::WordSequence).unwrap();
        let all = words.rate();
        assert!((all.percent.unwrap() - 100.0 * 2.0 / 6.0).abs() < 1e-9);
        assert_eq!((all.edits.deletions, all.edits.substitutions), (1, 1));
        assert_eq!((all.labels, all.utterances), (6, (3, 2)));
        let by = words.by(&Grouping::read("speaker", &dir).unwrap());
        let by: Vec<f64> = by
            .iter()
            .map(|rate| rate.percent.unwrap().round())
            .collect();
        assert_eq!(by, [33.0, 33.0]);
        // "one two" and "two": four characters deleted of seven; "two" and "three": h, r, e, e for w, o.
        let characters = read("hyp", Labels::CharacterSequence).unwrap().rate();
        assert_eq!(characters.edits.count(), 4 + 4);
        let worse = read("worse", Labels::WordSequence).unwrap();
        let found = words.against(&worse).unwrap();
        assert!((found.difference + 100.0 * 4.0 / 6.0).abs() < 1e-9);
        assert!(found.better > 0.9 && found.interval.1 < 0.0, "{found:?}");
    }

    #[test]
    fn all_words_of_an_empty_reference_are_insertions() {
        let folder = folder();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("text", "a-1 one two\na-2 three\nb-1\n");
        write("right", "a-1 one two\na-2 three\nb-1\n");
        write("hyp", "a-1 one two\na-2 three\nb-1 four five\n");
        let dir = DataDir::open(folder.path()).unwrap();
        let read = |name: &str| {
            Hypotheses::read(&folder.path().join(name), &dir, Labels::WordSequence).unwrap()
        };
        let (right, hyp) = (read("right"), read("hyp"));
        assert_eq!(right.rate().percent, Some(0.0));
        let rate = hyp.rate();
        // As Kaldi's compute-wer, sclite and jiwer 4 count: 2 insertions to 3 words.
        assert!((rate.percent.unwrap() - 200.0 / 3.0).abs() < 1e-9);
        assert_eq!((rate.edits.insertions, rate.labels), (2, 3));
        let (low, high) = rate.interval.unwrap();
        assert!(low == 0.0 && high.is_finite(), "{low} {high}");
        let by = hyp.by(&Grouping::read("speaker", &dir).unwrap());
        let by: Vec<_> = by
            .iter()
            .map(|rate| (rate.percent, rate.interval))
            .collect();
        assert_eq!(by, [(Some(0.0), Some((0.0, 0.0))), (None, None)]);
        let found = right.against(&hyp).unwrap();
        assert!((found.difference + 200.0 / 3.0).abs() < 1e-9);
        assert!(
            found.interval.0.is_finite() && found.interval.1 == 0.0,
            "{found:?}"
        );
        write("text", "a-1\na-2\nb-1\n");
        let dir = DataDir::open(folder.path()).unwrap();
        let silent =
            Hypotheses::read(&folder.path().join("hyp"), &dir, Labels::WordSequence).unwrap();
        assert_eq!(
            (silent.rate().percent, silent.against(&silent)),
            (None, None)
        );
    }

    #[test]
    fn missing_utterances_are_named() {
        let folder = folder();
        let dir = DataDir::open(folder.path()).unwrap();
        let hyp = folder.path().join("hyp");
        for (text, expected) in [
            ("a-1 one\n", "a-2: expected what was recognised, found none"),
            (
                "a-1 one\na-2\nb-1\nc-1 one\n",
                "c-1: expected utterances of",
            ),
        ] {
            fs::write(&hyp, text).unwrap();
            let error = Hypotheses::read(&hyp, &dir, Labels::WordSequence).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        let error = Hypotheses::read(&hyp, &dir, Labels::PhoneSequence).unwrap_err();
        assert!(error.to_string().contains("utt2phones"), "{error}");
    }
}
