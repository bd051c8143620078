//! `log.jsonl`: one line per logged step, and the same numbers as TensorBoard events.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::events::EventWriter;
use super::old_names;
use crate::error::{Error, Result};
use crate::io::lines::read_text;
use crate::io::{atomic, json};

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Steps done.
    pub step: u64,
    /// `train` or `valid`.
    pub split: String,
    /// Seconds since this process started training.
    pub seconds: f64,
    /// Scalars by name.
    pub values: std::collections::BTreeMap<String, f64>,
}

/// Writes `log.jsonl` and the event file of an experiment.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    events: EventWriter,
}

impl Log {
    /// Opens the log of `folder` at `step`. Later lines are dropped, because a resumed run repeats their steps.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; [`Error::Line`] for an invalid line.
    pub fn open(folder: &Path, step: u64) -> Result<Self> {
        let path = folder.join("log.jsonl");
        if path.exists() {
            let kept: Vec<String> = read(&path)?
                .iter()
                .filter(|line| line.step <= step && step > 0)
                .map(to_json)
                .collect();
            atomic::rewrite(&path, kept.concat())?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        Ok(Self {
            path,
            file,
            events: EventWriter::create(folder, step)?,
        })
    }

    /// Adds one line.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn write(&mut self, line: &LogLine) -> Result<()> {
        self.file
            .write_all(to_json(line).as_bytes())
            .map_err(Error::io(&self.path))?;
        let tagged: Vec<(String, f64)> = line
            .values
            .iter()
            .map(|(name, &value)| (format!("{}/{name}", line.split), value))
            .collect();
        self.events.scalars(line.step, &tagged)
    }
}

/// Reads a log, with today's names of all terms. An incomplete last line, cut off by a kill, is left out.
///
/// # Errors
/// [`Error::Io`] naming the file; [`Error::Line`] for an invalid line.
pub fn read(path: &Path) -> Result<Vec<LogLine>> {
    let text = read_text(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .enumerate()
        .map(|(index, line)| {
            let line: LogLine = json::parse(line, path, index + 1, "a log line")?;
            Ok(with_todays_names(line))
        })
        .collect()
}

fn with_todays_names(line: LogLine) -> LogLine {
    let values = line.values.into_iter();
    LogLine {
        values: values
            .map(|(name, value)| (old_names::term(&name), value))
            .collect(),
        ..line
    }
}

fn to_json(line: &LogLine) -> String {
    // A map of numbers and strings cannot fail; non-finite numbers become null.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_of_old_terms_is_read_with_new_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let line =
            r#"{"step":1,"split":"train","seconds":1.0,"values":{"speaker_critic/accuracy":0.5}}"#;
        std::fs::write(&path, format!("{line}\n")).unwrap();
        let names: Vec<String> = read(&path).unwrap().remove(0).values.into_keys().collect();
        assert_eq!(names, ["speaker_adversary/accuracy"]);
    }

    #[test]
    fn a_resumed_log_drops_the_steps_to_repeat() {
        let dir = tempfile::tempdir().unwrap();
        let line = |step| LogLine {
            step,
            split: "train".into(),
            seconds: 0.5,
            values: [("loss".to_string(), 1.5)].into(),
        };
        let mut log = Log::open(dir.path(), 0).unwrap();
        (1..=4).for_each(|step| log.write(&line(step)).unwrap());
        let path = dir.path().join("log.jsonl");
        let mut cut = std::fs::read(&path).unwrap();
        cut.extend(b"{\"step\": 5, \"sp");
        std::fs::write(&path, cut).unwrap();
        drop(Log::open(dir.path(), 2).unwrap());
        assert_eq!(read(&path).unwrap(), [line(1), line(2)]);
    }
}
