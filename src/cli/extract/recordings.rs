//! `unbraid extract` on recordings: phonetic codes and speaker embeddings of files and folders, with no list and no archive.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use ndarray::{Array1, Array2};
use serde_json::json;

use crate::cli::failures::Failures;
use crate::cli::progress::bar;
use crate::cli::recordings::Rates;
use crate::dataset::make::valid;
use crate::dataset::walk::files_below;
use crate::error::{Error, Result};
use crate::inference::Model;
use crate::io::atomic::AtomicFile;
use crate::io::audio::{AudioOptions, is_audio, read_audio};
use crate::io::kaldi::TableWriter;
use crate::io::message::output;

/// The representations of a recording.
struct Found {
    phonetic: Option<Array2<f32>>,
    speaker: Option<Array1<f32>>,
}

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
    for (key, path) in &files {
        let found = read_audio(path, audio).and_then(|recording| {
            let rate_hz = recording.sample_rate_hz;
            let recording = model.at_rate(&recording)?;
            let phonetic = wanted
                .phonetic
                .then(|| model.phonetic(&recording))
                .transpose()?;
            let speaker = wanted
                .speaker
                .then(|| model.speaker(&recording))
                .transpose()?;
            Ok((
                rate_hz,
                recording.sample_rate_hz,
                Found { phonetic, speaker },
            ))
        });
        match found {
            Ok((rate_hz, _, found)) => {
                rates.add(rate_hz);
                sink.write(key, &found)?;
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

/// The files, each under an id of its own: its name, or its path below the folder.
fn named(inputs: &[String]) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for input in inputs {
        let path = Path::new(input);
        if !path.is_dir() {
            let name = path.with_extension("");
            let name = name.file_name().unwrap_or_default().to_string_lossy();
            files.push((valid(&name), path.to_path_buf()));
            continue;
        }
        let before = files.len();
        for name in files_below(path)?.0 {
            let file = path.join(&name);
            if is_audio(&file)? {
                let name = Path::new(&name).with_extension("");
                files.push((valid(&name.to_string_lossy()), file));
            }
        }
        if files.len() == before {
            bail!("{input}: expected recordings in the folder, found none");
        }
    }
    let mut times: HashMap<String, usize> = HashMap::new();
    for (key, _) in &mut files {
        let seen = times.entry(key.clone()).or_default();
        *seen += 1;
        if *seen > 1 {
            key.push_str(&format!("-{seen}"));
        }
    }
    Ok(files)
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

    fn write(&mut self, key: &str, found: &Found) -> Result<()> {
        match self {
            Self::Lines => output(format_args!("{}\n", object(key, found))),
            Self::Json { file, list, count } => {
                let before = match (*list, *count) {
                    (true, 0) => "[\n",
                    (true, _) => ",\n",
                    (false, 0) => "",
                    (false, _) => "\n",
                };
                *count += 1;
                let text = format!("{before}{}", object(key, found));
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

/// `{"utterance": .., "phonetic": [[..]..], "speaker": [..]}`.
fn object(key: &str, found: &Found) -> serde_json::Value {
    let mut object = json!({"utterance": key});
    if let Some(codes) = &found.phonetic {
        let rows: Vec<Vec<f32>> = codes.rows().into_iter().map(|row| row.to_vec()).collect();
        object["phonetic"] = json!(rows);
    }
    if let Some(embedding) = &found.speaker {
        object["speaker"] = json!(embedding.to_vec());
    }
    object
}
