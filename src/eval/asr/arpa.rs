//! Back-off language models of words in ARPA's format, as SRILM, KenLM and Kaldi's tools write them.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::io::inputs;
use crate::io::lines::without_mark;

/// The longest accepted line, in bytes.
const LONGEST_LINE: u64 = 1 << 16;
/// The highest accepted order.
const MOST_ORDER: usize = 16;
/// Log10 probability of a word that the model lacks, as in KenLM.
const UNKNOWN: f32 = -100.0;

/// The number of a word.
pub type Word = u32;
/// A word that the model lacks, where it has no `<unk>`.
const NO_WORD: Word = Word::MAX;

/// A model of any order.
#[derive(Debug)]
pub struct Arpa {
    path: PathBuf,
    order: usize,
    words: HashMap<String, Word>,
    /// Per n-gram of any order: log10 of its probability and of its back-off weight.
    grams: HashMap<Box<[Word]>, (f32, f32)>,
}

impl Arpa {
    /// Reads a model, gzipped where the name ends in `.gz`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Line`] or [`Error::Format`] for what is no ARPA model.
    pub fn read(path: &Path) -> Result<Self> {
        Parser::new(path, inputs::unpacked(path)?).parse()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Words of the longest n-gram.
    pub fn order(&self) -> usize {
        self.order
    }

    /// The number of a word: that of `<unk>` for one that the model lacks.
    pub fn word(&self, word: &str) -> Word {
        let found = self.words.get(word).or_else(|| self.words.get("<unk>"));
        found.copied().unwrap_or(NO_WORD)
    }

    /// Whether the model has a word, `<unk>` not counted.
    pub fn contains(&self, word: &str) -> bool {
        self.words.contains_key(word)
    }

    /// log10 of the probability of `word` after `context`, of which the last `order - 1` words are used.
    pub fn log10(&self, context: &[Word], word: Word) -> f32 {
        let mut context = self.state(context);
        let mut weight = 0.0;
        loop {
            let gram: Vec<Word> = context.iter().copied().chain([word]).collect();
            if let Some((log10, _)) = self.grams.get(&gram[..]) {
                return weight + log10;
            }
            let Some((_, shorter)) = context.split_first() else {
                return weight + UNKNOWN;
            };
            weight += self.grams.get(context).map_or(0.0, |(_, backoff)| *backoff);
            context = shorter;
        }
    }

    /// The last words of a context, at most `order - 1`.
    pub fn state<'a>(&self, context: &'a [Word]) -> &'a [Word] {
        &context[context.len().saturating_sub(self.order - 1)..]
    }
}

struct Parser<'a, R> {
    path: &'a Path,
    reader: R,
    number: usize,
}

impl<'a, R: BufRead> Parser<'a, R> {
    fn new(path: &'a Path, reader: R) -> Self {
        Self {
            path,
            reader,
            number: 0,
        }
    }

    fn parse(mut self) -> Result<Arpa> {
        let counts = self.counts()?;
        let mut model = Arpa {
            path: self.path.to_path_buf(),
            order: counts.len(),
            words: HashMap::new(),
            grams: HashMap::new(),
        };
        for (index, &count) in counts.iter().enumerate() {
            self.grams(&mut model, index + 1, count)?;
        }
        match self.line_with_something()?.as_deref() {
            Some("\\end\\") => Ok(model),
            found => Err(self.refuse("\\end\\", found.unwrap_or("the end of the file"))),
        }
    }

    /// The head: `\data\` and how many n-grams of each order there are.
    fn counts(&mut self) -> Result<Vec<u64>> {
        // Text before the header is a comment.
        loop {
            match self.line()? {
                Some(line) if line == "\\data\\" => break,
                Some(_) => {}
                None => return Err(Error::format(self.path, "an ARPA model (\\data\\)", "none")),
            }
        }
        let mut counts = Vec::new();
        while let Some(line) = self.line()? {
            if line.is_empty() {
                if counts.is_empty() {
                    continue;
                }
                break;
            }
            let order = counts.len() + 1;
            let count = line
                .strip_prefix("ngram ")
                .and_then(|rest| rest.trim().split_once('='))
                .filter(|(own, _)| own.trim().parse() == Ok(order))
                .and_then(|(_, count)| count.trim().parse().ok());
            match count {
                Some(count) if order <= MOST_ORDER => counts.push(count),
                _ => return Err(self.refuse(format!("ngram {order}=COUNT"), line)),
            }
        }
        match counts.is_empty() {
            true => Err(self.refuse("ngram 1=COUNT", "none")),
            false => Ok(counts),
        }
    }

    /// A section: `\N-grams:` and its lines up to an empty one.
    fn grams(&mut self, model: &mut Arpa, order: usize, count: u64) -> Result<()> {
        let title = format!("\\{order}-grams:");
        match self.line_with_something()? {
            Some(line) if line == title => {}
            found => {
                let found = found.unwrap_or_else(|| "the end of the file".into());
                return Err(self.refuse(title, found));
            }
        }
        for _ in 0..count {
            let line = self.line_with_something()?.unwrap_or_default();
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let numbers = (fields.first(), fields.get(order + 1));
            // A probability may be 0; its logarithm is never above 0, and no weight is infinite.
            let probability = |field: &str| field.parse().ok().filter(|x: &f32| *x <= 0.0);
            let weight = |field: &str| field.parse().ok().filter(|x: &f32| x.is_finite());
            let (log10, backoff) = match numbers {
                (Some(first), None) if fields.len() == order + 1 => (probability(first), Some(0.0)),
                (Some(first), Some(last)) if fields.len() == order + 2 => {
                    (probability(first), weight(last))
                }
                _ => (None, None),
            };
            let (Some(log10), Some(backoff)) = (log10, backoff) else {
                let expected = format!(
                    "log10 of a probability, {order} words and, but for the highest order, log10 of a back-off weight \
                     ({count} such lines)"
                );
                let found = if line.is_empty() { "none" } else { &line };
                return Err(self.refuse(expected, found));
            };
            let gram = self.gram(model, &fields[1..=order])?;
            model.grams.insert(gram, (log10.max(UNKNOWN), backoff));
        }
        Ok(())
    }

    fn gram(&self, model: &mut Arpa, fields: &[&str]) -> Result<Box<[Word]>> {
        if let [word] = fields {
            let number = model.words.len() as Word;
            if model.words.insert((*word).to_string(), number).is_some() {
                return Err(self.refuse("each word once", format!("'{word}' again")));
            }
        }
        let numbers = fields.iter().map(|word| model.words.get(*word).copied());
        match numbers.collect::<Option<_>>() {
            Some(gram) => Ok(gram),
            None => Err(self.refuse("words of the 1-grams", fields.join(" "))),
        }
    }

    fn line_with_something(&mut self) -> Result<Option<String>> {
        loop {
            match self.line()? {
                Some(line) if line.is_empty() => {}
                line => return Ok(line),
            }
        }
    }

    fn line(&mut self) -> Result<Option<String>> {
        let mut bytes = Vec::new();
        self.number += 1;
        let read = (&mut self.reader)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut bytes);
        if read.map_err(Error::io(self.path))? == 0 {
            return Ok(None);
        }
        if bytes.len() as u64 == LONGEST_LINE {
            let expected = format!("a line of less than {LONGEST_LINE} bytes");
            return Err(self.refuse(expected, "more"));
        }
        let bytes = if self.number == 1 {
            without_mark(&bytes)
        } else {
            &bytes
        };
        match std::str::from_utf8(bytes) {
            Ok(line) => Ok(Some(line.trim().to_string())),
            Err(_) => Err(self.refuse("UTF-8 text", "other bytes")),
        }
    }

    fn refuse(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::line(self.path, self.number, expected, found)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;

    pub(in crate::eval::asr) const MODEL: &str = "made by hand\n\n\\data\\\nngram 1=5\nngram 2=3\nngram 3=1\n\n\\1-grams:\n\
        -99\t<s>\t-0.5\n-1.0\t</s>\n-0.7\tone\t-0.2\n-0.9\ttwo\t-0.1\n-2.0\t<unk>\n\n\\2-grams:\n-0.3\t<s> one\t-0.4\n\
        -0.6\tone two\t-0.25\n-0.4\ttwo </s>\n\n\\3-grams:\n-0.05\t<s> one two\n\n\\end\\\n";

    pub(in crate::eval::asr) fn read(text: &str) -> Result<Arpa> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lm.arpa");
        fs::write(&path, text).unwrap();
        Arpa::read(&path)
    }

    #[test]
    fn longer_contexts_are_used_where_the_model_has_them() {
        let model = read(MODEL).unwrap();
        let [begin, end, one, two] = ["<s>", "</s>", "one", "two"].map(|word| model.word(word));
        let unknown = model.word("three");
        for (context, word, expected) in [
            (&[begin][..], one, -0.3),
            (&[begin, one], two, -0.05),
            // The weight of "<s> one", then "one", then the word alone.
            (&[begin, one], one, -0.4 - 0.2 - 0.7),
            (&[two, one], two, -0.6),
            (&[one, one, two], end, -0.25 - 0.4),
            (&[begin, two], unknown, -0.1 - 2.0),
            (&[], two, -0.9),
        ] {
            let found = model.log10(context, word);
            assert!(
                (found - expected).abs() < 1e-6,
                "{context:?} {word}: {found}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_are_no_part_of_a_model() {
        let foreign = MODEL
            .replace("made by hand\n\n", "\u{feff}")
            .replace('\n', "\r\n");
        assert_eq!(read(&foreign).unwrap().grams, read(MODEL).unwrap().grams);
    }

    #[test]
    fn a_broken_model_is_refused_with_its_line() {
        for (from, to, expected) in [
            (
                "\\data\\",
                "\\date\\",
                "an ARPA model (\\data\\), found none",
            ),
            (
                "ngram 2=3",
                "ngram 3=3",
                "5: expected ngram 2=COUNT, found ngram 3=3",
            ),
            ("ngram 2=3", "ngram 2=4", "20: expected log10"),
            ("ngram 3=1", "ngram 3=2", "expected log10"),
            ("-0.9\ttwo", "x\ttwo", "expected log10"),
            ("-0.9\ttwo", "0.9\ttwo", "expected log10"),
            ("-0.9\ttwo", "NaN\ttwo", "expected log10"),
            ("two\t-0.1", "two\tinf", "expected log10"),
            (
                "-0.6\tone two",
                "-0.6\tone six",
                "expected words of the 1-grams, found one six",
            ),
            (
                "-0.9\ttwo",
                "-0.9\tone",
                "expected each word once, found 'one' again",
            ),
            ("\\end\\", "", "expected \\end\\, found the end of the file"),
            (
                "\\2-grams:",
                "\\4-grams:",
                "expected \\2-grams:, found \\4-grams:",
            ),
        ] {
            let error = read(&MODEL.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(expected), "{from} {to}: {error}");
        }
    }
}
