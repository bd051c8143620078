//! The rules of a data directory, as in Kaldi's `utils/validate_data_dir.sh`. All violations are reported, not only the
//! first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::contents::{check_contents, check_segments};
use super::layout::{self, KeyedBy};
use super::rows::Rows;
use super::segments::Segment;
use crate::error::{Error, Result};
use crate::io::lines::Entry;

/// The files that may be missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct ValidateOptions {
    /// `feats.scp` may be missing.
    pub no_feats: bool,
    /// `wav.scp` may be missing.
    pub no_wav: bool,
    /// `text` may be missing.
    pub no_text: bool,
    /// Listed objects and recordings are checked too, as by [`check_contents`], as far as the lists can be read.
    pub deep: bool,
}

/// Checks a data directory. Required files exist. Each line has its columns, and a unique key in byte order (`utt2spk`
/// is also sorted by speaker). The files agree in their utterances, speakers and recordings, and `spk2utt` is the
/// inverse of `utt2spk`. Segments lie within the lengths that headers of recordings state, where these can be
/// opened. Returns all errors, by file; none for a valid directory.
///
/// # Errors
/// [`Error::Io`] when the folder or a file in it cannot be read.
pub fn validate(folder: impl AsRef<Path>, options: ValidateOptions) -> Result<Vec<Error>> {
    let folder = folder.as_ref();
    let mut check = Check {
        folder: folder.to_path_buf(),
        files: BTreeMap::new(),
        problems: Vec::new(),
    };
    for name in layout::files(folder)? {
        let rows = Rows::read(&folder.join(&name))?;
        check.problems.extend(rows.problems);
        check.files.insert(name, rows.entries);
    }
    check.presence(options);
    check.order();
    check.columns();
    check.keys();
    check.inverse();
    match options.deep {
        true => check.problems.extend(check_contents(folder)?),
        false => check.problems.extend(check_segments(folder)),
    }
    Ok(check.problems)
}

/// The files of a folder, and their errors so far.
struct Check {
    folder: PathBuf,
    files: BTreeMap<String, Vec<Entry>>,
    problems: Vec<Error>,
}

impl Check {
    fn presence(&mut self, options: ValidateOptions) {
        for (name, needed) in [
            ("utt2spk", true),
            ("spk2utt", true),
            ("text", !options.no_text),
            ("wav.scp", !options.no_wav),
            ("feats.scp", !options.no_feats),
        ] {
            match self.files.get(name) {
                None if needed => self.whole(name, "a file", "none"),
                Some(entries) if entries.is_empty() => self.whole(name, "a line", "none"),
                _ => {}
            }
        }
    }

    /// Keys in byte order, unique; `utt2spk` also by speaker.
    fn order(&mut self) {
        let mut problems = Vec::new();
        for (name, entries) in &self.files {
            let path = self.folder.join(name);
            for pair in entries.windows(2) {
                let (before, entry) = (&pair[0], &pair[1]);
                if entry.key <= before.key {
                    let expected = format!("a key after '{}' in byte order", before.key);
                    problems.push(wrong(&path, entry, &expected, &entry.key));
                } else if name == "utt2spk" && entry.value < before.value {
                    let expected = format!(
                        "a speaker not before '{}' in byte order (let utterances begin with their speaker)",
                        before.value
                    );
                    problems.push(wrong(&path, entry, &expected, &entry.value));
                }
            }
        }
        self.problems.append(&mut problems);
    }

    fn columns(&mut self) {
        let mut problems = Vec::new();
        for (name, entries) in &self.files {
            let path = self.folder.join(name);
            problems.extend(
                entries
                    .iter()
                    .filter_map(|entry| column_fault(&path, name, entry)),
            );
        }
        self.problems.append(&mut problems);
    }

    /// Compares the keys of each file with those of `utt2spk`, `spk2utt` and `wav.scp`.
    fn keys(&mut self) {
        let utterances = self.key_set("utt2spk");
        let speakers: BTreeSet<String> = self.values("utt2spk").collect();
        let recordings = self.recordings();
        let names: Vec<String> = self.files.keys().cloned().collect();
        for name in names.iter().filter(|name| *name != "utt2spk") {
            match layout::keyed_by(name) {
                Some(KeyedBy::Utterance) => self.agree(name, &utterances, "utt2spk"),
                Some(KeyedBy::Speaker) => self.agree(name, &speakers, "utt2spk"),
                Some(KeyedBy::Recording) => {
                    let of = if self.files.contains_key("segments") {
                        "segments"
                    } else {
                        "utt2spk"
                    };
                    self.agree(name, &recordings, of);
                }
                None => {}
            }
        }
    }

    /// Checks that the keys of `name` are those that `of` requires.
    fn agree(&mut self, name: &str, expected: &BTreeSet<String>, of: &str) {
        let path = self.folder.join(name);
        let entries = self.files.get(name).map_or(&[][..], Vec::as_slice);
        let found: BTreeSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let mut problems: Vec<Error> = entries
            .iter()
            .filter(|entry| !expected.contains(&entry.key))
            .map(|entry| wrong(&path, entry, &format!("a key that {of} has"), &entry.key))
            .collect();
        let missing = expected.iter().filter(|key| !found.contains(key.as_str()));
        let line = format!("a line, since {of} has one");
        problems.extend(missing.map(|key| Error::key(&path, key, &line, "none")));
        self.problems.append(&mut problems);
    }

    /// Checks that `spk2utt` agrees with `utt2spk`.
    fn inverse(&mut self) {
        let (Some(utt2spk), Some(spk2utt)) = (self.files.get("utt2spk"), self.files.get("spk2utt"))
        else {
            return;
        };
        let mut utterances_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for entry in utt2spk {
            utterances_of
                .entry(&entry.value)
                .or_default()
                .insert(&entry.key);
        }
        let path = self.folder.join("spk2utt");
        let mut problems = Vec::new();
        for entry in spk2utt {
            let listed: BTreeSet<&str> = entry.value.split_ascii_whitespace().collect();
            let Some(expected) = utterances_of.get(entry.key.as_str()) else {
                continue; // `keys` has reported a speaker that is not in utt2spk.
            };
            if let Some(odd) = listed.symmetric_difference(expected).next() {
                let side = if expected.contains(odd) {
                    "without"
                } else {
                    "with"
                };
                let expected = "the utterances that utt2spk gives this speaker";
                let found = format!("'{}' {side} '{odd}'", entry.key);
                problems.push(Error::line(&path, entry.line, expected, found));
            }
        }
        self.problems.append(&mut problems);
    }

    fn key_set(&self, name: &str) -> BTreeSet<String> {
        let entries = self.files.get(name).map_or(&[][..], Vec::as_slice);
        entries.iter().map(|entry| entry.key.clone()).collect()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = String> {
        let entries = self.files.get(name).map_or(&[][..], Vec::as_slice);
        entries.iter().map(|entry| entry.value.clone())
    }

    /// The utterances of `segments`, or all utterances.
    fn recordings(&self) -> BTreeSet<String> {
        if !self.files.contains_key("segments") {
            return self.key_set("utt2spk");
        }
        self.values("segments")
            .filter_map(|value| Some(value.split_ascii_whitespace().next()?.to_string()))
            .collect()
    }

    fn whole(&mut self, name: &str, expected: &str, found: &str) {
        self.problems
            .push(Error::format(self.folder.join(name), expected, found));
    }
}

fn wrong(path: &Path, entry: &Entry, expected: &str, found: &str) -> Error {
    Error::line(path, entry.line, expected, format!("'{found}'"))
}

/// The error of the columns after a key.
fn column_fault(path: &Path, name: &str, entry: &Entry) -> Option<Error> {
    let value = entry.value.as_str();
    let one_word = !value.is_empty() && !value.contains(|c: char| c.is_ascii_whitespace());
    let number = || {
        value
            .parse::<f64>()
            .is_ok_and(|n| n.is_finite() && n >= 0.0)
    };
    let (right, expected) = match name {
        "segments" => return Segment::parse(path, entry).err(),
        "utt2spk" => (one_word, "one speaker"),
        "utt2lang" => (one_word, "one language"),
        "spk2gender" => (value == "m" || value == "f", "m or f"),
        "utt2dur" | "reco2dur" => (one_word && number(), "a length in seconds"),
        "utt2num_frames" => (value.parse::<u64>().is_ok(), "a number of frames"),
        "text" | "utt2phones" => return text_fault(path, entry),
        _ => (!value.is_empty(), "a value"),
    };
    (!right).then(|| wrong(path, entry, expected, value))
}

/// A transcript may be empty. It may not contain white space that separates words for only some tools.
fn text_fault(path: &Path, entry: &Entry) -> Option<Error> {
    let odd = entry
        .value
        .chars()
        .find(|c| (c.is_whitespace() || c.is_control()) && *c != ' ' && *c != '\t')?;
    let expected = "words with ASCII spaces between them";
    Some(Error::line(path, entry.line, expected, format!("{odd:?}")))
}

#[cfg(test)]
mod tests {
    use super::super::made::folder;
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("utt2spk", "a-1 a\na-2 a\nb-1 b\n"),
        ("spk2utt", "a a-1 a-2\nb b-1\n"),
        ("text", "a-1 one\na-2 two\nb-1\n"),
        ("wav.scp", "r x.wav\ns y.wav\n"),
        ("segments", "a-1 r 0 1\na-2 r 1 2\nb-1 s 0 0.5\n"),
        ("feats.scp", "a-1 f:1\na-2 f:2\nb-1 f:3\n"),
        ("cmvn.scp", "a c:1\nb c:2\n"),
        ("spk2gender", "a m\nb f\n"),
        ("reco2dur", "r 2\ns 1\n"),
    ];

    fn problems(changed: &[(&str, &str)]) -> Vec<String> {
        let dir = folder(GOOD);
        for (name, content) in changed {
            let path = dir.path().join(name);
            match *content {
                "MISSING" => std::fs::remove_file(path).unwrap(),
                content => std::fs::write(path, content).unwrap(),
            }
        }
        let prefix = format!("{}/", dir.path().display());
        validate(dir.path(), ValidateOptions::default())
            .unwrap()
            .iter()
            .map(|problem| problem.to_string().replace(&prefix, ""))
            .collect()
    }

    #[test]
    fn a_valid_folder_has_no_errors() {
        assert_eq!(problems(&[]), [""; 0]);
        assert_eq!(
            problems(&[("utt2phones", "a-1 ah\na-2\nb-1 ih\n")]),
            [""; 0]
        );
    }

    #[test]
    fn each_rule_is_checked() {
        for (name, content, expected) in [
            ("utt2spk", "MISSING", "utt2spk: expected a file, found none"),
            (
                "feats.scp",
                "MISSING",
                "feats.scp: expected a file, found none",
            ),
            (
                "text",
                "a-1 one\na-2 two\nb-1",
                "text:3: expected a newline at the end",
            ),
            (
                "text",
                "\u{feff}a-1 one\na-2 two\nb-1\n",
                "text:1: expected text from the first byte, found a byte order mark",
            ),
            (
                "text",
                "a-1 one\na-2 two\r\nb-1\r\n",
                "text:2: expected lines that end with LF alone, found CR LF",
            ),
            (
                "text",
                "a-2 two\na-1 one\nb-1\n",
                "text:2: expected a key after 'a-2'",
            ),
            (
                "text",
                "a-1 one\na-1 one\na-2\nb-1\n",
                "text:2: expected a key after 'a-1'",
            ),
            (
                "text",
                "a-1 one\n\na-2 two\nb-1\n",
                "text:2: expected a key, found an empty line",
            ),
            (
                "text",
                "a-1 o\u{a0}ne\na-2\nb-1\n",
                "text:1: expected words with ASCII spaces",
            ),
            (
                "text",
                "a-1 one\nb-1\n",
                "text: a-2: expected a line, since utt2spk has one",
            ),
            (
                "text",
                "a-1\na-2\na-3\nb-1\n",
                "text:3: expected a key that utt2spk has",
            ),
            (
                "utt2spk",
                "a-1 b\na-2 a\nb-1 b\n",
                "utt2spk:2: expected a speaker not before 'b'",
            ),
            (
                "utt2spk",
                "a-1 a\na-2\nb-1 b\n",
                "utt2spk:2: expected one speaker",
            ),
            (
                "spk2utt",
                "a a-1\nb b-1\n",
                "spk2utt:1: expected the utterances",
            ),
            (
                "segments",
                "a-1 r 0 1\na-2 r 2 2\nb-1 s 0 1\n",
                "segments:2: expected utterance",
            ),
            (
                "wav.scp",
                "r x.wav\n",
                "wav.scp: s: expected a line, since segments has one",
            ),
            ("wav.scp", "r x.wav\ns\n", "wav.scp:2: expected a value"),
            (
                "spk2gender",
                "a m\nb x\n",
                "spk2gender:2: expected m or f, found 'x'",
            ),
            (
                "reco2dur",
                "r 2\ns -1\n",
                "reco2dur:2: expected a length in seconds",
            ),
            ("cmvn.scp", "a c:1\n", "cmvn.scp: b: expected a line"),
            (
                "utt2lang",
                "a-1 ga\na-2\nb-1 ga\n",
                "utt2lang:2: expected one language",
            ),
            (
                "utt2num_frames",
                "a-1 3\na-2 x\nb-1 3\n",
                "utt2num_frames:2: expected a number",
            ),
        ] {
            let found = problems(&[(name, content)]);
            assert!(
                found.iter().any(|p| p.starts_with(expected)),
                "{expected}: {found:#?}"
            );
        }
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        // Once per file, not per line; keys are those without the byte order mark.
        assert_eq!(
            problems(&[("text", "\u{feff}a-1 one\r\na-2\r\nb-1\r\n")]).len(),
            2
        );
        assert_eq!(
            problems(&[("text", "MISSING"), ("feats.scp", "b-1 f:3\na-1\n")]).len(),
            4
        );
    }

    #[test]
    fn optional_files_may_be_missing() {
        let dir = folder(&[("utt2spk", "a a\n"), ("spk2utt", "a a\n")]);
        let options = ValidateOptions {
            no_feats: true,
            no_wav: true,
            no_text: true,
            deep: false,
        };
        assert!(validate(dir.path(), options).unwrap().is_empty());
    }
}
