//! Whose utterances they are, and how utterances are drawn for enrolment and test.

use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::dataset::Table;
use crate::error::{Error, Result};

/// Speakers that decide between attackers, at most: the cost of an attack grows with their square.
const MOST_HELD_OUT: usize = 200;

/// The utterances of a table `utt2spk`, by speaker.
#[derive(Debug)]
pub struct SpeakerSet {
    table: Table,
    names: Vec<String>,
    /// By speaker, places in the table.
    utterances: Vec<Vec<usize>>,
}

/// Which utterances of every speaker are averaged.
#[derive(Debug, Clone)]
pub struct Draw {
    /// By speaker, for the enrolment.
    pub enrolment: Vec<Vec<usize>>,
    /// By speaker, for the test.
    pub test: Vec<Vec<usize>>,
    /// By speaker, others for the threshold of singling-out; none where a speaker has too few.
    pub calibration: Option<Vec<Vec<usize>>>,
}

impl SpeakerSet {
    /// Reads a table, or that of a data directory.
    ///
    /// # Errors
    /// As [`Table::read`]; [`Error::Key`] for an utterance without a speaker; [`Error::Format`] for fewer than 2 speakers.
    pub fn read(path: &Path) -> Result<Self> {
        let table = match path.is_dir() {
            true => Table::read(path.join("utt2spk"))?,
            false => Table::read(path)?,
        };
        let mut names: Vec<String> = table
            .entries()
            .iter()
            .map(|entry| entry.value.clone())
            .collect();
        names.sort();
        names.dedup();
        let mut utterances = vec![Vec::new(); names.len()];
        for (place, entry) in table.entries().iter().enumerate() {
            match names.binary_search(&entry.value) {
                Ok(speaker) if !entry.value.is_empty() => utterances[speaker].push(place),
                _ => return Err(Error::key(table.path(), &entry.key, "its speaker", "none")),
            }
        }
        if names.len() < 2 {
            let expected = "utterances of at least 2 speakers";
            let found = names.len().to_string();
            return Err(Error::format(table.path(), expected, found));
        }
        Ok(Self {
            table,
            names,
            utterances,
        })
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        self.table.path()
    }

    /// Utterances.
    pub fn len(&self) -> usize {
        self.table.entries().len()
    }

    /// Whether there are none: never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of an utterance.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.table.position(key)
    }

    /// The utterance at a place.
    pub fn key(&self, place: usize) -> &str {
        &self.table.entries()[place].key
    }

    /// Speakers, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Places of the utterances of each speaker.
    pub fn utterances(&self) -> &[Vec<usize>] {
        &self.utterances
    }

    /// Refuses speakers that are also in `other`.
    ///
    /// # Errors
    /// [`Error::Key`] naming the first.
    pub fn refuse_shared(&self, other: &SpeakerSet) -> Result<()> {
        let known = |name: &&String| other.names.binary_search(*name).is_ok();
        match self.names.iter().find(known) {
            None => Ok(()),
            Some(name) => {
                let expected = format!("speakers that {} lacks", other.path().display());
                Err(Error::key(self.path(), name, expected, "one of it"))
            }
        }
    }

    /// The fewest utterances of a speaker, and whose.
    pub fn fewest(&self) -> (usize, &str) {
        let counts = self.utterances.iter().map(Vec::len).zip(&self.names);
        counts
            .min()
            .map_or((0, ""), |(count, name)| (count, name.as_str()))
    }

    /// Speakers held out by a share, at least two, at most 200 and such that two others remain, and the others: numbers, drawn
    /// by `seed`. Held out are only speakers of at least two utterances.
    ///
    /// # Errors
    /// [`Error::Format`] for fewer than 4 speakers, or fewer than 2 of at least two utterances.
    pub fn hold_out(&self, share: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let (several, single): (Vec<usize>, Vec<usize>) = order
            .into_iter()
            .partition(|&speaker| self.utterances[speaker].len() > 1);
        if several.len() < 2 || self.names.len() < 4 {
            let expected = "at least 4 speakers to learn from, 2 of them of several utterances";
            let found = format!("{}, {} of several", self.names.len(), several.len());
            return Err(Error::format(self.path(), expected, found));
        }
        let most = several.len().min(self.names.len() - 2).min(MOST_HELD_OUT);
        let count = ((share * self.names.len() as f64).round() as usize).clamp(2, most);
        let mut held = several[..count].to_vec();
        let mut kept = [&several[count..], &single].concat();
        held.sort_unstable();
        kept.sort_unstable();
        Ok((held, kept))
    }
}

/// Draws of `length` utterances per side (none: half of what each speaker has) of speakers whose utterances are given.
/// Enrolment, test and calibration share none.
pub fn draws(
    utterances: &[Vec<usize>],
    length: Option<usize>,
    count: usize,
    seed: u64,
) -> Vec<Draw> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let enough = length.is_some_and(|length| utterances.iter().all(|own| own.len() >= 3 * length));
    let draw = |_| {
        let mut drawn = Draw {
            enrolment: Vec::new(),
            test: Vec::new(),
            calibration: enough.then(Vec::new),
        };
        for own in utterances {
            let mut own = own.clone();
            own.shuffle(&mut rng);
            let (length, tests) = match length {
                Some(length) => (length, length),
                None => (own.len() / 2, own.len() - own.len() / 2),
            };
            drawn.enrolment.push(own[..length].to_vec());
            drawn.test.push(own[length..length + tests].to_vec());
            if let Some(calibration) = &mut drawn.calibration {
                calibration.push(own[2 * length..3 * length].to_vec());
            }
        }
        drawn
    };
    (0..count).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_share_no_utterance() {
        let utterances = vec![(0..7).collect::<Vec<_>>(), (10..16).collect()];
        let found = draws(&utterances, Some(2), 5, 0);
        assert_eq!(found.len(), 5);
        for draw in &found {
            let calibration = draw.calibration.as_ref().unwrap();
            for speaker in 0..2 {
                let sides = [
                    &draw.enrolment[speaker],
                    &draw.test[speaker],
                    &calibration[speaker],
                ];
                let mut all: Vec<usize> = sides.into_iter().flatten().copied().collect();
                assert_eq!(all.len(), 6);
                all.sort_unstable();
                all.dedup();
                assert_eq!(all.len(), 6);
                assert!(all.iter().all(|place| utterances[speaker].contains(place)));
            }
        }
        let all = &draws(&utterances, None, 1, 0)[0];
        assert_eq!((all.enrolment[0].len(), all.test[0].len()), (3, 4));
        assert!(all.calibration.is_none());
    }
}
