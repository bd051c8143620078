//! Praat's TextGrid, in its long and its short form: what counts in both are the free-standing numbers, texts in quotes and
//! flags, in one order (Praat manual, "TextGrid file formats"). The rest of the long form are comments.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::{PhonesByUtterance, TimedPhone};
use crate::dataset::make::{prefixed, valid};
use crate::error::{Error, Result};
use crate::io::lines::read_text;
use crate::io::walk::files_below;

/// Whether a text begins as a TextGrid, or another of Praat's files, does.
pub(super) fn is_textgrid(text: &str) -> bool {
    let head = text.trim_start().lines().next().unwrap_or_default();
    ["ooTextFile", "ooBinaryFile", "Praat chronological"]
        .iter()
        .any(|mark| head.contains(mark))
}

/// The phones of the TextGrids below a folder. The utterance is the file's name, or that after the name of its folder as
/// `unbraid data make` forms it; a name that two files have is none.
///
/// # Errors
/// Errors of listing and reading; [`Error::Format`] for a folder without TextGrids.
pub(super) fn read_folder(folder: &Path, tier: &str) -> Result<PhonesByUtterance<String>> {
    let (mut files, _) = files_below(folder)?;
    files.retain(|file| file.to_ascii_lowercase().ends_with(".textgrid"));
    if files.is_empty() {
        return Err(Error::format(folder, "TextGrid files", "none"));
    }
    let read = |file: &String| -> Result<(Vec<String>, Vec<TimedPhone<String>>)> {
        let path = folder.join(file);
        let phones = parse(&path, &read_text(&path)?, tier)?;
        Ok((ids(file), phones))
    };
    // The first error is that of the first file.
    let read: Vec<_> = files.par_iter().map(read).collect();
    let read: Vec<_> = read.into_iter().collect::<Result<_>>()?;
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for id in read.iter().flat_map(|(ids, _)| ids) {
        *owners.entry(id).or_default() += 1;
    }
    let mut phones = PhonesByUtterance::new();
    for (ids, own) in &read {
        for id in ids.iter().filter(|id| owners[id.as_str()] == 1) {
            phones.insert(id.clone(), own.clone());
        }
    }
    Ok(phones)
}

/// The utterances that a file may be of.
fn ids(file: &str) -> Vec<String> {
    let name = &file[..file.len() - ".textgrid".len()];
    let (folders, stem) = name.rsplit_once('/').unwrap_or(("", name));
    let mut ids = vec![stem.to_string()];
    if let Some(speaker) = folders.rsplit('/').next().filter(|name| !name.is_empty()) {
        ids.push(prefixed(&valid(speaker), &valid(stem)));
    }
    ids.dedup();
    ids
}

/// The intervals with text of the tier of this name, in any case, or of those of several speakers (`SPEAKER - NAME`).
///
/// # Errors
/// [`Error::Line`] for what is no TextGrid; [`Error::Key`] without such a tier of intervals.
pub(super) fn parse(path: &Path, text: &str, tier: &str) -> Result<Vec<TimedPhone<String>>> {
    let head = text.lines().next().unwrap_or_default();
    for (mark, form) in [
        ("ooBinaryFile", "the binary form"),
        ("Praat chronological", "the chronological form"),
    ] {
        if head.contains(mark) {
            return Err(Error::format(path, "a TextGrid in text form", form));
        }
    }
    let mut tokens = Tokens {
        path,
        rest: text,
        line: 1,
    };
    tokens.text()?;
    let class = tokens.text()?;
    if class != "TextGrid" {
        return Err(tokens.wrong("TextGrid", &class));
    }
    let (_start, _end) = (tokens.number()?, tokens.number()?);
    let mut names = Vec::new();
    let mut found: Option<Vec<TimedPhone<String>>> = None;
    for _ in 0..tokens.number()? as usize {
        let class = tokens.text()?;
        let is_points = match class.as_str() {
            "IntervalTier" => false,
            "TextTier" => true,
            _ => return Err(tokens.wrong("IntervalTier or TextTier", &class)),
        };
        let name = tokens.text()?;
        let wanted = is_named(&name, tier);
        if wanted && is_points {
            return Err(Error::key(
                path,
                name,
                "a tier of intervals",
                "one of points",
            ));
        }
        let phones = tokens.entries(is_points)?;
        if wanted {
            found.get_or_insert_default().extend(phones);
        }
        names.push(name);
    }
    let mut phones =
        found.ok_or_else(|| Error::key(path, tier, "a tier of this name", names.join(", ")))?;
    phones.sort_by(|a, b| a.start.total_cmp(&b.start));
    Ok(phones)
}

fn is_named(name: &str, tier: &str) -> bool {
    let name = name.rsplit(" - ").next().unwrap_or(name);
    name.trim().eq_ignore_ascii_case(tier)
}

/// The numbers and texts of a file, one after another.
struct Tokens<'a> {
    path: &'a Path,
    rest: &'a str,
    line: usize,
}

enum Token {
    Number(f64),
    Text(String),
}

impl Tokens<'_> {
    /// The next of them; none at the end. Flags, and words that are no numbers, are passed over.
    fn next(&mut self) -> Result<Option<Token>> {
        loop {
            let spaces = self.rest.len() - self.rest.trim_start().len();
            self.skip(spaces);
            let Some(first) = self.rest.chars().next() else {
                return Ok(None);
            };
            if first == '"' {
                return self.quoted().map(Some);
            }
            let comment = first == '!';
            let end = self.rest.find(|c: char| {
                if comment {
                    c == '\n'
                } else {
                    c.is_whitespace()
                }
            });
            let word = &self.rest[..end.unwrap_or(self.rest.len())];
            let number = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            let number = word.parse().ok().filter(|n: &f64| number && n.is_finite());
            self.skip(word.len());
            if let Some(number) = number {
                return Ok(Some(Token::Number(number)));
            }
        }
    }

    /// A text up to its closing quote; two quotes are one in it.
    fn quoted(&mut self) -> Result<Token> {
        let mut text = String::new();
        self.skip(1);
        loop {
            let Some(end) = self.rest.find('"') else {
                return Err(Error::line(
                    self.path,
                    self.line,
                    "text in quotes",
                    "the end of the file",
                ));
            };
            text.push_str(&self.rest[..end]);
            self.skip(end + 1);
            if !self.rest.starts_with('"') {
                return Ok(Token::Text(text));
            }
            text.push('"');
            self.skip(1);
        }
    }

    fn skip(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    fn wrong(&self, expected: &str, found: &str) -> Error {
        Error::line(self.path, self.line, expected, format!("'{found}'"))
    }

    fn text(&mut self) -> Result<String> {
        match self.next()? {
            Some(Token::Text(text)) => Ok(text),
            Some(Token::Number(number)) => Err(self.wrong("text in quotes", &number.to_string())),
            None => Err(Error::line(
                self.path,
                self.line,
                "text in quotes",
                "the end of the file",
            )),
        }
    }

    fn number(&mut self) -> Result<f64> {
        match self.next()? {
            Some(Token::Number(number)) => Ok(number),
            Some(Token::Text(text)) => Err(self.wrong("a number", &text)),
            None => Err(Error::line(
                self.path,
                self.line,
                "a number",
                "the end of the file",
            )),
        }
    }

    /// The intervals with text of a tier, from behind its name; of points none.
    fn entries(&mut self, is_points: bool) -> Result<Vec<TimedPhone<String>>> {
        let (_start, _end) = (self.number()?, self.number()?);
        let mut phones = Vec::new();
        for _ in 0..self.number()? as usize {
            let start = self.number()?;
            let end = match is_points {
                true => f64::INFINITY,
                false => self.number()?,
            };
            if end <= start {
                let expected = format!("an end after {start}");
                return Err(Error::line(self.path, self.line, expected, end.to_string()));
            }
            let text = self.text()?;
            let phone = text.trim();
            if !phone.is_empty() && !is_points {
                phones.push(TimedPhone {
                    start,
                    duration: end - start,
                    phone: phone.to_string(),
                });
            }
        }
        Ok(phones)
    }
}
