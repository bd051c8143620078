//! Recordings listed in a CSV or TSV file, whose first line names the columns.

use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};

use super::found::{Candidate, Found};
use super::genders;
use super::pattern::without_extension;
use crate::error::{Error, Result};
use crate::io::audio::AudioSource;
use crate::io::lines::read_text;

/// A table of recordings and its columns. A column that is not given is the first of the usual names that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// The file: columns are separated by tabs where its first line has one, else by commas, or by semicolons.
    pub path: PathBuf,
    /// Column of the file name, relative to the folder of recordings or to `clips` in it.
    pub audio: Option<String>,
    /// Column of the speaker.
    pub speaker: Option<String>,
    /// Column of the transcript.
    pub text: Option<String>,
}

/// The usual names of columns, in any case.
const AUDIO: &[&str] = &[
    "path",
    "file",
    "filename",
    "file_name",
    "audio",
    "audio_filepath",
    "wav",
];
const SPEAKER: &[&str] = &["speaker", "speaker_id", "client_id", "spk", "spk_id"];
const TEXT: &[&str] = &["text", "sentence", "transcript", "transcription"];
const GENDER: &[&str] = &["gender", "sex"];

/// The recordings of a table. Rows without a file or without a speaker are left out.
///
/// # Errors
/// Errors of reading the file; [`Error::Key`] for a missing column, [`Error::Line`] for a malformed row.
pub(super) fn read(folder: &Path, table: &TableOptions, speakers: bool) -> Result<Found> {
    let text = read_text(&table.path)?;
    let first = text.lines().next().unwrap_or_default();
    let separator = ['\t', ',', ';'].into_iter().find(|&c| first.contains(c));
    let mut reader = ReaderBuilder::new()
        .delimiter(separator.unwrap_or(',') as u8)
        // Common Voice's and other TSV files have quotes as they were typed.
        .quoting(separator != Some('\t'))
        .flexible(false)
        .from_reader(text.as_bytes());
    let header = reader
        .headers()
        .map_err(|error| malformed(table, &error))?
        .clone();
    let audio = need(table, &header, "audio", table.audio.as_deref(), AUDIO)?;
    let speaker = match speakers {
        true => Some(need(
            table,
            &header,
            "speaker",
            table.speaker.as_deref(),
            SPEAKER,
        )?),
        false => None,
    };
    let text = match &table.text {
        Some(name) => Some(need(table, &header, "text", Some(name), TEXT)?),
        None => position(&header, TEXT),
    };
    let gender = speaker.and(position(&header, GENDER));
    let mut found = Found::default();
    for row in reader.records() {
        let row = row.map_err(|error| malformed(table, &error))?;
        let cell = |column: usize| row.get(column).unwrap_or_default().trim();
        let file = cell(audio);
        let speaker = speaker.map(cell);
        let Some(path) = place(folder, file) else {
            found.leave_out(file, format!("no such file in {}", folder.display()));
            continue;
        };
        if speaker.is_some_and(str::is_empty) {
            found.leave_out(file, "no speaker in the table");
            continue;
        }
        found.add(Candidate {
            source: AudioSource::File(path),
            cut: None,
            // A slash in it is no folder.
            speaker: speaker.map(|name| name.replace('/', "_")),
            name: match speaker {
                Some(_) => stem(file),
                None => without_extension(file).to_string(),
            },
            text: text.map(|column| cell(column).to_string()),
            gender: gender.and_then(|column| genders::gender(cell(column))),
        });
    }
    Ok(found)
}

/// The last name of a path, without its extension.
fn stem(file: &str) -> String {
    let name = without_extension(file);
    name.rsplit('/').next().unwrap_or(name).to_string()
}

/// Where a file of the table lies.
fn place(folder: &Path, file: &str) -> Option<PathBuf> {
    let places = [folder.join(file), folder.join("clips").join(file)];
    places
        .into_iter()
        .find(|place| !file.is_empty() && place.is_file())
}

/// The column of an option, or of a usual name.
fn need(
    table: &TableOptions,
    header: &StringRecord,
    what: &str,
    named: Option<&str>,
    usual: &[&str],
) -> Result<usize> {
    let column = match named {
        Some(name) => header.iter().position(|column| column.trim() == name),
        None => position(header, usual),
    };
    column.ok_or_else(|| {
        let columns: Vec<&str> = header.iter().collect();
        let expected = match named {
            Some(name) => format!("a column '{name}'"),
            None => format!(
                "a column {}, or its name as --columns {what}=NAME",
                usual.join(", ")
            ),
        };
        Error::key(&table.path, what, expected, columns.join(", "))
    })
}

fn position(header: &StringRecord, usual: &[&str]) -> Option<usize> {
    let at = |name: &&str| {
        header
            .iter()
            .position(|column| column.trim().eq_ignore_ascii_case(name))
    };
    usual.iter().find_map(at)
}

fn malformed(table: &TableOptions, error: &csv::Error) -> Error {
    let line = error
        .position()
        .map_or(1, |position| position.line() as usize);
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            let expected = format!("{expected_len} columns, as in the first line");
            Error::line(&table.path, line, expected, len.to_string())
        }
        _ => Error::line(&table.path, line, "a row of a table", error.to_string()),
    }
}
