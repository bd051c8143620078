//! Files of scores, one `enrolment test score` per line.

use std::path::Path;

use super::detection::ScoredTrials;
use super::{BLOCK_LINES, Trial, TrialReader};
use crate::error::{Error, Result};
use crate::io::lines::LineBlocks;

/// A line of a file of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreLine<'a> {
    /// Key of the enrolment side.
    pub enrolment: &'a str,
    /// Key of the test side.
    pub test: &'a str,
    /// A finite number.
    pub score: f64,
}

impl<'a> ScoreLine<'a> {
    fn parse(path: &Path, number: usize, line: &'a str) -> Result<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(4).collect();
        let parsed = match fields[..] {
            [enrolment, test, score] => score.parse().ok().map(|score| Self {
                enrolment,
                test,
                score,
            }),
            _ => None,
        };
        parsed.filter(|line| line.score.is_finite()).ok_or_else(|| {
            let expected = "'enrolment test score', the score a finite number";
            Error::line(path, number, expected, format!("'{line}'"))
        })
    }
}

/// Calls `each` for every line of a file of scores, in order.
///
/// # Errors
/// [`Error::Io`], [`Error::Line`] for another kind of line; errors of `each`.
pub fn each_score(path: &Path, mut each: impl FnMut(ScoreLine) -> Result<()>) -> Result<()> {
    let mut blocks = LineBlocks::open(path)?;
    while let Some(block) = blocks.next_block(BLOCK_LINES)? {
        for (index, line) in block.lines.iter().enumerate() {
            each(ScoreLine::parse(path, block.first + index, line)?)?;
        }
    }
    Ok(())
}

/// Whether the first line of a file of scores is of the first trial of a list, as `unbraid verify score` writes them.
///
/// # Errors
/// As [`read_scored`]; [`Error::Format`] for a file without a line.
pub fn are_of(trials: &Path, scores: &Path) -> Result<bool> {
    let none = |path: &Path| Error::format(path, "at least one line", "none");
    let mut reader = TrialReader::open(trials)?;
    let block = reader.next_block()?.ok_or_else(|| none(trials))?;
    let lines = LineBlocks::open(scores)?.next_block(1)?;
    let lines = lines.ok_or_else(|| none(scores))?.lines;
    let first = lines.first().ok_or_else(|| none(scores))?;
    let (trial, score) = (block.trial(0)?, ScoreLine::parse(scores, 1, first)?);
    Ok((trial.enrolment, trial.test) == (score.enrolment, score.test))
}

/// Joins scores with the labels of their trials: line by line the same trials, as `unbraid verify score` writes them.
///
/// # Errors
/// As [`TrialReader::next_block`] and [`each_score`]; [`Error::Line`] where the scores are of another trial or end
/// early, or a trial has no answer.
pub fn read_scored(trials: &Path, scores: &Path) -> Result<ScoredTrials> {
    let mut scored = ScoredTrials::default();
    each_scored(trials, scores, |_, score, target| {
        scored.push(score, target);
        Ok(())
    })?;
    Ok(scored)
}

/// Passes every trial with its score and its answer to `each`.
///
/// # Errors
/// As [`read_scored`]; errors of `each`.
pub fn each_scored(
    trials: &Path,
    scores: &Path,
    mut each: impl FnMut(&Trial, f64, bool) -> Result<()>,
) -> Result<()> {
    let mut reader = TrialReader::open(trials)?;
    let mut lines = LineBlocks::open(scores)?;
    let mut read = 0;
    while let Some(block) = reader.next_block()? {
        let found = lines.next_block(block.len())?;
        let found = found.map(|block| block.lines).unwrap_or_default();
        for (index, line) in found.iter().enumerate() {
            let (trial, line) = (
                block.trial(index)?,
                ScoreLine::parse(scores, read + index + 1, line)?,
            );
            if (trial.enrolment, trial.test) != (line.enrolment, line.test) {
                let expected = format!(
                    "a score of '{} {}', the trial of this line",
                    trial.enrolment, trial.test
                );
                let found = format!("'{} {}'", line.enrolment, line.test);
                return Err(Error::line(scores, read + index + 1, expected, found));
            }
            let target = trial.target.ok_or_else(|| {
                block.fault(index, "whether it is a target, or 1 or 0", "neither")
            })?;
            each(&trial, line.score, target)?;
        }
        read += found.len();
        if found.len() < block.len() {
            let expected = "a score of every trial";
            return Err(Error::line(
                scores,
                read + 1,
                expected,
                "the end of the file",
            ));
        }
    }
    match lines.next_block(1)? {
        None => Ok(()),
        Some(_) => Err(Error::line(
            scores,
            read + 1,
            "the end, as of the trials",
            "more",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_belong_to_their_trials() {
        let dir = tempfile::tempdir().unwrap();
        let (trials, scores) = (dir.path().join("t"), dir.path().join("s"));
        let read = |of_trials: &str, of_scores: &str| {
            std::fs::write(&trials, of_trials).unwrap();
            std::fs::write(&scores, of_scores).unwrap();
            read_scored(&trials, &scores)
                .and_then(|scored| scored.detection(&trials))
                .map(|found| (found.targets().to_vec(), found.nontargets().to_vec()))
                .map_err(|error| error.to_string())
        };
        let key = "a b target\na c nontarget\n";
        assert_eq!(read(key, "a b 1.5\na c -2\n"), Ok((vec![1.5], vec![-2.0])));
        assert!(are_of(&trials, &scores).unwrap());
        std::fs::write(&scores, "a c -2\na b 1.5\n").unwrap();
        assert!(!are_of(&trials, &scores).unwrap());
        std::fs::write(&scores, "").unwrap();
        let error = are_of(&trials, &scores).unwrap_err().to_string();
        assert!(error.ends_with("s: expected at least one line, found none"));
        for (trials, scores, expected) in [
            (
                key,
                "a b 1\n",
                "s:2: expected a score of every trial, found the end",
            ),
            (
                key,
                "a b 1\na d 1\n",
                "s:2: expected a score of 'a c', the trial of this line, found 'a d'",
            ),
            (key, "a b 1\na c 1\na d 1\n", "s:3: expected the end"),
            (key, "a b inf\n", "s:1: expected 'enrolment test score'"),
            (key, "a b 1 2\n", "s:1: expected 'enrolment test score'"),
            ("a b\n", "a b 1\n", "t:1: expected whether it is a target"),
        ] {
            let error = read(trials, scores).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
