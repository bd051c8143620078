//! The recordings of a folder, with the speaker and the transcript of each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::found::{Candidate, Found, extension, is_named_audio};
use super::pattern::{Fields, Pattern, without_extension};
use super::table::{self, TableOptions};
use super::{cuts, genders, shards};
use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::io::audio::AudioSource;
use crate::io::lines::read_text;
use crate::io::walk::files_below;

/// What decides which files are recordings, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Every audio file; its speaker is the folder that it lies in. Transcripts are beside it.
    Folders,
    /// The files that match one of these patterns; the speaker is the field `speaker`.
    Patterns(Vec<Pattern>, Transcripts),
    /// The rows of a table.
    Table(TableOptions),
    /// Tar files of recordings `KEY.wav`, with `KEY.spk` and `KEY.txt` beside them, as WeNet and WeSpeaker have them.
    Shards,
    /// A file of cuts, of lhotse.
    Cuts,
}

/// Where transcripts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transcripts {
    /// In `NAME.txt` or `NAME.lab` beside `NAME.wav`.
    Beside,
    /// In `SPEAKER-CHAPTER.trans.txt` beside the recordings, a line per utterance.
    LibriSpeech,
    /// In `txt/SPEAKER/UTTERANCE.txt`.
    Vctk,
}

/// Layouts of corpora, known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `SPEAKER/CHAPTER/UTTERANCE.flac`, also of several parts.
    LibriSpeech,
    /// Releases 0.80 and 0.92, of the latter the first microphone.
    Vctk,
    /// `SPEAKER/VIDEO/NUMBER.wav` (or `.m4a`).
    VoxCeleb,
    /// `clips/` and `validated.tsv`.
    CommonVoice,
    /// Tar files of recordings ([`Source::Shards`]).
    Shards,
    /// A file of lhotse's cuts, `.jsonl` or `.jsonl.gz`.
    Lhotse,
}

impl Layout {
    /// Its recordings in `folder`.
    pub fn source(self, folder: &Path) -> Source {
        let (patterns, transcripts): (&[&str], _) = match self {
            Self::LibriSpeech => (
                &["**/{speaker}/{chapter}/{utterance}.flac"],
                Transcripts::LibriSpeech,
            ),
            Self::Vctk => (
                &[
                    "**/wav48_silence_trimmed/{speaker}/{utterance}_mic1.flac",
                    "**/wav48/{speaker}/{utterance}.wav",
                ],
                Transcripts::Vctk,
            ),
            Self::VoxCeleb => (&["**/{speaker}/{video}/{utterance}.*"], Transcripts::Beside),
            Self::CommonVoice => {
                return Source::Table(TableOptions {
                    path: folder.join("validated.tsv"),
                    ..TableOptions::default()
                });
            }
            Self::Shards => return Source::Shards,
            Self::Lhotse => return Source::Cuts,
        };
        let parse = |pattern: &&str| {
            Pattern::parse("layout", pattern).expect("the layout's pattern is valid")
        };
        Source::Patterns(patterns.iter().map(parse).collect(), transcripts)
    }
}

/// The recordings of `folder`, in the order of their paths; `speakers` tells whether speakers are looked for.
///
/// # Errors
/// [`Error::Io`] when a folder cannot be listed; errors of a table.
pub(super) fn find(folder: &Path, source: &Source, speakers: bool) -> Result<Found> {
    let (patterns, transcripts) = match source {
        Source::Table(options) => return table::read(folder, options, speakers),
        Source::Shards => return shards::read(folder, speakers),
        Source::Cuts => return cuts::read(folder, speakers),
        Source::Folders => (&[][..], Transcripts::Beside),
        Source::Patterns(patterns, transcripts) => (&patterns[..], *transcripts),
    };
    let mut found = Found::default();
    let genders = match transcripts {
        Transcripts::Beside => HashMap::new(),
        Transcripts::LibriSpeech => genders::LIBRISPEECH.read(folder)?,
        Transcripts::Vctk => genders::VCTK.read(folder)?,
    };
    let mut texts = Texts {
        folder,
        transcripts,
        chapters: HashMap::new(),
    };
    let (files, unnamed) = files_below(folder)?;
    for file in &unnamed {
        found.leave_out(file, "a name that is not UTF-8");
    }
    for file in files {
        let audio = is_named_audio(&file);
        let fields = match patterns {
            [] if !audio => continue,
            [] => Vec::new(),
            patterns => match patterns.iter().find_map(|pattern| pattern.fields(&file)) {
                Some(fields) if audio || !has_text_name(&file) => fields,
                _ => {
                    found.others += usize::from(audio);
                    continue;
                }
            },
        };
        let (speaker, name) = match (speakers, patterns) {
            (false, _) => (None, without_extension(&file).to_string()),
            (true, []) => match without_extension(&file).rsplit_once('/') {
                Some((speaker, name)) => (Some(speaker.to_string()), name.to_string()),
                None => {
                    found.leave_out(&file, "no folder of a speaker around it");
                    continue;
                }
            },
            (true, _) => named(&fields, &file),
        };
        let text = texts.of(&file, &fields).unwrap_or_else(|error| {
            found.unread_texts.push((file.clone(), error.reason()));
            None
        });
        found.add(Candidate {
            source: AudioSource::File(folder.join(&file)),
            cut: None,
            gender: speaker.as_ref().and_then(|name| genders.get(name)).copied(),
            speaker,
            name,
            text,
        });
    }
    Ok(found)
}

/// Speaker and utterance of a path's fields: the field `utterance` alone where it begins with the speaker, else all fields
/// but the speaker.
fn named(fields: &Fields, file: &str) -> (Option<String>, String) {
    let value = |field: &str| {
        fields
            .iter()
            .find(|(name, _)| *name == field)
            .map(|(_, value)| *value)
    };
    let Some(speaker) = value("speaker") else {
        return (None, without_extension(file).to_string());
    };
    let utterance = value("utterance").filter(|utterance| {
        let rest = utterance.strip_prefix(speaker);
        rest.is_some_and(|rest| rest.starts_with(['-', '_']))
    });
    let others = fields.iter().filter(|(name, _)| *name != "speaker");
    let others: Vec<&str> = others.map(|(_, value)| *value).collect();
    let name = match (utterance, &others[..]) {
        (Some(utterance), _) => utterance.to_string(),
        (None, []) => {
            let name = without_extension(file);
            name.rsplit('/').next().unwrap_or(name).to_string()
        }
        (None, others) => others.join("-"),
    };
    (Some(speaker.to_string()), name)
}

fn has_text_name(file: &str) -> bool {
    ["txt", "lab", "textgrid", "csv", "tsv", "json", "md"].contains(&extension(file).as_str())
}

/// Transcripts of files of a folder.
struct Texts<'a> {
    folder: &'a Path,
    transcripts: Transcripts,
    /// Of LibriSpeech, by folder.
    chapters: HashMap<PathBuf, Option<Table>>,
}

impl Texts<'_> {
    /// The transcript of a recording; none where there is no file.
    fn of(&mut self, file: &str, fields: &Fields) -> Result<Option<String>> {
        let value = |field: &str| {
            fields
                .iter()
                .find(|(name, _)| *name == field)
                .map(|(_, value)| *value)
        };
        let name = self.folder.join(without_extension(file));
        match self.transcripts {
            Transcripts::Beside => {
                // Not with_extension: a dot in a name is no extension.
                let beside = |end: &str| PathBuf::from(format!("{}.{end}", name.display()));
                read_first(["txt", "lab"].map(beside))
            }
            Transcripts::Vctk => {
                let path = |(speaker, utterance)| format!("txt/{speaker}/{utterance}.txt");
                let path = value("speaker").zip(value("utterance")).map(path);
                // Where wav48 lies.
                let root = name.ancestors().nth(3).unwrap_or(self.folder);
                read_first(path.map(|path| root.join(path)))
            }
            Transcripts::LibriSpeech => {
                let Some((speaker, chapter)) = value("speaker").zip(value("chapter")) else {
                    return Ok(None);
                };
                let list = name.with_file_name(format!("{speaker}-{chapter}.trans.txt"));
                if !self.chapters.contains_key(&list) {
                    let table = list.is_file().then(|| Table::read(&list)).transpose();
                    // An unreadable list is reported once.
                    self.chapters.insert(list.clone(), None);
                    self.chapters.insert(list.clone(), table?);
                }
                let table = self.chapters[&list].as_ref();
                let text = table.and_then(|table| table.get(value("utterance")?));
                Ok(text.map(str::to_string))
            }
        }
    }
}

/// The text of the first of these files that exists.
fn read_first(paths: impl IntoIterator<Item = PathBuf>) -> Result<Option<String>> {
    let Some(path) = paths.into_iter().find(|path| path.is_file()) else {
        return Ok(None);
    };
    let text = read_text(&path)?;
    let is_time = |word: Option<&str>| word.is_some_and(|word| word.parse::<u64>().is_ok());
    let mut words = text.split_whitespace();
    if path.extension().is_some_and(|end| end == "lab")
        && is_time(words.next())
        && is_time(words.next())
    {
        return Err(Error::format(
            path,
            "a transcript",
            "an alignment (times before each label)",
        ));
    }
    Ok(Some(text))
}
