//! Labels for supervision, probes and recognition: classes of utterances or frames, and sequences of phones, words or
//! characters.

use std::collections::BTreeSet;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::datadir::DataDir;
pub use super::label_kind::{Labels, NO_LABEL};
pub(super) use super::label_kind::{MOST_CLASSES, numbers};
use super::strings::{StringTable, Strings};
use crate::error::{Error, Result};
use crate::io::kaldi::ScpTable;
use crate::signal::stretch::stretched_position;

impl Labels {
    /// The sorted names of the classes of a data directory; frame classes are numbers.
    ///
    /// # Errors
    /// A missing table, or an utterance that is not in it.
    pub fn names(self, dir: &DataDir) -> Result<Vec<String>> {
        let ids = dir.utterances();
        let names: BTreeSet<String> = match self {
            Self::None => BTreeSet::new(),
            Self::UtteranceClass => {
                let texts = ids.iter().map(|id| text_of(dir, id).map(str::to_string));
                texts.collect::<Result<_>>()?
            }
            Self::Alignment => {
                let alignment = ScpTable::open(dir.path().join("ali.scp"))?;
                let classes = 0..frame_classes(&alignment, ids)?;
                classes.map(|class| format!("{class:04}")).collect()
            }
            Self::PhoneSequence | Self::WordSequence | Self::CharacterSequence => {
                let strings = StringTable::open(dir, self)?;
                let mut names = BTreeSet::new();
                for id in ids {
                    names.extend(strings.of(id)?);
                }
                names
            }
        };
        Ok(names.into_iter().collect())
    }
}

/// The labels of the utterances of a data directory, as class numbers.
#[derive(Debug)]
pub struct LabelTable {
    source: Source,
    /// For each utterance, whether its labels are used; empty if all are.
    used: Vec<bool>,
}

#[derive(Debug)]
enum Source {
    None,
    Words(Vec<i64>),
    Frames(Alignment),
    Strings(Strings),
}

impl LabelTable {
    /// Labels of the utterances of `dir`, in its order, with the class names of training.
    ///
    /// # Errors
    /// A missing table; an utterance that is not in it; more than 65536 labels.
    pub fn open(dir: &DataDir, labels: Labels, names: &[String]) -> Result<Self> {
        let ids = dir.utterances();
        let source = match labels {
            Labels::None => Source::None,
            Labels::UtteranceClass => {
                let texts = ids.iter().map(|id| text_of(dir, id));
                let texts = texts.collect::<Result<Vec<_>>>()?;
                Source::Words(numbers(texts.into_iter(), names))
            }
            Labels::Alignment => Source::Frames(Alignment::open(dir.path(), ids, names.len())?),
            Labels::PhoneSequence | Labels::WordSequence | Labels::CharacterSequence => {
                Source::Strings(Strings::open(dir, labels, ids, names)?)
            }
        };
        Ok(Self {
            source,
            used: Vec::new(),
        })
    }

    /// Keeps the labels of a share of `utterances`, drawn by `seed`, of at least one, out of `count` utterances in
    /// total.
    pub fn keep(&mut self, mut utterances: Vec<usize>, share: f64, count: usize, seed: u64) {
        if share < 1.0 {
            let kept = ((share * utterances.len() as f64).round() as usize).max(1);
            utterances.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            utterances.truncate(kept);
        }
        self.used = vec![false; count];
        utterances.into_iter().for_each(|u| self.used[u] = true);
    }

    /// The class of each utterance, under [`Labels::UtteranceClass`].
    pub fn words(&self) -> Option<&[i64]> {
        match &self.source {
            Source::Words(words) => Some(words),
            _ => None,
        }
    }

    /// Refuses a sequence that is too long for `codes` codes.
    ///
    /// # Errors
    /// [`Error::Key`] naming the utterance `id`.
    pub fn refuse_crowded(&self, utterance: usize, id: &str, codes: usize) -> Result<()> {
        match &self.source {
            Source::Strings(strings) => strings.refuse_crowded(utterance, id, codes),
            _ => Ok(()),
        }
    }

    /// Whether the label sequence of an utterance is empty; labels of other kinds never are.
    pub fn has_empty_sequence(&self, utterance: usize) -> bool {
        matches!(&self.source, Source::Strings(strings) if strings.is_empty(utterance))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        matches!(self.source, Source::None)
    }

    /// Whether there is one label per frame.
    pub fn by_frame(&self) -> bool {
        matches!(self.source, Source::Frames(_))
    }

    /// The labels of utterance number `utterance`, called `id`, with `frames` frames as stored: one, one per frame, or
    /// a sequence.
    ///
    /// # Errors
    /// [`Error::Key`] for an alignment of another length or class.
    pub fn of(&self, utterance: usize, id: &str, frames: usize) -> Result<Vec<i64>> {
        let mut labels = match &self.source {
            Source::None => Vec::new(),
            Source::Words(words) => vec![words[utterance]],
            Source::Frames(alignment) => alignment.labels(id, frames)?,
            Source::Strings(strings) => strings.of(utterance),
        };
        if self.used.get(utterance) == Some(&false) {
            labels.fill(NO_LABEL);
        }
        Ok(labels)
    }
}

/// Frame classes by utterance.
#[derive(Debug)]
struct Alignment {
    table: ScpTable<Vec<i32>>,
    /// Number of classes in training.
    classes: usize,
}

impl Alignment {
    fn open(dir: &Path, ids: &[String], classes: usize) -> Result<Self> {
        let table = ScpTable::open(dir.join("ali.scp"))?;
        for id in ids {
            if !table.contains(id) {
                return Err(Error::key(table.path(), id, "its alignment", "none"));
            }
            table.check(id)?;
        }
        Ok(Self { table, classes })
    }

    /// The classes of an utterance of `frames` frames.
    fn labels(&self, id: &str, frames: usize) -> Result<Vec<i64>> {
        let labels = self.table.get(id)?;
        // Codes may have a half, a quarter or an eighth of the alignment's rate.
        let Some(step) = [1, 2, 4, 8]
            .into_iter()
            .find(|step| labels.len().div_ceil(*step) == frames)
        else {
            let expected =
                format!("{frames} frames, as the features have (or 2, 4 or 8 times as many)");
            let found = labels.len().to_string();
            return Err(Error::key(self.table.path(), id, expected, found));
        };
        let known = |label: i32| usize::try_from(label).is_ok_and(|label| label < self.classes);
        if let Some(label) = labels.iter().find(|&&label| !known(label)) {
            let expected = format!("classes from 0 to {}, as in training", self.classes - 1);
            return Err(Error::key(
                self.table.path(),
                id,
                expected,
                label.to_string(),
            ));
        }
        Ok(labels.into_iter().step_by(step).map(i64::from).collect())
    }
}

fn text_of<'a>(dir: &'a DataDir, id: &str) -> Result<&'a str> {
    dir.text(id)
        .ok_or_else(|| Error::key(dir.path().join("text"), id, "its text", "none"))
}

/// The highest class of an alignment plus one.
fn frame_classes(alignment: &ScpTable<Vec<i32>>, ids: &[String]) -> Result<i32> {
    let mut classes = 0;
    for id in ids {
        for label in alignment.get(id)? {
            if !(0..MOST_CLASSES).contains(&label) {
                let expected = format!("classes from 0 to {}", MOST_CLASSES - 1);
                return Err(Error::key(
                    alignment.path(),
                    id,
                    expected,
                    label.to_string(),
                ));
            }
            classes = classes.max(label + 1);
        }
    }
    Ok(classes)
}

/// Labels for features that a normalisation stretched.
pub fn stretch_labels(labels: Vec<i64>, target: usize) -> Vec<i64> {
    if labels.len() == target {
        return labels;
    }
    (0..target)
        .map(|index| labels[stretched_position(index, labels.len(), target).round() as usize])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_chosen_utterances_keep_their_labels() {
        let mut table = LabelTable {
            source: Source::Words(vec![5, 6, 7, 8]),
            used: Vec::new(),
        };
        let classes = |table: &LabelTable| -> Vec<i64> {
            let of = |u: usize| table.of(u, "", 1).unwrap()[0];
            (0..4).map(of).collect()
        };
        assert_eq!(classes(&table), [5, 6, 7, 8]);
        table.keep(vec![1, 3], 1.0, 4, 0);
        assert_eq!(classes(&table), [NO_LABEL, 6, NO_LABEL, 8]);
        table.keep(vec![1, 3], 0.5, 4, 0);
        let kept = classes(&table);
        assert!(
            kept == [NO_LABEL, 6, NO_LABEL, NO_LABEL] || kept == [NO_LABEL, NO_LABEL, NO_LABEL, 8]
        );
    }
}
