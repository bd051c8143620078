//! Reads the objects and decodes the recordings that a data directory lists.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::blocks::OVERSHOOT_S;
use super::layout;
use super::segments::{Segment, Segments};
use super::table::Table;
use crate::error::{Error, Result};
use crate::io::audio::{AudioOptions, AudioReader, AudioSource, Channel, Pipes};
use crate::io::kaldi::{KaldiObject, ScpTable};
use crate::io::lines::Entry;

/// Checks each object that `feats.scp` and the other lists name, and each recording of `wav.scp`: objects are read, numbers
/// are finite, features have one number of values per frame, and recordings are decoded to their end, where their stated
/// length and checksum are checked. Segments lie within their recordings. Commands do not run. Returns all errors; a file that cannot be opened is reported once.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read.
pub fn check_contents(folder: &Path) -> Result<Vec<Error>> {
    let mut problems = Vec::new();
    for name in layout::files(folder)? {
        let path = folder.join(&name);
        match name.strip_suffix(".scp") {
            Some("wav") => problems.extend(recordings(&path)),
            Some("vad") => problems.extend(objects(&path, |vad: &Array1<f32>| (finite(vad), None))),
            Some("ali") => problems.extend(objects(&path, |_: &Vec<i32>| (true, None))),
            Some(_) => problems.extend(objects(&path, |matrix: &Array2<f32>| {
                (finite(matrix), Some(matrix.ncols()))
            })),
            None => {}
        }
    }
    let mut closed = BTreeSet::new();
    problems.retain(|problem| match problem {
        Error::Io { path, .. } => closed.insert(path.clone()),
        _ => true,
    });
    Ok(problems)
}

fn finite<D: ndarray::Dimension>(numbers: &ndarray::Array<f32, D>) -> bool {
    numbers.iter().all(|number| number.is_finite())
}

/// The errors of a list's objects, of which `look` tells whether they are finite, and their columns.
fn objects<T: KaldiObject>(
    list: &Path,
    look: impl Fn(&T) -> (bool, Option<usize>) + Sync,
) -> Vec<Error> {
    let table = match ScpTable::<T>::open(list) {
        Ok(table) => table,
        Err(error) => return vec![error],
    };
    let wrong = |key: &str, expected: String, found: String| Error::key(list, key, expected, found);
    let columns = |key: &String| -> Result<Option<usize>> {
        let Some(object) = table.get_stored(key)? else {
            return Ok(None);
        };
        match look(&object) {
            (true, columns) => Ok(columns),
            (false, _) => Err(wrong(key, "finite numbers".into(), "others".into())),
        }
    };
    let found: Vec<Result<Option<usize>>> = table.keys().par_iter().map(columns).collect();
    let first = found.iter().flatten().flatten().next().copied();
    let keys = table.keys().iter().zip(found);
    keys.filter_map(|(key, found)| match found {
        Ok(Some(columns)) if Some(columns) != first => {
            let expected = format!("{} values per frame, as the first has", first.unwrap_or(0));
            Some(wrong(key, expected, columns.to_string()))
        }
        found => found.err(),
    })
    .collect()
}

/// Compares `segments` with the lengths that the headers of recordings state. What is not there or cannot be opened has
/// none: that is for [`check_contents`].
pub fn check_segments(folder: &Path) -> Vec<Error> {
    let path = folder.join("segments");
    match (Table::read(folder.join("wav.scp")), Segments::read(&path)) {
        (Ok(table), Ok(segments)) => {
            let (durations, _) = durations(&table, stated);
            outside(&path, &segments, &durations)
        }
        _ => Vec::new(),
    }
}

/// The errors of the recordings of `wav.scp`, and of segments of them that lie behind their ends.
fn recordings(list: &Path) -> Vec<Error> {
    let table = match Table::read(list) {
        Ok(table) => table,
        Err(error) => return vec![error],
    };
    let (durations, mut problems) = durations(&table, decoded);
    let path = list.with_file_name("segments");
    if path.is_file() {
        match Segments::read(&path) {
            Ok(segments) => problems.extend(outside(&path, &segments, &durations)),
            Err(error) => problems.push(error),
        }
    }
    problems
}

/// Seconds of each recording that has some; and the errors of the others. Commands do not run.
fn durations(
    table: &Table,
    seconds: fn(AudioReader) -> Result<Option<f64>>,
) -> (HashMap<&str, f64>, Vec<Error>) {
    let any_channel = AudioOptions {
        channel: Some(Channel::Index(0)),
        verify: true,
        ..AudioOptions::default()
    };
    let of = |entry: &Entry| match AudioSource::parse(&entry.value) {
        AudioSource::Pipe(_) => Ok(None),
        source => seconds(source.open(&any_channel, Pipes::Refused)?),
    };
    let found: Vec<Result<Option<f64>>> = table.entries().par_iter().map(of).collect();
    let (mut durations, mut problems) = (HashMap::new(), Vec::new());
    for (entry, found) in table.entries().iter().zip(found) {
        match found {
            Ok(seconds) => {
                durations.extend(seconds.map(|seconds| (entry.key.as_str(), seconds)));
            }
            Err(error) => problems.push(error),
        }
    }
    (durations, problems)
}

/// By the header alone, where it says so.
fn stated(reader: AudioReader) -> Result<Option<f64>> {
    let rate = f64::from(reader.sample_rate_hz());
    Ok((reader.stated_samples()).map(|samples| samples as f64 / rate))
}

/// By decoding to the end.
fn decoded(mut reader: AudioReader) -> Result<Option<f64>> {
    let mut samples = 0;
    while let Some(block) = reader.next_block()? {
        samples += block.len();
    }
    Ok(Some(samples as f64 / f64::from(reader.sample_rate_hz())))
}

fn outside(path: &Path, segments: &Segments, durations: &HashMap<&str, f64>) -> Vec<Error> {
    let fault = |(entry, segment): (&Entry, Option<&Segment>)| {
        let segment = segment?;
        let seconds = *durations.get(segment.recording.as_str())?;
        let late = segment.end.is_finite() && segment.end > seconds + OVERSHOOT_S;
        (late || segment.start >= seconds).then(|| {
            let expected = format!("times within the {seconds:.3} s of {}", segment.recording);
            Error::line(path, entry.line, expected, format!("'{}'", entry.value))
        })
    };
    segments.iter().filter_map(fault).collect()
}
