//! Speaker verification: lists of trials in the usual formats, their scores, and measures of them: equal error rate,
//! detection cost, Cllr, DET curve.

mod cllr;
mod det;
mod detection;
mod scores;

use std::path::Path;

#[cfg(feature = "torch")]
pub(crate) use cllr::Pool;
pub(crate) use cllr::softplus;
pub use det::{DetPoint, probit};
pub use detection::{Detection, ScoredTrials, Verification};
pub use scores::{ScoreLine, are_of, each_score, each_scored, read_scored};

use crate::error::{Error, Result};
use crate::io::lines::LineBlocks;

/// Lines per block; the lines of a block are scored in parallel.
const BLOCK_LINES: usize = 1 << 13;

/// A trial: are both sides of one speaker?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial<'a> {
    /// Key of the enrolled utterance or model.
    pub enrolment: &'a str,
    /// Key of the utterance under test.
    pub test: &'a str,
    /// Whether they are, where the list has it.
    pub target: Option<bool>,
}

/// The format of a list of trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialForm {
    /// `enrolment test target|nontarget`, as Kaldi.
    Kaldi,
    /// `1|0 enrolment test`, as VoxCeleb.
    VoxCeleb,
    /// `enrolment test`, without labels.
    Unlabelled,
}

impl TrialForm {
    /// The format of a list, by its first line; none when it has none of them.
    pub fn of(line: &str) -> Option<Self> {
        [Self::Kaldi, Self::VoxCeleb, Self::Unlabelled]
            .into_iter()
            .find(|form| form.parse(line).is_some())
    }

    /// Reads a line of this format; none when it has another.
    pub fn parse<'a>(self, line: &'a str) -> Option<Trial<'a>> {
        let mut fields = line.split_ascii_whitespace();
        let mut next = || fields.next();
        let (enrolment, test, target) = match self {
            Self::Kaldi => {
                let (enrolment, test, kind) = (next()?, next()?, next()?);
                (enrolment, test, Some(answer(kind, "target", "nontarget")?))
            }
            Self::VoxCeleb => {
                let kind = answer(next()?, "1", "0")?;
                (next()?, next()?, Some(kind))
            }
            Self::Unlabelled => (next()?, next()?, None),
        };
        fields.next().is_none().then_some(Trial {
            enrolment,
            test,
            target,
        })
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Kaldi => "'enrolment test target|nontarget'",
            Self::VoxCeleb => "'1|0 enrolment test'",
            Self::Unlabelled => "'enrolment test'",
        }
    }
}

fn answer(word: &str, yes: &str, no: &str) -> Option<bool> {
    match word {
        _ if word == yes => Some(true),
        _ if word == no => Some(false),
        _ => None,
    }
}

/// A list of trials, read in blocks.
#[derive(Debug)]
pub struct TrialReader {
    blocks: LineBlocks,
    form: Option<TrialForm>,
}

/// Neighbouring lines of a list of trials.
#[derive(Debug)]
pub struct TrialBlock<'a> {
    path: &'a Path,
    form: TrialForm,
    first: usize,
    lines: Vec<String>,
}

impl TrialReader {
    /// Opens a list.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            blocks: LineBlocks::open(path)?,
            form: None,
        })
    }

    /// The format of the list, by its first line, before the list is read.
    ///
    /// # Errors
    /// As [`TrialReader::next_block`].
    pub fn form(path: impl AsRef<Path>) -> Result<TrialForm> {
        let mut reader = Self::open(path)?;
        let block = reader.next_block()?;
        // The first block of a reader exists, or it is an error.
        Ok(block.map_or(TrialForm::Kaldi, |block| block.form))
    }

    /// The next trials; none at the end.
    ///
    /// # Errors
    /// As [`LineBlocks::next_block`]; [`Error::Line`] for a first line of no [`TrialForm`]; [`Error::Format`] for a
    /// list without lines.
    pub fn next_block(&mut self) -> Result<Option<TrialBlock<'_>>> {
        let block = self.blocks.next_block(BLOCK_LINES)?;
        let path = self.blocks.path();
        let Some(block) = block else {
            return match self.form {
                Some(_) => Ok(None),
                None => Err(Error::format(path, "trials", "none")),
            };
        };
        let form = match self.form {
            Some(form) => form,
            None => TrialForm::of(&block.lines[0]).ok_or_else(|| {
                let expected =
                    "'enrolment test target|nontarget', '1|0 enrolment test' or 'enrolment test'";
                Error::line(path, 1, expected, format!("'{}'", block.lines[0]))
            })?,
        };
        self.form = Some(form);
        Ok(Some(TrialBlock {
            path,
            form,
            first: block.first,
            lines: block.lines,
        }))
    }
}

impl TrialBlock<'_> {
    /// How many trials there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Always false: a block of a reader has at least one.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Trial number `index` of the block.
    ///
    /// # Errors
    /// [`Error::Line`] for a line of another format than the list's first.
    pub fn trial(&self, index: usize) -> Result<Trial<'_>> {
        let line = &self.lines[index];
        self.form
            .parse(line)
            .ok_or_else(|| self.fault(index, self.form.describe(), format!("'{line}'")))
    }

    /// An error at trial number `index` of the block.
    pub fn fault(
        &self,
        index: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::line(self.path, self.first + index, expected, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_decides_the_format() {
        for (line, form) in [
            ("a b target", Some(TrialForm::Kaldi)),
            ("1 b nontarget", Some(TrialForm::Kaldi)),
            ("1 a b", Some(TrialForm::VoxCeleb)),
            ("0 a  b ", Some(TrialForm::VoxCeleb)),
            ("1 b", Some(TrialForm::Unlabelled)),
            ("2 a b", None),
            ("a", None),
            ("", None),
            ("a b target x", None),
        ] {
            assert_eq!(TrialForm::of(line), form, "{line}");
        }
        let trial = TrialForm::VoxCeleb.parse("0 a b").unwrap();
        assert_eq!(
            (trial.enrolment, trial.test, trial.target),
            ("a", "b", Some(false))
        );
    }

    #[test]
    fn a_line_of_another_form_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "1 a b\na b target\n").unwrap();
        let mut reader = TrialReader::open(file.path()).unwrap();
        let block = reader.next_block().unwrap().unwrap();
        assert_eq!(block.len(), 2);
        let error = block.trial(1).unwrap_err().to_string();
        assert!(
            error.ends_with(":2: expected '1|0 enrolment test', found 'a b target'"),
            "{error}"
        );
    }
}
