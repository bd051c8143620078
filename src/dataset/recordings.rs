//! The audio of a data directory: `wav.scp`, whole or cut by `segments`, into a [`Waveform`] an utterance.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use super::segments::{Segment, Segments};
use super::table::Table;
use crate::error::{Error, Result};
use crate::io::audio::{AudioOptions, AudioSource, Waveform};
use crate::signal::resample::resample;

/// As Kaldi, a segment may end this much behind its recording; the rest is cut off.
const OVERSHOOT_S: f64 = 0.5;
/// Recordings in flight for each thread: enough to hide one long one, few enough to fit in memory.
const IN_FLIGHT: usize = 4;
/// After this a thread that waits looks for other work again.
const PATIENCE: Duration = Duration::from_millis(1);

/// How audio is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordingOptions {
    /// Channel and the like.
    pub audio: AudioOptions,
    /// The sample rate to bring everything to, in Hz.
    pub resample_hz: Option<u32>,
    /// Whether `command |` may run.
    pub allow_pipes: bool,
}

/// One recording and the utterances that lie in it, one after the other in their list.
#[derive(Debug, Clone)]
struct Recording {
    source: AudioSource,
    utterances: Vec<(String, Option<Segment>)>,
}

/// The recordings of a corpus, read when they are asked for.
#[derive(Debug, Clone)]
pub struct Recordings {
    recordings: Vec<Recording>,
    utterances: usize,
    /// `segments`, or else `wav.scp`.
    list: PathBuf,
}

impl Recordings {
    /// Takes the lines `utterance source` of `wav.scp`.
    ///
    /// # Errors
    /// [`Error::Line`] for a line without a source; [`Error::Format`] when there is no line.
    pub fn new(wav_scp: &Table) -> Result<Self> {
        let single = |(key, source)| Recording {
            source,
            utterances: vec![(key, None)],
        };
        let recordings = sources(wav_scp)?.map(single).collect();
        Self::of(recordings, wav_scp.path())
    }

    /// Takes the utterances of `segments`, whose recordings `wav.scp` names.
    ///
    /// # Errors
    /// As [`Recordings::new`]; and [`Error::Key`] naming an utterance whose recording `wav.scp` lacks.
    pub fn with_segments(wav_scp: &Table, segments: &Segments) -> Result<Self> {
        let sources: Vec<_> = sources(wav_scp)?.collect();
        let mut recordings: Vec<(usize, Recording)> = Vec::new();
        for (utterance, segment) in segments.iter() {
            let at = wav_scp.position(&segment.recording).ok_or_else(|| {
                let found = format!("none for '{}'", segment.recording);
                Error::key(wav_scp.path(), utterance, "its recording", found)
            })?;
            let entry = (utterance.to_string(), Some(segment.clone()));
            match recordings.last_mut() {
                Some((last, recording)) if *last == at => recording.utterances.push(entry),
                _ => {
                    let source = sources[at].1.clone();
                    let utterances = vec![entry];
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

    /// How many utterances there are.
    pub fn utterances(&self) -> usize {
        self.utterances
    }

    /// Reads every utterance on rayon's threads, has `work` make something of it there, and hands the
    /// results to `take` on this one in the order of the list. What goes wrong with an utterance is its
    /// result, and the others go on. A recording is decoded once for all its neighbouring utterances, and
    /// few are in memory at a time.
    ///
    /// # Errors
    /// The first that `take` returns.
    pub fn for_each<T, E>(
        &self,
        options: &RecordingOptions,
        work: impl Fn(Waveform) -> Result<T> + Sync,
        take: impl FnMut(&str, Result<T>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        T: Send,
    {
        self.for_each_named(options, |_, waveform| work(waveform), take)
    }

    /// As [`Recordings::for_each`], with the utterance's name for `work`.
    ///
    /// # Errors
    /// The first that `take` returns.
    pub fn for_each_named<T, E>(
        &self,
        options: &RecordingOptions,
        work: impl Fn(&str, Waveform) -> Result<T> + Sync,
        mut take: impl FnMut(&str, Result<T>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        T: Send,
    {
        let window = IN_FLIGHT * rayon::current_num_threads();
        rayon::in_place_scope(|scope| {
            let work = &work;
            let start = |recording| {
                let (sender, receiver) = std::sync::mpsc::channel();
                scope.spawn(move |_| {
                    // Nobody listens any more once `take` has failed.
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
                    take(utterance, result)?;
                }
            }
            Ok(())
        })
    }

    /// One result for each utterance of a recording.
    fn read<T>(
        &self,
        recording: &Recording,
        options: &RecordingOptions,
        work: impl Fn(&str, Waveform) -> Result<T>,
    ) -> Vec<Result<T>> {
        let part = |whole: &Waveform, utterance: &str, segment: &Segment| {
            let cut = cut(whole, segment)
                .map_err(|(expected, found)| Error::key(&self.list, utterance, expected, found))?;
            work(utterance, resampled(cut, options)?)
        };
        let whole = recording.source.read(&options.audio, options.allow_pipes);
        match (whole, &recording.utterances[..]) {
            (Ok(whole), [(utterance, None)]) => {
                vec![resampled(whole, options).and_then(|whole| work(utterance, whole))]
            }
            (Ok(whole), utterances) => (utterances.iter())
                .filter_map(|(utterance, segment)| {
                    segment.as_ref().map(|s| part(&whole, utterance, s))
                })
                .collect(),
            // The error cannot be copied: the first utterance gets it, the others point to it.
            (Err(error), [_, others @ ..]) => {
                let name = recording.source.name();
                let again = || Err(Error::format(&name, "audio", "the error above"));
                [Err(error)]
                    .into_iter()
                    .chain(others.iter().map(|_| again()))
                    .collect()
            }
            (Err(_), []) => Vec::new(),
        }
    }
}

/// Waits for the results of a recording. A thread of rayon's own works on others meanwhile: the only one there is
/// would otherwise wait for itself.
fn await_result<T>(receiver: &Receiver<Vec<Result<T>>>) -> Vec<Result<T>> {
    loop {
        match receiver.try_recv() {
            Ok(results) => return results,
            // Its thread panicked, which the scope hands on.
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

fn resampled(waveform: Waveform, options: &RecordingOptions) -> Result<Waveform> {
    match options.resample_hz {
        Some(to) if to != waveform.sample_rate_hz => Ok(Waveform {
            samples: resample(&waveform.samples, waveform.sample_rate_hz, to)?.into_owned(),
            sample_rate_hz: to,
        }),
        _ => Ok(waveform),
    }
}

/// The samples of a segment; or what was expected of it and what was found.
fn cut(whole: &Waveform, segment: &Segment) -> Result<Waveform, (String, String)> {
    let rate = f64::from(whole.sample_rate_hz);
    let duration = whole.duration_s();
    if segment.end > duration + OVERSHOOT_S {
        let expected = format!(
            "a segment within the {duration:.3} s of '{}'",
            segment.recording
        );
        return Err((expected, format!("an end at {} s", segment.end)));
    }
    let at = |seconds: f64| ((seconds * rate).round() as usize).min(whole.samples.len());
    let samples = whole.samples[at(segment.start)..at(segment.end)].to_vec();
    if samples.is_empty() {
        let found = format!("none from {} to {} s", segment.start, segment.end);
        return Err(("samples in the segment".to_string(), found));
    }
    Ok(Waveform {
        samples,
        sample_rate_hz: whole.sample_rate_hz,
    })
}

#[cfg(test)]
mod tests {
    use super::super::made;
    use super::*;
    use crate::io::audio::write_wav;

    /// A recording `r` of 1 s at 1 kHz whose samples count up, and one `s` that is missing.
    fn corpus(segments: &str) -> (tempfile::TempDir, Result<Recordings>) {
        let dir = made::folder(&[("segments", segments)]);
        let wav = dir.path().join("r.wav");
        let waveform = Waveform {
            samples: (0..1000).map(|i| i as f32 / 32768.0).collect(),
            sample_rate_hz: 1000,
        };
        write_wav(&wav, &waveform).unwrap();
        let scp = format!("r {}\ns no/such.wav\n", wav.display());
        std::fs::write(dir.path().join("wav.scp"), scp).unwrap();
        let table = Table::read(dir.path().join("wav.scp")).unwrap();
        let recordings = match segments {
            "" => Recordings::new(&table),
            _ => Segments::read(dir.path().join("segments"))
                .and_then(|segments| Recordings::with_segments(&table, &segments)),
        };
        (dir, recordings)
    }

    fn all(recordings: &Recordings, options: &RecordingOptions) -> Vec<(String, String)> {
        let mut seen = Vec::new();
        let describe = |waveform: Waveform| {
            let first = (waveform.samples[0] * 32768.0).round();
            Ok(format!("{} from {first}", waveform.samples.len()))
        };
        let taken = recordings.for_each(options, describe, |utterance, result| {
            let told = result.unwrap_or_else(|error| error.to_string());
            seen.push((utterance.to_string(), told));
            Ok::<(), Error>(())
        });
        taken.unwrap();
        seen
    }

    #[test]
    fn without_segments_each_recording_is_an_utterance() {
        let (_dir, recordings) = corpus("");
        let recordings = recordings.unwrap();
        assert_eq!(recordings.utterances(), 2);
        let seen = all(&recordings, &RecordingOptions::default());
        assert_eq!(seen[0], ("r".into(), "1000 from 0".into()));
        assert!(seen[1].1.starts_with("no/such.wav: "), "{seen:?}");
        let options = RecordingOptions {
            resample_hz: Some(2000),
            ..RecordingOptions::default()
        };
        assert!(all(&recordings, &options)[0].1.starts_with("2000 from"));
    }

    #[test]
    fn segments_cut_in_their_order() {
        let (_dir, recordings) = corpus(
            "d r 0.5 0.7\na r 0.1 0.3\nb s 0 1\nb2 s 1 2\nc r 0.9 1.4\ne r 0.5 1.6\nf r 1.2 1.3\n",
        );
        let seen = all(&recordings.unwrap(), &RecordingOptions::default());
        let keys: Vec<&str> = seen.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["d", "a", "b", "b2", "c", "e", "f"]);
        assert_eq!(seen[0].1, "200 from 500");
        assert_eq!(seen[1].1, "200 from 100");
        assert!(seen[2].1.starts_with("no/such.wav: "));
        assert!(seen[3].1.ends_with("found the error above"));
        assert_eq!(seen[4].1, "100 from 900");
        assert!(seen[5].1.ends_with(
            "segments: e: expected a segment within the 1.000 s of 'r', found an end at 1.6 s"
        ));
        assert!(seen[6].1.contains("f: expected samples in the segment"));
    }

    #[test]
    fn lists_that_do_not_fit_are_refused() {
        let (_dir, recordings) = corpus("a q 0 1\n");
        let error = recordings.unwrap_err().to_string();
        assert!(error.ends_with("wav.scp: a: expected its recording, found none for 'q'"));
        let dir = made::folder(&[("wav.scp", "a\n"), ("empty", "")]);
        let bare = Table::read(dir.path().join("wav.scp")).unwrap();
        let error = Recordings::new(&bare).unwrap_err().to_string();
        assert!(error.ends_with(":1: expected a key and a file or 'command |', found 'a' alone"));
        let empty = Table::read(dir.path().join("empty")).unwrap();
        assert!(Recordings::new(&empty).is_err());
    }
}
