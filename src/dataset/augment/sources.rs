//! Noises and room impulse responses.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::dataset::make::is_named_audio;
use crate::dataset::table::Table;
use crate::error::{Error, Result};
use crate::io::audio::{AudioOptions, AudioSource, Pipes, is_audio};
use crate::io::walk::files_below;
use crate::signal::resample::resample;

/// Samples of a pool that stay in memory, 512 MB: a hundred hours would not fit, and what does need not be decoded again.
const MOST_KEPT: usize = 1 << 27;

/// A set of audio files with one channel, read when they are drawn. Those that were drawn stay in memory, up to a limit.
#[derive(Debug)]
pub struct AudioPool {
    /// In byte order of their names.
    sources: Vec<(String, AudioSource)>,
    pipes: Pipes,
    kept: Mutex<Kept>,
}

/// Samples by the file's place in its pool and the sample rate in Hz.
#[derive(Debug, Default)]
struct Kept {
    samples: HashMap<(usize, u32), Arc<[f32]>>,
    count: usize,
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
            false => Ok(Self {
                sources,
                pipes,
                kept: Mutex::default(),
            }),
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
    pub fn draw(&self, sample_rate_hz: u32, rng: &mut ChaCha8Rng) -> Result<(&str, Arc<[f32]>)> {
        let place = rng.random_range(0..self.sources.len());
        let (name, source) = &self.sources[place];
        if let Some(samples) = self.kept().samples.get(&(place, sample_rate_hz)) {
            return Ok((name, Arc::clone(samples)));
        }
        let waveform = source.read(&AudioOptions::default(), self.pipes)?;
        let samples = resample(&waveform.samples, waveform.sample_rate_hz, sample_rate_hz)?;
        let samples: Arc<[f32]> = samples.into();
        let mut kept = self.kept();
        if kept.count + samples.len() <= MOST_KEPT {
            kept.count += samples.len();
            let before = kept
                .samples
                .insert((place, sample_rate_hz), Arc::clone(&samples));
            kept.count -= before.map_or(0, |before| before.len());
        }
        Ok((name, samples))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
        match is_audio(&path)? {
            true => sources.push((name_of(folder, &path), AudioSource::File(path))),
            false if is_named_audio(&path.to_string_lossy()) => {
                return Err(Error::format(path, "audio, as its name says", "none"));
            }
            false => {}
        }
    }
    Ok(sources)
}

fn name_of(folder: &Path, path: &Path) -> String {
    let inside: PathBuf = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    let name = inside.to_string_lossy();
    name.split_ascii_whitespace().collect::<Vec<_>>().join("_")
}
