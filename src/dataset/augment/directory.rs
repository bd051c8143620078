//! A data directory of augmented copies: a WAV file per copy of each utterance, and all tables that still apply.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::AugmentChain;
use crate::dataset::UtteranceBlocks;
use crate::dataset::files::{DataFiles, render};
use crate::dataset::layout::{self, KeyedBy};
use crate::dataset::recordings::{RecordingOptions, Recordings};
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::audio::write_wav;
use crate::io::lines::Entry;

/// An augmentation of a data directory.
pub struct AugmentJob<'a> {
    /// The source data directory.
    pub source: &'a Path,
    /// The target data directory, which may not exist yet.
    pub target: &'a Path,
    /// The augmentations.
    pub chain: &'a AugmentChain,
    /// Copies of each utterance, at least 1.
    pub copies: usize,
    /// With `aug`, copies are `aug1-UTTERANCE` of the speaker `aug1-SPEAKER`, and so on.
    pub prefix: &'a str,
    /// Keep the speakers; ids are then `UTTERANCE-aug1`.
    pub keep_speakers: bool,
    /// How the source's audio is read.
    pub recordings: RecordingOptions,
}

/// The result of an augmentation.
#[derive(Debug, Default)]
pub struct Augmented {
    /// Number of copies written.
    pub written: usize,
    /// Number of source utterances with a recording.
    pub utterances: usize,
    /// Files of the source that do not apply to the copies.
    pub left_out: Vec<String>,
}

/// One copy in its WAV file.
struct Written {
    id: String,
    copy: usize,
    file: String,
    duration_s: f64,
    description: String,
}

/// Creates the data directory, which appears complete or not at all. Calls `done` for each utterance, with the error of
/// one that fails; the directory contains the others.
///
/// All tables by utterance or speaker are copied with the new ids. `utt2dur` and `reco2dur` are computed again if the
/// source has them, and `utt2aug` describes each augmentation. Left out are `segments` (each copy is a recording of its
/// own), tables by recording if there were segments, `feats.scp` and `cmvn.scp`, and, if the speed changes,
/// `utt2num_frames`, `vad.scp` and `ali.scp`.
///
/// # Errors
/// [`Error::Format`] for a target that exists, or when all utterances failed; as reading a data directory;
/// [`Error::Io`] when something cannot be written.
pub fn augment(job: &AugmentJob, mut done: impl FnMut(&str, Option<Error>)) -> Result<Augmented> {
    if job.target.exists() {
        return Err(Error::format(
            job.target,
            "a folder that is not there yet",
            "one",
        ));
    }
    let files = DataFiles::read(job.source)?;
    let recordings = Recordings::of_dir(job.source)?;
    let known: HashSet<&str> = files
        .lines("utt2spk")
        .iter()
        .map(|entry| entry.key.as_str())
        .collect();
    let folder = atomic::folder_beside(job.target)?;
    let wavs = folder.path().join("wav");
    atomic::create_dir_all(&wavs)?;
    let work = |blocks: UtteranceBlocks| match known.contains(blocks.utterance()) {
        true => vary(job, blocks, &wavs),
        false => Ok(Vec::new()),
    };
    let mut by_utterance: BTreeMap<String, Vec<Written>> = BTreeMap::new();
    let mut utterances = 0;
    recordings.for_each_stream(&job.recordings, work, |utterance, result| {
        let own = known.contains(utterance);
        utterances += usize::from(own);
        match result {
            Ok(written) if own => {
                by_utterance.insert(utterance.to_string(), written);
                done(utterance, None);
            }
            Ok(_) => {}
            Err(error) => {
                remove_variations(job, utterance, &wavs)?;
                done(utterance, Some(error));
            }
        }
        Ok::<(), Error>(())
    })?;
    if by_utterance.is_empty() {
        let found = format!("none of {utterances}");
        return Err(Error::format(
            job.source,
            "an utterance that can be augmented",
            found,
        ));
    }
    let (tables, left_out) = tables(job, &files, &by_utterance);
    for (name, entries) in &tables.0 {
        atomic::write(folder.path().join(name), render(entries))?;
    }
    folder.rename(job.target).map_err(Error::io(job.target))?;
    Ok(Augmented {
        written: by_utterance.values().map(Vec::len).sum(),
        utterances,
        left_out,
    })
}

fn vary(job: &AugmentJob, blocks: UtteranceBlocks, wavs: &Path) -> Result<Vec<Written>> {
    let utterance = blocks.utterance().to_string();
    let speech = blocks.read_to_end()?;
    let one = |copy| {
        let variation = job.chain.vary(&utterance, copy as u64, &speech)?;
        let id = new_id(job, copy, &utterance);
        let file = format!("{}.wav", file_name(&id));
        write_wav(wavs.join(&file), &variation.waveform)?;
        Ok(Written {
            id,
            copy,
            file,
            duration_s: variation.waveform.duration_s(),
            description: variation.description,
        })
    };
    (1..=job.copies).map(one).collect()
}

/// Removes what was written of an utterance before it failed.
fn remove_variations(job: &AugmentJob, utterance: &str, wavs: &Path) -> Result<()> {
    for copy in 1..=job.copies {
        let file = wavs.join(format!("{}.wav", file_name(&new_id(job, copy, utterance))));
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn new_id(job: &AugmentJob, copy: usize, utterance: &str) -> String {
    match job.keep_speakers {
        true => format!("{utterance}-{}{copy}", job.prefix),
        false => format!("{}{copy}-{utterance}", job.prefix),
    }
}

fn new_speaker(job: &AugmentJob, copy: usize, speaker: &str) -> String {
    match job.keep_speakers {
        true => speaker.to_string(),
        false => format!("{}{copy}-{speaker}", job.prefix),
    }
}

/// An id as a file name.
pub(in crate::dataset) fn file_name(id: &str) -> String {
    id.replace('%', "%25").replace('/', "%2F")
}

/// The new tables, and the names of those that do not apply any more.
fn tables(
    job: &AugmentJob,
    files: &DataFiles,
    written: &BTreeMap<String, Vec<Written>>,
) -> (DataFiles, Vec<String>) {
    let own_recordings = !files.0.contains_key("segments");
    let mut tables = DataFiles::default();
    let mut left_out = Vec::new();
    for (name, entries) in &files.0 {
        let keyed = match layout::keyed_by(name) {
            Some(KeyedBy::Recording) if own_recordings => Some(KeyedBy::Utterance),
            keyed => keyed,
        };
        let holds = match name.as_str() {
            "wav.scp" | "spk2utt" => continue,
            "segments" | "feats.scp" | "pitch.scp" | "cmvn.scp" => false,
            "utt2num_frames" | "vad.scp" | "ali.scp" => job.chain.keeps_time(),
            _ => keyed != Some(KeyedBy::Recording),
        };
        if !holds {
            left_out.push(name.clone());
            continue;
        }
        let carried = match (keyed, name.as_str()) {
            (_, "utt2dur" | "reco2dur") => of_each(written, |w| format!("{:.4}", w.duration_s)),
            (Some(KeyedBy::Speaker), _) => by_speaker(job, entries, files, written),
            _ => by_utterance(job, name, entries, written),
        };
        tables.0.insert(name.clone(), carried);
    }
    let wav = |w: &Written| job.target.join("wav").join(&w.file).display().to_string();
    tables.0.insert("wav.scp".into(), of_each(written, wav));
    tables.0.insert(
        "utt2aug".into(),
        of_each(written, |w| w.description.clone()),
    );
    tables.invert();
    (tables, left_out)
}

/// A line per copy.
fn of_each(
    written: &BTreeMap<String, Vec<Written>>,
    value: impl Fn(&Written) -> String,
) -> Vec<Entry> {
    let pairs = written.values().flatten().map(|w| (w.id.clone(), value(w)));
    sorted(pairs.collect())
}

/// The lines of a table by utterance under the new ids.
fn by_utterance(
    job: &AugmentJob,
    name: &str,
    entries: &[Entry],
    written: &BTreeMap<String, Vec<Written>>,
) -> Vec<Entry> {
    let mut pairs = BTreeMap::new();
    for entry in entries {
        for w in written.get(&entry.key).into_iter().flatten() {
            let value = match name {
                "utt2spk" => new_speaker(job, w.copy, &entry.value),
                _ => entry.value.clone(),
            };
            pairs.insert(w.id.clone(), value);
        }
    }
    sorted(pairs)
}

/// The lines of a table by speaker, for speakers who still have utterances.
fn by_speaker(
    job: &AugmentJob,
    entries: &[Entry],
    files: &DataFiles,
    written: &BTreeMap<String, Vec<Written>>,
) -> Vec<Entry> {
    let speaks: HashSet<&str> = (files.lines("utt2spk").iter())
        .filter(|entry| written.contains_key(&entry.key))
        .map(|entry| entry.value.as_str())
        .collect();
    let mut pairs = BTreeMap::new();
    for entry in entries
        .iter()
        .filter(|entry| speaks.contains(entry.key.as_str()))
    {
        for copy in 1..=job.copies {
            pairs.insert(new_speaker(job, copy, &entry.key), entry.value.clone());
        }
    }
    sorted(pairs)
}

fn sorted(pairs: BTreeMap<String, String>) -> Vec<Entry> {
    let lines = pairs.into_iter().zip(1..);
    lines
        .map(|((key, value), line)| Entry { key, value, line })
        .collect()
}
