//! Combines data directories.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::files::DataFiles;
use super::subset::check_target;
use crate::error::{Error, Result};
use crate::io::audio::{AudioOptions, AudioSource, Channel, Pipes};
use crate::io::lines::Entry;

/// Writes the union of `sources` as `target`: all files sorted, `spk2utt` derived. Files that are only in some sources
/// are left out and returned, and so are those named in `without`.
///
/// If only some sources have `segments`, those of the others are created, as Kaldi's `combine_data.sh` does: each
/// utterance is the whole of its recording. Its length is from `utt2dur` or `reco2dur`, or else from the audio, whose
/// commands run as `pipes` allows.
///
/// # Errors
/// [`Error::Key`] for a key with different lines in two sources, and for an utterance whose length is needed and cannot
/// be found; else as reading audio, and reading and writing a data directory.
pub fn combine(
    sources: &[PathBuf],
    target: impl AsRef<Path>,
    without: &[String],
    pipes: Pipes,
) -> Result<Vec<String>> {
    let target = target.as_ref();
    let mut read = Vec::with_capacity(sources.len());
    for source in sources {
        check_target(source, target)?;
        read.push(DataFiles::read(source)?);
    }
    if read.is_empty() {
        return Err(Error::option("sources", "a data directory", "none"));
    }
    if !without.iter().any(|name| name == SEGMENTS) {
        complete_segments(sources, &mut read, pipes)?;
    }
    let names: BTreeSet<&String> = read.iter().flat_map(|files| files.0.keys()).collect();
    let mut combined = DataFiles::default();
    let mut left_out = Vec::new();
    for name in names {
        let everywhere = read.iter().all(|files| files.0.contains_key(name));
        if without.contains(name) || !everywhere {
            left_out.push(name.clone());
        } else if name != "spk2utt" {
            combined
                .0
                .insert(name.clone(), union(name, sources, &read)?);
        }
    }
    combined.invert();
    combined.write(target)?;
    left_out.retain(|name| name != "spk2utt");
    Ok(left_out)
}

const SEGMENTS: &str = "segments";

/// If left out of some sources, `segments` would turn utterances of others into recordings.
fn complete_segments(sources: &[PathBuf], read: &mut [DataFiles], pipes: Pipes) -> Result<()> {
    let has = |files: &DataFiles| files.0.contains_key(SEGMENTS);
    if read.iter().any(has) {
        for (source, files) in sources.iter().zip(read) {
            if !has(files) {
                let segments = whole_recordings(source, files, pipes)?;
                files.0.insert(SEGMENTS.into(), segments);
            }
        }
    }
    Ok(())
}

/// A segment per utterance that covers the recording of its name.
fn whole_recordings(source: &Path, files: &DataFiles, pipes: Pipes) -> Result<Vec<Entry>> {
    let table = |name: &str| -> HashMap<&str, &str> {
        let lines = files.lines(name).iter();
        lines
            .map(|entry| (&entry.key[..], &entry.value[..]))
            .collect()
    };
    let (lengths, recordings) = ([table("utt2dur"), table("reco2dur")], table("wav.scp"));
    let whole = |entry: &Entry| {
        let id = entry.key.as_str();
        let listed = lengths.iter().find_map(|table| table.get(id));
        let seconds = match (listed, recordings.get(id)) {
            (Some(seconds), _) => seconds.to_string(),
            (None, Some(audio)) => duration(audio, pipes)?.to_string(),
            (None, None) => {
                let expected = "a recording, or a length in utt2dur, to make a segment by";
                return Err(Error::key(source.join("wav.scp"), id, expected, "none"));
            }
        };
        let value = format!("{id} 0 {seconds}");
        Ok(Entry {
            value,
            ..entry.clone()
        })
    };
    let found: Vec<_> = files.lines("utt2spk").par_iter().map(whole).collect();
    found.into_iter().collect()
}

/// Duration in seconds of the audio of a line of `wav.scp`, from its header if possible.
fn duration(audio: &str, pipes: Pipes) -> Result<f64> {
    let any_channel = AudioOptions {
        channel: Some(Channel::Index(0)),
        ..AudioOptions::default()
    };
    let mut reader = AudioSource::parse(audio).open(&any_channel, pipes)?;
    let samples = match reader.stated_samples() {
        Some(samples) => samples,
        None => {
            let mut samples = 0;
            while let Some(block) = reader.next_block()? {
                samples += block.len() as u64;
            }
            samples
        }
    };
    Ok(samples as f64 / f64::from(reader.sample_rate_hz()))
}

/// The lines of all sources, sorted.
fn union(name: &str, sources: &[PathBuf], read: &[DataFiles]) -> Result<Vec<Entry>> {
    let mut entries: BTreeMap<&str, &Entry> = BTreeMap::new();
    for (source, files) in sources.iter().zip(read) {
        for entry in files.lines(name) {
            let first = *entries.entry(&entry.key).or_insert(entry);
            if first.value != entry.value {
                return Err(Error::key(
                    source.join(name),
                    &entry.key,
                    format!("'{}' as in another source", first.value),
                    format!("'{}'", entry.value),
                ));
            }
        }
    }
    Ok(entries.into_values().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::super::made::folder;
    use super::super::{DataDir, Segment};
    use super::*;
    use crate::io::audio::{Waveform, write_wav};

    type Files<'a> = &'a [(&'a str, &'a str)];

    fn combined(a: Files, b: Files, without: &[&str]) -> Result<(DataDir, Vec<String>)> {
        let (a, b, target) = (folder(a), folder(b), folder(&[]));
        let sources = [a.path().to_path_buf(), b.path().to_path_buf()];
        let target = target.path().join("all");
        let without: Vec<String> = without.iter().map(ToString::to_string).collect();
        let left_out = combine(&sources, &target, &without, Pipes::Refused)?;
        Ok((DataDir::open(&target)?, left_out))
    }

    #[test]
    fn speakers_in_both_are_merged() {
        let a: Files = &[
            ("utt2spk", "a-2 a\nb-1 b\n"),
            ("text", "a-2 x\n"),
            ("spk2gender", "a m\nb f\n"),
        ];
        let b: Files = &[
            ("utt2spk", "a-1 a\n"),
            ("spk2gender", "a m\n"),
            ("spk2utt", "a a-1\n"),
        ];
        let (data, left_out) = combined(a, b, &[]).unwrap();
        assert_eq!(data.utterances(), ["a-1", "a-2", "b-1"]);
        assert_eq!(data.utterances_of("a").collect::<Vec<_>>(), ["a-1", "a-2"]);
        assert_eq!(left_out, ["text"]);
    }

    #[test]
    fn contradictions_are_errors() {
        let a: Files = &[("utt2spk", "a-1 a\n"), ("cmvn.scp", "a c:1\n")];
        let b: Files = &[("utt2spk", "a-2 a\n"), ("cmvn.scp", "a c:2\n")];
        let error = combined(a, b, &[]).unwrap_err().to_string();
        assert!(
            error.contains("cmvn.scp: a: expected 'c:1' as in another source, found 'c:2'"),
            "{error}"
        );
        assert_eq!(combined(a, b, &["cmvn.scp"]).unwrap().1, ["cmvn.scp"]);
    }

    #[test]
    fn utterances_without_segments_become_whole_recordings() {
        let cut: Files = &[
            ("utt2spk", "a-1 a\na-2 a\n"),
            ("segments", "a-1 r 0 1\na-2 r 1 2\n"),
            ("wav.scp", "r r.wav\n"),
        ];
        let wav = folder(&[]);
        let wav = wav.path().join("c.wav");
        let waveform = Waveform {
            samples: vec![0.25; 12_345],
            sample_rate_hz: 8000,
        };
        write_wav(&wav, &waveform).unwrap();
        let scp = format!("b-1 b.wav\nb-2 {}\n", wav.display());
        let whole: Files = &[
            ("utt2spk", "b-1 b\nb-2 b\n"),
            ("wav.scp", &scp),
            ("utt2dur", "b-1 2.50\n"),
        ];
        for (first, second) in [(cut, whole), (whole, cut)] {
            let (data, left_out) = combined(first, second, &[]).unwrap();
            assert_eq!(left_out, ["utt2dur"]);
            let segments: Vec<_> = data.segments().unwrap().iter().collect();
            let found = |at: usize| {
                let (entry, segment): (&Entry, Option<&Segment>) = segments[at];
                let segment = segment.unwrap();
                (
                    &entry.key[..],
                    &segment.recording[..],
                    segment.start,
                    segment.end,
                )
            };
            assert_eq!(found(0), ("a-1", "r", 0.0, 1.0));
            assert_eq!(found(1), ("a-2", "r", 1.0, 2.0));
            assert_eq!(found(2), ("b-1", "b-1", 0.0, 2.5));
            assert_eq!(found(3), ("b-2", "b-2", 0.0, 12_345.0 / 8000.0));
        }
        let (data, left_out) = combined(cut, whole, &["segments"]).unwrap();
        assert_eq!(left_out, ["segments", "utt2dur"]);
        assert!(data.segments().is_none());
        let bare: Files = &[("utt2spk", "c-1 c\n")];
        let error = combined(cut, bare, &[]).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "wav.scp: c-1: expected a recording, or a length in utt2dur, to make a segment by, found none"
            ),
            "{error}"
        );
    }
}
