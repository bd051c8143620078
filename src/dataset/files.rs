//! The lines of all files of a data directory, for splitting and rewriting it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::layout::{self, KeyedBy};
use crate::error::{Error, Result};
use crate::io::atomic::{self, AtomicFile};
use crate::io::lines::{self, Entry};

/// The file that every data directory has.
const HEAD: &str = "utt2spk";

/// Lines by file name.
#[derive(Debug, Clone, Default)]
pub(super) struct DataFiles(pub(super) BTreeMap<String, Vec<Entry>>);

impl DataFiles {
    /// Reads the data files of a folder, which has to contain `utt2spk`.
    ///
    /// # Errors
    /// [`Error::Io`] when one is missing or cannot be read, [`Error::Line`] for a malformed line.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for name in layout::files(folder)? {
            let entries = lines::read_table(folder.join(&name))?;
            files.insert(name, entries);
        }
        match files.get("utt2spk").map(Vec::is_empty) {
            Some(false) => Ok(Self(files)),
            Some(true) => Err(Error::format(
                folder.join("utt2spk"),
                "an utterance",
                "none",
            )),
            None => Err(Error::format(folder.join("utt2spk"), "a file", "none")),
        }
    }

    /// The lines of a file; none when it is missing.
    pub(super) fn lines(&self, name: &str) -> &[Entry] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The recording of each utterance.
    pub(super) fn recording_of(&self) -> HashMap<&str, &str> {
        if self.0.contains_key("segments") {
            let first = |value| str::split_ascii_whitespace(value).next();
            let segments = self.lines("segments").iter();
            return segments
                .filter_map(|entry| Some((entry.key.as_str(), first(&entry.value)?)))
                .collect();
        }
        let utterances = self.lines("utt2spk").iter();
        utterances
            .map(|entry| (entry.key.as_str(), entry.key.as_str()))
            .collect()
    }

    /// Divides by utterance into `count` parts; utterances without a part are left out. Recordings and speakers go with
    /// their utterances, into several parts if needed. `spk2utt` is derived.
    pub(super) fn divide(&self, part_of: &HashMap<&str, usize>, count: usize) -> Vec<DataFiles> {
        let recording_of = self.recording_of();
        let mut speakers: HashMap<&str, BTreeSet<usize>> = HashMap::new();
        let mut recordings: HashMap<&str, BTreeSet<usize>> = HashMap::new();
        for entry in self.lines("utt2spk") {
            let Some(&part) = part_of.get(entry.key.as_str()) else {
                continue;
            };
            speakers.entry(&entry.value).or_default().insert(part);
            if let Some(recording) = recording_of.get(entry.key.as_str()) {
                recordings.entry(recording).or_default().insert(part);
            }
        }
        let mut parts = vec![DataFiles::default(); count];
        for (name, entries) in &self.0 {
            let keyed = layout::keyed_by(name);
            let mut lines = vec![Vec::new(); count];
            for entry in entries {
                let key = entry.key.as_str();
                let own = part_of
                    .get(key)
                    .copied()
                    .filter(|_| keyed == Some(KeyedBy::Utterance));
                let shared = match keyed {
                    Some(KeyedBy::Speaker) => speakers.get(key),
                    Some(KeyedBy::Recording) => recordings.get(key),
                    _ => None,
                };
                for part in own.into_iter().chain(shared.into_iter().flatten().copied()) {
                    lines[part].push(entry.clone());
                }
            }
            for (part, lines) in parts.iter_mut().zip(lines) {
                part.0.insert(name.clone(), lines);
            }
        }
        parts.iter_mut().for_each(DataFiles::invert);
        parts
    }

    /// Derives `spk2utt` from `utt2spk`, speakers in byte order.
    pub(super) fn invert(&mut self) {
        let mut spoken: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for entry in self.lines("utt2spk") {
            spoken
                .entry(entry.value.clone())
                .or_default()
                .push(&entry.key);
        }
        let entries = spoken
            .into_iter()
            .zip(1..)
            .map(|((key, utterances), line)| Entry {
                key,
                value: utterances.join(" "),
                line,
            });
        let entries = entries.collect();
        self.0.insert("spk2utt".into(), entries);
    }

    /// Writes the files as the folder `target`. A new folder appears complete. In an existing one all old data files
    /// are removed, `utt2spk` first, before the new ones are written, `utt2spk` last. So files of two runs never mix,
    /// and a killed process leaves no data directory.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub(super) fn write(&self, target: &Path) -> Result<()> {
        if target.is_dir() {
            return self.replace(target);
        }
        let made = atomic::folder_beside(target)?;
        for (name, entries) in &self.0 {
            atomic::write(made.path().join(name), render(entries))?;
        }
        made.rename(target).map_err(Error::io(target))
    }

    fn replace(&self, target: &Path) -> Result<()> {
        let (mut head, mut others) = (Vec::new(), Vec::new());
        for (name, entries) in &self.0 {
            let file = atomic::filled(&target.join(name), render(entries))?;
            let part = if name == HEAD { &mut head } else { &mut others };
            part.push(file);
        }
        let mut older = head.iter().chain(&others);
        older.try_for_each(AtomicFile::withdraw_older)?;
        for name in layout::files(target)? {
            let path = target.join(name);
            std::fs::remove_file(&path).map_err(Error::io(&path))?;
        }
        others
            .into_iter()
            .chain(head)
            .try_for_each(AtomicFile::commit)
    }
}

/// Lines as the text of a file.
pub(super) fn render(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        text.push_str(&entry.key);
        if !entry.value.is_empty() {
            text.push(' ');
            text.push_str(&entry.value);
        }
        text.push('\n');
    }
    text
}
