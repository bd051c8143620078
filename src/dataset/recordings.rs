//! The audio of a data directory: `wav.scp`, whole or cut by `segments`, as a [`Waveform`] per utterance, or in blocks.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use super::blocks::{Track, UtteranceBlocks};
use super::segments::{Segment, Segments};
use super::table::Table;
use crate::error::{Error, Result};
use crate::io::audio::{AudioOptions, AudioSource, Pipes, Waveform};
use crate::io::lines::Entry;

/// Recordings in progress per thread: enough to hide one long recording, few enough to fit in memory.
const IN_FLIGHT: usize = 4;
/// After this time a waiting thread looks for other work again.
const PATIENCE: Duration = Duration::from_millis(1);

/// How audio is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordingOptions {
    /// Channel and similar options.
    pub audio: AudioOptions,
    /// Target sample rate, in Hz.
    pub resample_hz: Option<u32>,
    /// Whether `command |` may run.
    pub pipes: Pipes,
}

/// One recording and its utterances, consecutive in their list.
#[derive(Debug, Clone)]
struct Recording {
    source: Result<AudioSource, Wrong>,
    utterances: Vec<(String, Option<Segment>)>,
}

/// A line of the list without audio; its utterance fails, and the others continue.
#[derive(Debug, Clone)]
enum Wrong {
    /// An invalid segment.
    Segment(Entry),
    /// A segment of a recording that is not in `wav.scp`.
    Recording(Entry, String),
}

impl Wrong {
    fn error(&self, list: &Path) -> Error {
        match self {
            Self::Recording(entry, recording) => {
                let expected = format!("a recording of wav.scp for '{}'", entry.key);
                Error::line(list, entry.line, expected, format!("'{recording}'"))
            }
            Self::Segment(entry) => match Segment::parse(list, entry) {
                Err(error) => error,
                Ok(_) => unreachable!("the line was refused before"),
            },
        }
    }
}

impl Recording {
    /// For each utterance, the earliest start of the following ones, in seconds.
    fn earliest_later(&self) -> Vec<f64> {
        let mut earliest = vec![f64::INFINITY; self.utterances.len()];
        for at in (1..earliest.len()).rev() {
            let start = self.utterances[at]
                .1
                .as_ref()
                .map_or(f64::INFINITY, |s| s.start);
            earliest[at - 1] = earliest[at].min(start);
        }
        earliest
    }
}

/// Where an utterance lies in [`Recordings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    recording: usize,
    utterance: usize,
}

/// The recordings of a corpus, read when needed.
#[derive(Debug, Clone)]
pub struct Recordings {
    recordings: Vec<Recording>,
    utterances: usize,
    /// `segments`, or else `wav.scp`.
    list: PathBuf,
}

impl Recordings {
    /// Those of a data directory: its `wav.scp`, cut by its `segments` if it has them.
    ///
    /// # Errors
    /// As [`Table::read`], [`Segments::read`] and [`Recordings::new`].
    pub fn of_dir(folder: &Path) -> Result<Self> {
        let wav_scp = Table::read(folder.join("wav.scp"))?;
        let segments = folder.join("segments");
        match segments.is_file() {
            true => Self::with_segments(&wav_scp, &Segments::read(segments)?),
            false => Self::new(&wav_scp),
        }
    }

    /// From the lines `utterance source` of `wav.scp`.
    ///
    /// # Errors
    /// [`Error::Line`] for a line without a source; [`Error::Format`] when there is no line.
    pub fn new(wav_scp: &Table) -> Result<Self> {
        let single = |(key, source)| Recording {
            source: Ok(source),
            utterances: vec![(key, None)],
        };
        let recordings = sources(wav_scp)?.map(single).collect();
        Self::of(recordings, wav_scp.path())
    }

    /// From the utterances of `segments`, whose recordings are in `wav.scp`. For an invalid segment, or one of an
    /// unknown recording, the error is the result of its utterance.
    ///
    /// # Errors
    /// As [`Recordings::new`].
    pub fn with_segments(wav_scp: &Table, segments: &Segments) -> Result<Self> {
        let sources: Vec<_> = sources(wav_scp)?.collect();
        let mut recordings: Vec<(Option<usize>, Recording)> = Vec::new();
        for (entry, segment) in segments.iter() {
            let place = match segment {
                None => Err(Wrong::Segment(entry.clone())),
                Some(segment) => (wav_scp.position(&segment.recording))
                    .ok_or_else(|| Wrong::Recording(entry.clone(), segment.recording.clone())),
            };
            let at = place.as_ref().ok().copied();
            let utterance = (entry.key.clone(), segment.cloned());
            match recordings.last_mut() {
                Some((last, recording)) if at.is_some() && *last == at => {
                    recording.utterances.push(utterance);
                }
                _ => {
                    let source = place.map(|at| sources[at].1.clone());
                    let utterances = vec![utterance];
                    recordings.push((at, Recording { source, utterances }));
                }
            }
        }
        let recordings = recordings.into_iter().map(|(_, recording)| recording);
        Self::of(recordings.collect(), segments.path())
    }

    fn of(recordings: Vec<Recording>, list: &Path) -> Result<Self> {
        if recordings.is_empty() {
            return Err(Error::format(list, "at least one line", "none"));
        }
        Ok(Self {
            utterances: recordings.iter().map(|r| r.utterances.len()).sum(),
            recordings,
            list: list.to_path_buf(),
        })
    }

    /// Number of utterances.
    pub fn utterances(&self) -> usize {
        self.utterances
    }

    /// Reads all utterances on rayon's threads, where `work` processes them, and passes the results to `take` on this
    /// thread, in the order of the list. An error of one utterance is its result, and the others continue. A recording
    /// is decoded once for all its consecutive utterances, and few utterances are in memory at a time.
    ///
    /// # Errors
    /// The first error of `take`; [`Error::Io`] when the disk is full.
    pub fn for_each<T, E>(
        &self,
        options: &RecordingOptions,
        work: impl Fn(Waveform) -> Result<T> + Sync,
        take: impl FnMut(&str, Result<T>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        T: Send,
        E: From<Error>,
    {
        self.for_each_stream(options, |blocks| work(blocks.read_to_end()?), take)
    }

    /// As [`Recordings::for_each`], but `work` gets the utterance in blocks, and no utterance is in memory as a whole.
    /// Of a recording, only samples between the current utterance and the earliest following one are kept: none, if
    /// segments are in the order of time and do not overlap.
    ///
    /// Where a recording is damaged, the segments that need the damaged part fail; so do all after it, in formats that cannot
    /// be entered behind it. What no segment needs harms none, unless a checksum of the whole is compared
    /// ([`AudioOptions::verify`]): then all fail, whatever the results of `work`.
    ///
    /// # Errors
    /// The first error of `take`; [`Error::Io`] when the disk is full.
    pub fn for_each_stream<T, E>(
        &self,
        options: &RecordingOptions,
        work: impl Fn(UtteranceBlocks) -> Result<T> + Sync,
        mut take: impl FnMut(&str, Result<T>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        T: Send,
        E: From<Error>,
    {
        let window = IN_FLIGHT * rayon::current_num_threads();
        rayon::in_place_scope(|scope| {
            let work = &work;
            let start = |recording| {
                let (sender, receiver) = std::sync::mpsc::channel();
                scope.spawn(move |_| {
                    // The receiver is gone once `take` has failed.
                    let _ = sender.send(self.read(recording, options, work));
                });
                (recording, receiver)
            };
            let mut waiting = self.recordings.iter();
            let mut under_way: VecDeque<_> = waiting.by_ref().take(window).map(start).collect();
            while let Some((recording, receiver)) = under_way.pop_front() {
                let results = await_result(&receiver);
                under_way.extend(waiting.next().map(start));
                for ((utterance, _), result) in recording.utterances.iter().zip(results) {
                    match result {
                        // All following ones would fail in the same way.
                        Err(error) if error.is_full_disk() => return Err(error.into()),
                        result => take(utterance, result)?,
                    }
                }
            }
            Ok(())
        })
    }

    /// The places of all utterances, by their names.
    pub fn places(&self) -> HashMap<&str, Place> {
        let recordings = self.recordings.iter().enumerate();
        recordings
            .flat_map(|(recording, of)| {
                let utterances = of.utterances.iter().enumerate();
                utterances.map(move |(utterance, (name, _))| {
                    (
                        name.as_str(),
                        Place {
                            recording,
                            utterance,
                        },
                    )
                })
            })
            .collect()
    }

    /// The file that lists the utterances: `segments`, or else `wav.scp`.
    pub fn list(&self) -> &Path {
        &self.list
    }

    /// Reads a single utterance. A recording without segments is read to its end, one with segments to the end of the
    /// utterance.
    ///
    /// # Errors
    /// As [`AudioSource::open`], [`AudioReader::next_block`](crate::io::audio::AudioReader::next_block) and
    /// [`UtteranceBlocks::read_to_end`]; [`Error::Line`] for an invalid segment.
    pub fn read_at(&self, place: Place, options: &RecordingOptions) -> Result<Waveform> {
        let (source, utterance, segment) = self.at(place)?;
        let open = || source.open(&options.audio, options.pipes).map(Track::new);
        let mut track = open()?;
        if let Some(segment) = segment
            && !track.skip_to(segment.start)?
        {
            track = open()?;
        }
        let cut = segment.map(|segment| (segment, &*self.list));
        UtteranceBlocks::new(&mut track, utterance, cut, options.resample_hz)?.read_to_end()
    }

    /// The length of an utterance in seconds, as its segment or the recording's header states it. A recording that
    /// states none is read.
    ///
    /// # Errors
    /// As [`Recordings::read_at`].
    pub fn seconds_at(&self, place: Place, options: &RecordingOptions) -> Result<f64> {
        let (source, _, segment) = self.at(place)?;
        if let Some(segment) = segment.filter(|segment| segment.end.is_finite()) {
            return Ok(segment.end - segment.start);
        }
        let reader = source.open(&options.audio, options.pipes)?;
        let rate = f64::from(reader.sample_rate_hz());
        let samples = match reader.stated_samples() {
            Some(samples) => samples,
            None => reader.read_to_end()?.samples.len() as u64,
        };
        Ok(samples as f64 / rate - segment.map_or(0.0, |segment| segment.start))
    }

    /// Refuses a recording that is not there, without opening it.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that is missing; [`Error::Line`] for an invalid segment.
    pub fn check_at(&self, place: Place) -> Result<()> {
        match self.at(place)?.0 {
            AudioSource::File(path)
            | AudioSource::Archive(path, _)
            | AudioSource::Part(path, ..) => {
                std::fs::metadata(path).map(drop).map_err(Error::io(path))
            }
            AudioSource::Pipe(_) => Ok(()),
        }
    }

    fn at(&self, place: Place) -> Result<(&AudioSource, &str, Option<&Segment>)> {
        let recording = &self.recordings[place.recording];
        let (utterance, segment) = &recording.utterances[place.utterance];
        match &recording.source {
            Ok(source) => Ok((source, utterance, segment.as_ref())),
            Err(wrong) => Err(wrong.error(&self.list)),
        }
    }

    /// The recordings of a single utterance.
    ///
    /// # Errors
    /// [`Error::Key`] if it is not in the list.
    pub fn only(&self, utterance: &str) -> Result<Self> {
        let found = self.recordings.iter().find_map(|recording| {
            let mut own = recording.utterances.iter();
            let entry = own.find(|(key, _)| key == utterance)?;
            Some(Recording {
                source: recording.source.clone(),
                utterances: vec![entry.clone()],
            })
        });
        let recording =
            found.ok_or_else(|| Error::key(&self.list, utterance, "this utterance", "none"))?;
        Self::of(vec![recording], &self.list)
    }

    /// One result per utterance of a recording.
    fn read<T>(
        &self,
        recording: &Recording,
        options: &RecordingOptions,
        work: impl Fn(UtteranceBlocks) -> Result<T>,
    ) -> Vec<Result<T>> {
        let source = match &recording.source {
            Ok(source) => source,
            Err(wrong) => return vec![Err(wrong.error(&self.list))],
        };
        let mut track = match source.open(&options.audio, options.pipes) {
            Ok(reader) => Track::new(reader),
            Err(error) => return all_failed(recording, source, error),
        };
        let mut results: Vec<Result<T>> = Vec::with_capacity(recording.utterances.len());
        let earliest_later = recording.earliest_later();
        for ((utterance, segment), earliest) in recording.utterances.iter().zip(earliest_later) {
            let cut = segment.as_ref().map(|segment| (segment, &*self.list));
            let of = |track: &mut Track| {
                UtteranceBlocks::new(track, utterance, cut, options.resample_hz).and_then(&work)
            };
            let result = match (track.broken, segment) {
                (false, _) => {
                    track.keep_from(earliest);
                    of(&mut track)
                }
                (true, Some(segment)) => {
                    behind_damage(source, segment, options).and_then(|mut track| of(&mut track))
                }
                (true, None) => Err(failed_before(source)),
            };
            match result {
                Err(error) if track.broken && options.audio.verify => {
                    return all_failed(recording, source, error);
                }
                result => results.push(result),
            }
        }
        match track.read_to_end() {
            Err(error) if options.audio.verify => all_failed(recording, source, error),
            _ => results,
        }
    }
}

/// A recording that begins at a segment, without what was found damaged before it; not that of a pipe, whose command would run
/// again.
fn behind_damage(
    source: &AudioSource,
    segment: &Segment,
    options: &RecordingOptions,
) -> Result<Track> {
    if let AudioSource::Pipe(_) = source {
        return Err(failed_before(source));
    }
    let mut track = Track::new(source.open(&options.audio, options.pipes)?);
    match track.skip_to(segment.start)? && track.begins_at(segment.start) {
        true => Ok(track),
        false => Err(failed_before(source)),
    }
}

/// The error cannot be copied: the utterance that met it has it, others refer to it.
fn failed_before(source: &AudioSource) -> Error {
    Error::format(source.name(), "audio", "the error above")
}

/// The first utterance gets the error.
fn all_failed<T>(recording: &Recording, source: &AudioSource, error: Error) -> Vec<Result<T>> {
    let others = recording.utterances.iter().skip(1);
    let again = others.map(|_| Err(failed_before(source)));
    [Err(error)].into_iter().chain(again).collect()
}

/// Waits for the results of a recording. A thread of rayon's pool works on others meanwhile, because the only thread of
/// a pool would otherwise wait for itself.
fn await_result<T>(receiver: &Receiver<Vec<Result<T>>>) -> Vec<Result<T>> {
    loop {
        match receiver.try_recv() {
            Ok(results) => return results,
            // Its thread panicked, which the scope passes on.
            Err(TryRecvError::Disconnected) => return Vec::new(),
            Err(TryRecvError::Empty) => {}
        }
        if rayon::yield_now() != Some(rayon::Yield::Executed)
            && let Ok(results) = receiver.recv_timeout(PATIENCE)
        {
            return results;
        }
    }
}

fn sources(wav_scp: &Table) -> Result<impl Iterator<Item = (String, AudioSource)>> {
    if let Some(bare) = wav_scp
        .entries()
        .iter()
        .find(|entry| entry.value.is_empty())
    {
        let found = format!("'{}' alone", bare.key);
        let expected = "a key and a file or 'command |'";
        return Err(Error::line(wav_scp.path(), bare.line, expected, found));
    }
    let entries = wav_scp.entries().iter();
    Ok(entries.map(|entry| (entry.key.clone(), AudioSource::parse(&entry.value))))
}

#[cfg(test)]
mod tests;
