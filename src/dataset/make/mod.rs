//! Data directories of folders of recordings. Input: a folder, and what tells the speaker of a file: its folder, a pattern
//! over its path, a table, or nothing. Output: `wav.scp`, `utt2spk`, `spk2utt`, `text` and `spk2gender`, and what was changed or left out.

mod cuts;
mod found;
mod genders;
mod ids;
mod pattern;
mod shards;
mod source;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::datadir::DataDir;
use super::files::DataFiles;
use super::shares::{Shares, by_shares};
use super::trials::{TrialNumber, TrialsMade, write_trials};
use super::validate::{ValidateOptions, validate};
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::audio::{AudioOptions, AudioSource, Channel, Pipes};
use crate::io::lines::Entry;

pub use found::is_named_audio;
pub use ids::{prefixed, valid};
pub use pattern::Pattern;
pub use source::{Layout, Source, Transcripts};
pub use table::TableOptions;

use found::Candidate;
use ids::{Ids, Names};

/// What a data directory is made of.
#[derive(Debug, Clone)]
pub struct MakeOptions {
    /// The recordings and their speakers.
    pub source: Source,
    /// Whether speakers are known; else each utterance is a speaker of its own, as Kaldi has it.
    pub speakers: bool,
    /// Parts by speaker, each a folder in the target.
    pub split: Option<Shares>,
    /// Seed of the parts and of the trials of the part `test`.
    pub seed: u64,
}

/// What was made.
#[derive(Debug, Default)]
pub struct Made {
    /// The folders, with their sizes.
    pub parts: Vec<Part>,
    /// Length of all utterances in seconds; none where a file does not state it.
    pub seconds: Option<f64>,
    /// Recordings by sample rate in Hz.
    pub rates: BTreeMap<u32, usize>,
    /// Recordings of several channels.
    pub several_channels: Vec<String>,
    /// Recordings that were left out, and why.
    pub left_out: Vec<(String, String)>,
    /// Audio files that the pattern does not match.
    pub others: usize,
    /// Utterances without a transcript where others have one: their line in `text` is empty.
    pub without_text: Vec<String>,
    /// Speakers whose gender is not known where that of others is: there is no `spk2gender` then.
    pub without_gender: Vec<String>,
    /// Recordings whose transcripts cannot be read, and why.
    pub unread_texts: Vec<(String, String)>,
    /// Speakers with another id than their name.
    pub renamed_speakers: Vec<(String, String)>,
    /// Utterances with another id than `SPEAKER-NAME` or `NAME`.
    pub renamed_utterances: Vec<(String, String)>,
}

/// A data directory that was made.
#[derive(Debug)]
pub struct Part {
    /// Its place.
    pub folder: PathBuf,
    /// Number of speakers.
    pub speakers: usize,
    /// Number of utterances.
    pub utterances: usize,
    /// Its trials: of the part `test` of a split. The error of one in which there are none.
    pub trials: Option<Result<TrialsMade>>,
}

/// The part of a split that gets trials, and at most how many.
pub const TEST: &str = "test";
const TEST_TRIALS: u64 = 20_000;

/// Makes a data directory of the recordings in `folder`, or one per part of a split below `target`. The target appears
/// complete or not at all. Headers of recordings are read; those without a valid one, or without samples, are left out.
/// `progress` is called after each recording.
///
/// # Errors
/// [`Error::Format`] for a target that exists, or a folder without any recording that can be used; errors of the table;
/// [`Error::Option`] for more parts than speakers.
pub fn make(
    folder: &Path,
    target: &Path,
    options: &MakeOptions,
    progress: impl Fn() + Sync,
) -> Result<Made> {
    refuse_existing(target)?;
    let found = source::find(folder, &options.source, options.speakers)?;
    let mut made = Made {
        left_out: found.left_out,
        others: found.others,
        unread_texts: found.unread_texts,
        seconds: Some(0.0),
        ..Made::default()
    };
    if found.candidates.is_empty() {
        return Err(nothing(folder, &options.source, &made));
    }
    let candidates = made.readable(found.candidates, progress);
    if candidates.is_empty() {
        return Err(nothing(folder, &options.source, &made));
    }
    let ids = made.ids(&candidates);
    let files = made.files(&candidates, &ids);
    made.write(target, &files, options)?;
    Ok(made)
}

fn refuse_existing(target: &Path) -> Result<()> {
    let used = match std::fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => target.symlink_metadata().is_ok(),
    };
    match used {
        true => Err(Error::format(
            target,
            "a new or empty folder to make",
            "one in use",
        )),
        false => Ok(()),
    }
}

/// The error of a folder in which nothing can be used.
fn nothing(folder: &Path, source: &Source, made: &Made) -> Error {
    let found = match (made.left_out.first(), made.others) {
        (Some((file, reason)), _) => format!(
            "{} that cannot be used (first: {file}: {reason})",
            made.left_out.len()
        ),
        (None, 0) => "none".into(),
        (None, others) => format!("{others} audio files with other paths"),
    };
    let expected = match source {
        Source::Folders => {
            "folders of speakers with recordings (or --pattern, --table, --speakers unknown)"
        }
        Source::Shards => "tar files with recordings and their speakers (KEY.wav, KEY.spk)",
        Source::Cuts => "cuts with recordings in files and supervisions with speakers",
        Source::Patterns(..) => "recordings with paths as the pattern has them",
        Source::Table(_) => "recordings that the table names",
    };
    Error::format(folder, expected, found)
}

/// What a header says.
struct Header {
    rate: u32,
    channels: usize,
    samples: Option<u64>,
}

impl Header {
    /// The length of the recording, where it is stated.
    fn seconds(&self) -> Option<f64> {
        self.samples
            .map(|samples| samples as f64 / f64::from(self.rate))
    }

    /// Whether a part of the recording reaches more than half a second beyond its end.
    fn ends_before(&self, candidate: &Candidate) -> bool {
        let seconds = self
            .samples
            .map(|samples| samples as f64 / f64::from(self.rate));
        let cut = seconds.zip(candidate.cut.as_ref());
        cut.is_some_and(|(seconds, cut)| cut.start >= seconds || cut.end > seconds + 0.5)
    }
}

fn header(source: &AudioSource) -> Result<Header> {
    let any = AudioOptions {
        channel: Some(Channel::Index(0)),
        ..AudioOptions::default()
    };
    let mut reader = source.open(&any, Pipes::Refused)?;
    let samples = reader.stated_samples();
    // Without samples this is an error.
    reader.next_block()?;
    Ok(Header {
        rate: reader.sample_rate_hz(),
        channels: reader.channels(),
        samples,
    })
}

impl Made {
    /// The candidates whose recordings have valid headers, each of which is read once.
    fn readable(
        &mut self,
        candidates: Vec<Candidate>,
        progress: impl Fn() + Sync,
    ) -> Vec<Candidate> {
        let mut places = HashMap::new();
        let mut sources = Vec::new();
        let place_of = |candidate: &Candidate| {
            *places.entry(candidate.source.clone()).or_insert_with(|| {
                sources.push(candidate.source.clone());
                sources.len() - 1
            })
        };
        let of: Vec<usize> = candidates.iter().map(place_of).collect();
        let read = |source: &AudioSource| {
            let header = header(source);
            progress();
            header
        };
        let headers: Vec<Result<Header>> = sources.par_iter().map(read).collect();
        for (source, header) in sources.iter().zip(&headers) {
            let path = source.name().display().to_string();
            match header {
                Err(error) => self.left_out.push((path, error.reason())),
                Ok(header) => {
                    *self.rates.entry(header.rate).or_default() += 1;
                    if header.channels > 1 {
                        self.several_channels.push(path);
                    }
                }
            }
        }
        let mut readable = Vec::with_capacity(candidates.len());
        for (candidate, place) in candidates.into_iter().zip(of) {
            let Ok(header) = &headers[place] else {
                continue;
            };
            if header.ends_before(&candidate) {
                let name = format!("{}: {}", candidate.source.name().display(), candidate.name);
                let reason = "a supervision beyond the end of its recording";
                self.left_out.push((name, reason.into()));
                continue;
            }
            let seconds = match &candidate.cut {
                Some(cut) => Some(cut.end - cut.start),
                None => header.seconds(),
            };
            self.seconds = self.seconds.zip(seconds).map(|(a, b)| a + b);
            readable.push(candidate);
        }
        readable
    }

    fn ids(&mut self, candidates: &[Candidate]) -> Vec<Ids> {
        let names: Vec<Names> = (candidates.iter())
            .map(|candidate| Names {
                speaker: candidate.speaker.as_deref(),
                utterance: &candidate.name,
            })
            .collect();
        let ids = ids::assign(&names);
        let mut speakers = BTreeMap::new();
        for (name, id) in names.iter().zip(&ids) {
            if let Some(speaker) = name.speaker {
                speakers.insert(speaker, id.speaker.as_str());
            }
            let usual = [
                name.utterance,
                &format!("{}-{}", id.speaker, name.utterance),
            ];
            if !usual.contains(&id.utterance.as_str()) {
                let renamed = (name.utterance.to_string(), id.utterance.clone());
                self.renamed_utterances.push(renamed);
            }
        }
        let renamed = speakers
            .into_iter()
            .filter(|(name, id)| name.rsplit('/').next() != Some(id))
            .map(|(name, id)| (name.to_string(), id.to_string()));
        self.renamed_speakers = renamed.collect();
        ids
    }

    fn files(&mut self, candidates: &[Candidate], ids: &[Ids]) -> DataFiles {
        let with_text = candidates.iter().any(|candidate| candidate.text.is_some());
        let mut rows: Vec<(&Ids, &Candidate)> = ids.iter().zip(candidates).collect();
        rows.sort_unstable_by_key(|(ids, _)| ids.utterance.as_str());
        let table = |value: &dyn Fn(&Ids, &Candidate) -> String| -> Vec<Entry> {
            let entry = |(line, (ids, candidate)): (usize, &(&Ids, &Candidate))| Entry {
                key: ids.utterance.clone(),
                value: value(ids, candidate),
                line,
            };
            (1..).zip(&rows).map(entry).collect()
        };
        let mut files = DataFiles::default();
        let source = |_: &Ids, candidate: &Candidate| candidate.source.name().display().to_string();
        match candidates.iter().any(|candidate| candidate.cut.is_some()) {
            true => {
                let (recordings, segments) = cuts::tables(&rows);
                files.0.insert("wav.scp".into(), recordings);
                files.0.insert("segments".into(), segments);
            }
            false => drop(files.0.insert("wav.scp".into(), table(&source))),
        }
        files
            .0
            .insert("utt2spk".into(), table(&|ids, _| ids.speaker.clone()));
        if with_text {
            let words = |_: &Ids, candidate: &Candidate| {
                plain(candidate.text.as_deref().unwrap_or_default())
            };
            files.0.insert("text".into(), table(&words));
            let without = rows
                .iter()
                .filter(|(_, candidate)| candidate.text.is_none());
            self.without_text = without.map(|(ids, _)| ids.utterance.clone()).collect();
        }
        files.invert();
        if let Some(genders) = self.genders(&rows) {
            files.0.insert("spk2gender".into(), genders);
        }
        files
    }

    /// The lines of `spk2gender`, which has all speakers; none where that of one is not known, or said in two ways.
    fn genders(&mut self, rows: &[(&Ids, &Candidate)]) -> Option<Vec<Entry>> {
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (ids, candidate) in rows {
            let own = found.entry(&ids.speaker).or_default();
            own.extend(candidate.gender);
        }
        if found.values().all(BTreeSet::is_empty) {
            return None;
        }
        let unknown = found.iter().filter(|(_, genders)| genders.len() != 1);
        self.without_gender = unknown.map(|(speaker, _)| speaker.to_string()).collect();
        let entry = |(line, (speaker, genders)): (usize, (&str, BTreeSet<&str>))| Entry {
            key: speaker.to_string(),
            value: genders.into_iter().collect(),
            line,
        };
        self.without_gender
            .is_empty()
            .then(|| (1..).zip(found).map(entry).collect())
    }

    fn write(&mut self, target: &Path, files: &DataFiles, options: &MakeOptions) -> Result<()> {
        let parts = match &options.split {
            None => vec![(String::new(), files.clone())],
            Some(shares) => by_shares(files, shares, options.seed)?,
        };
        let scratch = atomic::folder_beside(target)?;
        for (name, part) in &parts {
            let within = |folder: &Path| match name.as_str() {
                "" => folder.to_path_buf(),
                name => folder.join(name),
            };
            let place = within(scratch.path());
            part.write(&place)?;
            check(&place, part)?;
            let trials = (name == TEST).then(|| {
                let number = TrialNumber::Balanced(TEST_TRIALS);
                write_trials(
                    &DataDir::open(&place)?,
                    &place.join("trials"),
                    number,
                    options.seed,
                )
            });
            self.parts.push(Part {
                folder: within(target),
                speakers: part.lines("spk2utt").len(),
                utterances: part.lines("utt2spk").len(),
                trials,
            });
        }
        scratch.rename(target).map_err(Error::io(target))
    }
}

/// Refuses a folder that is no valid data directory.
fn check(folder: &Path, files: &DataFiles) -> Result<()> {
    let options = ValidateOptions {
        no_feats: true,
        no_text: !files.0.contains_key("text"),
        ..ValidateOptions::default()
    };
    validate(folder, options)?
        .into_iter()
        .next()
        .map_or(Ok(()), Err)
}

/// A transcript as a line of `text`: words with single spaces, without control characters.
fn plain(text: &str) -> String {
    let text = text.replace(|c: char| c.is_control() || c == '\u{feff}', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
