//! Noises and room impulse responses.

use std::path::{Path, PathBuf};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::dataset::table::Table;
use crate::error::{Error, Result};
use crate::io::audio::{AudioOptions, AudioSource, Pipes, is_audio};
use crate::io::walk::files_below;
use crate::signal::resample::resample;

/// A set of audio files with one channel, read when they are drawn.
#[derive(Debug, Clone)]
pub struct AudioPool {
    /// In byte order of their names.
    sources: Vec<(String, AudioSource)>,
    pipes: Pipes,
}

impl AudioPool {
    /// Lists the files of a folder's `wav.scp`; without one, all audio files in it and in its subfolders, recognised by
    /// their first bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder or a file cannot be read, [`Error::Line`] for a malformed list, [`Error::Format`]
    /// when there is no audio.
    pub fn read(folder: &Path, pipes: Pipes) -> Result<Self> {
        let list = folder.join("wav.scp");
        let mut sources = match list.is_file() {
            true => listed(&Table::read(&list)?)?,
            false => found(folder)?,
        };
        sources.sort_by(|a, b| a.0.cmp(&b.0));
        match sources.is_empty() {
            true => Err(Error::format(
                folder,
                "audio files, or a wav.scp that lists some",
                "none",
            )),
            false => Ok(Self { sources, pipes }),
        }
    }

    /// Number of files.
    pub fn count(&self) -> usize {
        self.sources.len()
    }

    /// A random file, all with the same probability, at a sample rate.
    ///
    /// # Errors
    /// As [`AudioSource::read`].
    pub fn draw(&self, sample_rate_hz: u32, rng: &mut ChaCha8Rng) -> Result<(&str, Vec<f32>)> {
        let (name, source) = &self.sources[rng.random_range(0..self.sources.len())];
        let waveform = source.read(&AudioOptions::default(), self.pipes)?;
        let samples = resample(&waveform.samples, waveform.sample_rate_hz, sample_rate_hz)?;
        Ok((name, samples.into_owned()))
    }
}

fn listed(table: &Table) -> Result<Vec<(String, AudioSource)>> {
    let entries = table.entries().iter();
    let source = |entry: &crate::io::lines::Entry| match entry.value.is_empty() {
        true => {
            let expected = "a key and a file or 'command |'";
            let found = format!("'{}' alone", entry.key);
            Err(Error::line(table.path(), entry.line, expected, found))
        }
        false => Ok((entry.key.clone(), AudioSource::parse(&entry.value))),
    };
    entries.map(source).collect()
}

/// The audio files of a folder and its subfolders, named by their relative paths without white space or extension.
fn found(folder: &Path) -> Result<Vec<(String, AudioSource)>> {
    let mut sources = Vec::new();
    for path in files_below(folder)?.0.iter().map(|name| folder.join(name)) {
        if is_audio(&path)? {
            sources.push((name_of(folder, &path), AudioSource::File(path)));
        }
    }
    Ok(sources)
}

fn name_of(folder: &Path, path: &Path) -> String {
    let inside: PathBuf = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    let name = inside.to_string_lossy();
    name.split_ascii_whitespace().collect::<Vec<_>>().join("_")
}
