//! Trials of speaker verification out of a data directory, as Kaldi's lines `UTTERANCE UTTERANCE target|nontarget`.

use std::io::Write;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::datadir::DataDir;
use crate::error::{Error, Result};
use crate::io::atomic::AtomicFile;

/// Which pairs of utterances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialNumber {
    /// Every pair once.
    All,
    /// At most so many in all, as many of one speaker as of two, drawn without replacement.
    Balanced(u64),
}

/// The number of trials that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialsMade {
    /// Of one speaker.
    pub targets: u64,
    /// Of two speakers.
    pub nontargets: u64,
}

/// Utterances in the order of their speakers, so that the partners of one behind it are two ranges: first those of its
/// speaker, then those of others.
struct Pairs<'a> {
    utterances: Vec<&'a str>,
    /// For each utterance, the end of its speaker's.
    ends: Vec<usize>,
}

impl<'a> Pairs<'a> {
    fn of(data: &'a DataDir) -> Self {
        let (mut utterances, mut ends) = (Vec::new(), Vec::new());
        for speaker in data.speakers() {
            utterances.extend(data.utterances_of(speaker));
            ends.resize(utterances.len(), utterances.len());
        }
        Self { utterances, ends }
    }

    /// First and last (exclusive) partner of an utterance.
    fn partners(&self, utterance: usize, target: bool) -> (usize, usize) {
        let end = self.ends[utterance];
        match target {
            true => (utterance + 1, end),
            false => (end, self.utterances.len()),
        }
    }

    /// For each utterance, the number of pairs before its own.
    fn counts(&self, target: bool) -> (Vec<u64>, u64) {
        let mut total = 0;
        let before = (0..self.utterances.len()).map(|utterance| {
            let (first, end) = self.partners(utterance, target);
            total += (end - first) as u64;
            total - (end - first) as u64
        });
        (before.collect(), total)
    }

    /// `number` pairs drawn without replacement, in order.
    fn draw(&self, target: bool, number: u64, rng: &mut ChaCha8Rng) -> Vec<(usize, usize)> {
        let (before, total) = self.counts(target);
        let drawn = index::sample(rng, total as usize, number as usize);
        let pair = |number: usize| {
            let utterance = before.partition_point(|&before| before <= number as u64) - 1;
            let (first, _) = self.partners(utterance, target);
            (
                utterance,
                first + (number as u64 - before[utterance]) as usize,
            )
        };
        drawn.into_iter().map(pair).collect()
    }
}

/// Writes the trials of a data directory, sorted by speaker of the first utterance.
///
/// # Errors
/// [`Error::Format`] for a data directory without two utterances of a speaker, or with a single speaker;
/// [`Error::Option`] for fewer than two trials; [`Error::Io`].
pub fn write_trials(
    data: &DataDir,
    path: &Path,
    number: TrialNumber,
    seed: u64,
) -> Result<TrialsMade> {
    let pairs = Pairs::of(data);
    let (targets, nontargets) = (pairs.counts(true).1, pairs.counts(false).1);
    for (count, expected) in [
        (targets, "a speaker with two utterances"),
        (nontargets, "two speakers"),
    ] {
        if count == 0 {
            return Err(Error::format(data.path().join("utt2spk"), expected, "none"));
        }
    }
    let mut file = AtomicFile::create(path)?;
    let mut write = |(a, b): (usize, usize)| {
        let kind = if b < pairs.ends[a] {
            "target"
        } else {
            "nontarget"
        };
        writeln!(
            file,
            "{} {} {kind}",
            pairs.utterances[a], pairs.utterances[b]
        )
        .map_err(Error::io(path))
    };
    let made = match number {
        TrialNumber::All => {
            let all = |a| (a + 1..pairs.utterances.len()).map(move |b| (a, b));
            (0..pairs.utterances.len())
                .flat_map(all)
                .try_for_each(&mut write)?;
            TrialsMade {
                targets,
                nontargets,
            }
        }
        TrialNumber::Balanced(number) => {
            let each = (number / 2).min(targets).min(nontargets);
            if each == 0 {
                return Err(Error::option(
                    "number of trials",
                    "at least 2",
                    number.to_string(),
                ));
            }
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut drawn = pairs.draw(true, each, &mut rng);
            drawn.extend(pairs.draw(false, each, &mut rng));
            drawn.sort_unstable();
            drawn.into_iter().try_for_each(&mut write)?;
            TrialsMade {
                targets: each,
                nontargets: each,
            }
        }
    };
    file.commit()?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::made::folder;
    use super::*;

    fn trials(utt2spk: &str, number: TrialNumber, seed: u64) -> Result<(TrialsMade, String)> {
        let dir = folder(&[("utt2spk", utt2spk)]);
        let path = dir.path().join("trials");
        let made = write_trials(&DataDir::open(dir.path())?, &path, number, seed)?;
        Ok((made, std::fs::read_to_string(path).unwrap()))
    }

    const DATA: &str = "a-1 a\na-2 a\na-3 a\nb-1 b\nb-2 b\nc-1 c\n";

    #[test]
    fn all_pairs_are_written_once() {
        let (made, text) = trials("b-1 b\na-1 a\na-2 a\n", TrialNumber::All, 0).unwrap();
        assert_eq!(
            text,
            "a-1 a-2 target\na-1 b-1 nontarget\na-2 b-1 nontarget\n"
        );
        assert_eq!((made.targets, made.nontargets), (1, 2));
    }

    #[test]
    fn a_draw_is_balanced_and_without_repetition() {
        let draw = |number, seed| trials(DATA, TrialNumber::Balanced(number), seed).unwrap();
        // Of one speaker there are 3 + 1 pairs.
        for (number, each) in [(2, 1), (5, 2), (8, 4), (100, 4)] {
            let (made, text) = draw(number, 3);
            assert_eq!((made.targets, made.nontargets), (each, each));
            let lines: BTreeSet<&str> = text.lines().collect();
            assert_eq!(lines.len() as u64, 2 * each);
            for line in lines {
                let words: Vec<&str> = line.split(' ').collect();
                let same = words[0][..1] == words[1][..1];
                assert_eq!(words[2] == "target", same, "{line}");
                assert!(words[0] < words[1], "{line}");
            }
        }
        assert_eq!(draw(4, 1), draw(4, 1));
        assert!((0..9).any(|seed| draw(4, seed) != draw(4, 9)));
    }

    #[test]
    fn data_without_pairs_is_refused() {
        for (data, number, expected) in [
            (
                "a-1 a\na-2 a\n",
                TrialNumber::All,
                "utt2spk: expected two speakers, found none",
            ),
            (
                "a-1 a\nb-1 b\n",
                TrialNumber::All,
                "expected a speaker with two utterances",
            ),
            (
                DATA,
                TrialNumber::Balanced(1),
                "number of trials: expected at least 2, found 1",
            ),
        ] {
            let error = trials(data, number, 0).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
