//! Cuts of lhotse (`CutSet` in JSON lines, also compressed by gzip): each supervision is an utterance.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::found::{Candidate, Cut, Found};
use super::ids::{Ids, valid};
use crate::error::{Error, Result};
use crate::io::audio::AudioSource;
use crate::io::inputs;
use crate::io::lines::Entry;

/// A cut, as far as it is read.
#[derive(Deserialize)]
struct CutLine {
    id: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    start: f64,
    recording: Option<RecordingOf>,
    #[serde(default)]
    supervisions: Vec<Supervision>,
}

#[derive(Deserialize)]
struct RecordingOf {
    id: String,
    sources: Vec<SourceOf>,
    #[serde(default)]
    transforms: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct SourceOf {
    #[serde(rename = "type")]
    kind: String,
    source: String,
    #[serde(default)]
    channels: Vec<u32>,
}

#[derive(Deserialize)]
struct Supervision {
    id: String,
    start: f64,
    duration: f64,
    text: Option<String>,
    speaker: Option<String>,
}

/// The supervisions of a file of cuts.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Line`] for a line that is no cut.
pub(super) fn read(path: &Path, speakers: bool) -> Result<Found> {
    let mut found = Found::default();
    let mut sources = BTreeMap::new();
    for (number, line) in inputs::unpacked(path)?.lines().enumerate() {
        let line = line.map_err(Error::io(path))?;
        if line.trim().is_empty() {
            continue;
        }
        let cut: CutLine = serde_json::from_str(&line).map_err(|error| {
            let expected = "a cut of lhotse in JSON";
            Error::line(path, number + 1, expected, error.to_string())
        })?;
        add(cut, speakers, &mut sources, &mut found);
    }
    Ok(found)
}

/// Adds the supervisions of a cut, or says why it is left out.
fn add(
    cut: CutLine,
    speakers: bool,
    sources: &mut BTreeMap<String, AudioSource>,
    found: &mut Found,
) {
    let (source, recording) = match source_of(&cut) {
        Ok(source) => source,
        Err(reason) => return found.leave_out(&cut.id, reason),
    };
    let known = sources
        .entry(valid(&recording))
        .or_insert_with(|| source.clone());
    if *known != source {
        return found.leave_out(&cut.id, format!("another recording of the id {recording}"));
    }
    if cut.supervisions.is_empty() {
        return found.leave_out(&cut.id, "no supervision");
    }
    for supervision in cut.supervisions {
        let named = |speaker: &String| !speaker.trim().is_empty();
        if speakers && !supervision.speaker.as_ref().is_some_and(named) {
            found.leave_out(&supervision.id, "no speaker (or --speakers unknown)");
            continue;
        }
        let start = (cut.start + supervision.start).max(0.0);
        let end = cut.start + supervision.start + supervision.duration;
        if !(end.is_finite() && end > start) {
            found.leave_out(&supervision.id, "no length");
            continue;
        }
        found.add(Candidate {
            source: source.clone(),
            cut: Some(Cut {
                recording: recording.clone(),
                start,
                end,
            }),
            speaker: supervision.speaker.filter(|_| speakers),
            name: supervision.id,
            text: supervision.text,
            gender: None,
        });
    }
}

/// The file of a cut's recording, and the recording's name.
fn source_of(cut: &CutLine) -> Result<(AudioSource, String), String> {
    match cut.kind.as_deref() {
        None | Some("MonoCut" | "MultiCut" | "Cut") => {}
        Some(other) => return Err(format!("a {other}")),
    }
    let recording = cut.recording.as_ref().ok_or("no recording")?;
    if recording
        .transforms
        .as_ref()
        .is_some_and(|list| !list.is_empty())
    {
        return Err("a recording with transforms".into());
    }
    match &recording.sources[..] {
        [source] if source.channels.len() > 1 => Err("a recording of several channels".into()),
        [source] if source.kind == "file" => {
            let file = AudioSource::File(PathBuf::from(&source.source));
            Ok((file, recording.id.clone()))
        }
        [source] => Err(format!("a recording from a {}", source.kind)),
        several => Err(format!("a recording of {} sources", several.len())),
    }
}

/// `wav.scp` by recording, and `segments`.
pub(super) fn tables(rows: &[(&Ids, &Candidate)]) -> (Vec<Entry>, Vec<Entry>) {
    let mut recordings = BTreeMap::new();
    let mut segments = Vec::with_capacity(rows.len());
    for (line, (ids, candidate)) in (1..).zip(rows) {
        let Some(cut) = &candidate.cut else {
            continue;
        };
        let recording = valid(&cut.recording);
        segments.push(Entry {
            key: ids.utterance.clone(),
            value: format!("{recording} {:.4} {:.4}", cut.start, cut.end),
            line,
        });
        recordings.insert(recording, candidate.source.name().display().to_string());
    }
    let recordings = recordings.into_iter().zip(1..);
    let recordings = recordings.map(|((key, value), line)| Entry { key, value, line });
    (recordings.collect(), segments)
}
