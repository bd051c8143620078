//! `unbraid extract` on recordings: phonetic codes and speaker embeddings of files and folders, with no list and no archive.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use ndarray::{Array1, Array2};
use serde_json::json;

use crate::cli::failures::Failures;
use crate::cli::progress::bar;
use crate::cli::recordings::Rates;
use crate::dataset::make::{is_named_audio, prefixed, valid};
use crate::error::{Error, Result};
use crate::inference::Model;
use crate::inference::model::Representations;
use crate::io::atomic::AtomicFile;
use crate::io::audio::{AudioOptions, is_audio, read_audio};
use crate::io::kaldi::TableWriter;
use crate::io::message::{message, output};
use crate::io::walk::files_below;

/// What is extracted: by default both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) phonetic: bool,
    pub(super) speaker: bool,
}

/// Extracts from files, and from all audio files below folders. Without `out`, lines of JSON go to standard output.
///
/// # Errors
/// What is wrong with the inputs or with the place to write to; and when recordings failed.
pub(super) fn run(
    model: &Model,
    inputs: &[String],
    out: Option<&Path>,
    wanted: Wanted,
    audio: &AudioOptions,
) -> anyhow::Result<()> {
    let files = named(inputs)?;
    let mut sink = Sink::open(out, wanted)?;
    let progress = bar(files.len() as u64, "recordings");
    let (mut failures, mut rates) = (Failures::default(), Rates::default());
    for Named { key, path } in &files {
        let found = read_audio(path, audio).and_then(|recording| {
            let found = model.both(&recording, [wanted.phonetic, wanted.speaker])?;
            Ok((recording.sample_rate_hz, found))
        });
        match found {
            Ok((rate_hz, found)) => {
                rates.add(rate_hz);
                sink.write(key, path, &found)?;
            }
            Err(error) => failures.add(key, &error, &progress),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    rates.report(model.sample_rate_hz());
    if failures.count() < files.len() {
        sink.finish()?;
    }
    failures.into_result(files.len(), "recordings")
}

/// A recording, and the id that it gets.
struct Named {
    key: String,
    path: PathBuf,
}

/// The files, each under an id of its own: that of `unbraid data make`, its name with the folders around it before it.
fn named(inputs: &[String]) -> anyhow::Result<Vec<Named>> {
    let mut files = Vec::new();
    for input in inputs {
        let path = Path::new(input);
        match path.is_dir() {
            true => files.extend(below(path)?),
            false => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let (key, path) = (id(&name), path.to_path_buf());
                files.push(Named { key, path });
            }
        }
    }
    let mut taken: HashSet<String> = HashSet::new();
    for Named { key, path } in &mut files {
        let name = key.clone();
        let mut number = 1;
        while !taken.insert(key.clone()) {
            number += 1;
            *key = format!("{name}-{number}");
        }
        if number > 1 {
            message(format_args!(
                "unbraid: {} gets the id {key}: another recording has its name",
                path.display()
            ));
        }
    }
    Ok(files)
}

/// All audio below a folder, also what has the name of audio and is none: it fails when it is read.
fn below(folder: &Path) -> anyhow::Result<Vec<Named>> {
    let (names, unnamed) = files_below(folder)?;
    if let Some(name) = unnamed.first() {
        bail!("{name}: expected a name in UTF-8, found another");
    }
    let is_recording = |name: &&String| {
        is_named_audio(name) || is_audio(folder.join(name.as_str())).unwrap_or(false)
    };
    let found = names.iter().filter(is_recording).map(|name| Named {
        key: id(name),
        path: folder.join(name),
    });
    let found: Vec<Named> = found.collect();
    if found.is_empty() {
        bail!(
            "{}: expected recordings in the folder, found none",
            folder.display()
        );
    }
    Ok(found)
}

/// `anna/talk 1.wav` as `anna-talk_1`.
fn id(name: &str) -> String {
    let name = Path::new(name).with_extension("");
    let name = name.to_string_lossy();
    match name.rsplit_once('/') {
        Some((folder, name)) => prefixed(&valid(folder), &valid(name)),
        None => valid(&name),
    }
}

/// Where results go, by the name of the target.
enum Sink {
    /// Lines of JSON on standard output.
    Lines,
    /// JSON: objects of a list, or lines.
    Json {
        file: AtomicFile,
        list: bool,
        count: usize,
    },
    /// A table for each representation.
    Tables {
        phonetic: Option<Box<TableWriter<Array2<f32>>>>,
        speaker: Option<Box<TableWriter<Array1<f32>>>>,
    },
}

impl Sink {
    fn open(out: Option<&Path>, wanted: Wanted) -> Result<Self> {
        let Some(out) = out else {
            return Ok(Self::Lines);
        };
        let form = out
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let stem = out.with_extension("").display().to_string();
        let table = |name: &str| match form.as_str() {
            "txt" => Some(format!("ark,t:{stem}.{name}.txt")),
            "ark" => Some(format!("ark,scp:{stem}.{name}.ark,{stem}.{name}.scp")),
            "npy" => Some(format!("npy:{stem}.{name}")),
            _ => None,
        };
        if let ("json" | "jsonl", file) = (form.as_str(), AtomicFile::create(out)) {
            let list = form == "json";
            return Ok(Self::Json {
                file: file?,
                list,
                count: 0,
            });
        }
        let (Some(phonetic), Some(speaker)) = (table("phonetic"), table("speaker")) else {
            let expected = "a name that ends in .json, .jsonl, .txt, .ark or .npy";
            return Err(Error::option("--out", expected, out.display().to_string()));
        };
        Ok(Self::Tables {
            phonetic: wanted
                .phonetic
                .then(|| TableWriter::create(&phonetic).map(Box::new))
                .transpose()?,
            speaker: wanted
                .speaker
                .then(|| TableWriter::create(&speaker).map(Box::new))
                .transpose()?,
        })
    }

    fn write(&mut self, key: &str, path: &Path, found: &Representations) -> Result<()> {
        match self {
            Self::Lines => output(format_args!("{}\n", object(key, path, found))),
            Self::Json { file, list, count } => {
                let before = match (*list, *count) {
                    (true, 0) => "[\n",
                    (true, _) => ",\n",
                    (false, 0) => "",
                    (false, _) => "\n",
                };
                *count += 1;
                let text = format!("{before}{}", object(key, path, found));
                let place = file.path().to_path_buf();
                file.write_all(text.as_bytes()).map_err(Error::io(&place))
            }
            Self::Tables { phonetic, speaker } => {
                if let (Some(writer), Some(codes)) = (phonetic, &found.phonetic) {
                    writer.write(key, codes)?;
                }
                if let (Some(writer), Some(embedding)) = (speaker, &found.speaker) {
                    writer.write(key, embedding)?;
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Lines => Ok(()),
            Self::Json { mut file, list, .. } => {
                let end = if list { "\n]\n" } else { "\n" };
                let place = file.path().to_path_buf();
                file.write_all(end.as_bytes()).map_err(Error::io(&place))?;
                file.commit()
            }
            Self::Tables { phonetic, speaker } => {
                phonetic.map(|writer| writer.finish()).transpose()?;
                speaker.map(|writer| writer.finish()).transpose()?;
                Ok(())
            }
        }
    }
}

/// `{"utterance": .., "file": .., "phonetic": [[..]..], "speaker": [..]}`.
fn object(key: &str, path: &Path, found: &Representations) -> serde_json::Value {
    let mut object = json!({"utterance": key, "file": path.to_string_lossy()});
    if let Some(codes) = &found.phonetic {
        let rows: Vec<Vec<f32>> = codes.rows().into_iter().map(|row| row.to_vec()).collect();
        object["phonetic"] = json!(rows);
    }
    if let Some(embedding) = &found.speaker {
        object["speaker"] = json!(embedding.to_vec());
    }
    object
}
