//! Recordings of a data directory in a few tar files, so that a corpus of many small files is read and copied as few large
//! ones. `wav.scp` of the new directory says where in them each recording lies.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tar::{Builder, Header};

use super::augment::file_name;
use super::files::{DataFiles, render};
use super::layout::{self, KeyedBy};
use super::recordings::{RecordingOptions, Recordings};
use super::table::Table;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::audio::{AudioReader, AudioSource, Waveform, extension_of, wav_bytes};
use crate::io::lines::Entry;

/// Recordings that are read at once, for each thread.
const AT_ONCE: usize = 4;
/// Bytes of a tar file come in blocks.
const BLOCK: u64 = 512;

/// Which data directory is made of which.
#[derive(Debug)]
pub struct ShardJob<'a> {
    /// The source data directory.
    pub source: &'a Path,
    /// The target data directory, which may not exist yet.
    pub target: &'a Path,
    /// A tar file ends once it has so many bytes.
    pub bytes: u64,
    /// How recordings are read.
    pub recordings: RecordingOptions,
}

/// What was made.
#[derive(Debug, Default)]
pub struct Sharded {
    /// Number of tar files.
    pub shards: usize,
    /// Recordings in them.
    pub written: usize,
    /// Recordings of the source.
    pub recordings: usize,
    /// Utterances above full scale, clipped as they became 16-bit WAV.
    pub clipped: usize,
    /// Files of the source that do not apply to the target.
    pub left_out: Vec<String>,
}

/// A recording as it goes into a shard.
struct Packed {
    bytes: Vec<u8>,
    extension: &'static str,
    seconds: f64,
    clipped: bool,
}

/// Makes the data directory, which appears complete or not at all. Recordings are decoded to check them, and copied as they
/// are; where the source has `segments`, each utterance becomes a 16-bit WAV of its own. Calls `done` for each recording,
/// with the error of one that fails, which is left out with its utterances.
///
/// # Errors
/// [`Error::Format`] for a target that exists, or when all recordings failed; as reading a data directory;
/// [`Error::Io`] when something cannot be written.
pub fn shard(job: &ShardJob, mut done: impl FnMut(&str, Option<Error>)) -> Result<Sharded> {
    if job.target.exists() {
        let expected = "a folder that is not there yet";
        return Err(Error::format(job.target, expected, "one"));
    }
    let files = DataFiles::read(job.source)?;
    let folder = atomic::folder_beside(job.target)?;
    let mut shards = Shards::create(folder.path(), job);
    let mut made = Sharded::default();
    let mut take = |key: &str, packed: Result<Packed>| {
        made.recordings += 1;
        match packed {
            Ok(packed) => {
                made.clipped += usize::from(packed.clipped);
                shards.add(key, &packed)?;
                done(key, None);
            }
            Err(error) => done(key, Some(error)),
        }
        Ok::<(), Error>(())
    };
    match files.0.contains_key("segments") {
        true => {
            let cut = |waveform: Waveform| {
                Ok(Packed {
                    clipped: waveform.samples.iter().any(|sample| sample.abs() > 1.0),
                    seconds: waveform.duration_s(),
                    bytes: wav_bytes(&waveform)?,
                    extension: "wav",
                })
            };
            Recordings::of_dir(job.source)?.for_each(&job.recordings, cut, take)?;
        }
        false => {
            let wavs = Table::read(job.source.join("wav.scp"))?;
            for some in wavs
                .entries()
                .chunks(AT_ONCE * rayon::current_num_threads())
            {
                let pack = |entry: &Entry| pack(&AudioSource::parse(&entry.value), &job.recordings);
                let packed: Vec<_> = some.par_iter().map(pack).collect();
                let mut packed = some.iter().zip(packed);
                packed.try_for_each(|(entry, packed)| take(&entry.key, packed))?;
            }
        }
    }
    let places = shards.finish()?;
    if places.is_empty() {
        let found = format!("none of {}", made.recordings);
        return Err(Error::format(
            job.source,
            "a recording that can be read",
            found,
        ));
    }
    (made.shards, made.written) = (shards.count, places.len());
    let tables;
    (tables, made.left_out) = rewritten(&files, &places);
    for (name, entries) in &tables.0 {
        atomic::write(folder.path().join(name), render(entries))?;
    }
    folder.rename(job.target).map_err(Error::io(job.target))?;
    Ok(made)
}

fn pack(source: &AudioSource, options: &RecordingOptions) -> Result<Packed> {
    let (bytes, mut reader) = match source.bytes()? {
        Some(bytes) => {
            let reader = AudioReader::from_memory(bytes.clone(), &source.name(), &options.audio)?;
            (bytes, reader)
        }
        // Of a command or a Kaldi archive, what is decoded.
        None => {
            let waveform = source.read(&options.audio, options.pipes)?;
            let bytes = wav_bytes(&waveform)?;
            let reader = AudioReader::from_memory(bytes.clone(), &source.name(), &options.audio)?;
            (bytes, reader)
        }
    };
    let mut samples = 0;
    while let Some(block) = reader.next_block()? {
        samples += block.len();
    }
    Ok(Packed {
        clipped: false,
        extension: extension_of(&bytes).unwrap_or("wav"),
        seconds: samples as f64 / f64::from(reader.sample_rate_hz()),
        bytes,
    })
}

/// Where a recording lies, and how long it is.
struct Place {
    source: String,
    seconds: f64,
}

/// Tar files while they are written.
struct Shards<'a> {
    /// Where they are written, and where they will be.
    folder: PathBuf,
    job: &'a ShardJob<'a>,
    open: Option<Builder<Counted>>,
    count: usize,
    places: HashMap<String, Place>,
}

impl<'a> Shards<'a> {
    fn create(folder: &Path, job: &'a ShardJob<'a>) -> Self {
        Self {
            folder: folder.join("shards"),
            job,
            open: None,
            count: 0,
            places: HashMap::new(),
        }
    }

    fn name(&self) -> String {
        format!("{:06}.tar", self.count.saturating_sub(1))
    }

    fn add(&mut self, key: &str, packed: &Packed) -> Result<()> {
        if self.open.is_none() {
            self.count += 1;
            atomic::create_dir_all(&self.folder)?;
            let path = self.folder.join(self.name());
            let file = File::create(&path).map_err(Error::io(&path))?;
            let writer = BufWriter::with_capacity(1 << 20, file);
            self.open = Some(Builder::new(Counted { writer, written: 0 }));
        }
        let path = self.folder.join(self.name());
        let Some(builder) = &mut self.open else {
            return Ok(());
        };
        let length = packed.bytes.len() as u64;
        let mut header = Header::new_gnu();
        header.set_size(length);
        header.set_mode(0o644);
        header.set_mtime(0);
        let name = format!("{}.{}", file_name(key), packed.extension);
        let added = builder.append_data(&mut header, name, &packed.bytes[..]);
        added.map_err(Error::io(&path))?;
        let written = builder.get_ref().written;
        let offset = written - length.next_multiple_of(BLOCK);
        let place = self.job.target.join("shards").join(self.name());
        let source = format!("{}:{offset}:{length}", place.display());
        let seconds = packed.seconds;
        self.places
            .insert(key.to_string(), Place { source, seconds });
        match written >= self.job.bytes {
            true => self.close(),
            false => Ok(()),
        }
    }

    fn close(&mut self) -> Result<()> {
        let path = self.folder.join(self.name());
        let Some(builder) = self.open.take() else {
            return Ok(());
        };
        let finish = || {
            let mut counted = builder.into_inner()?;
            counted.writer.flush()?;
            counted.writer.get_ref().sync_all()
        };
        finish().map_err(Error::io(path))
    }

    fn finish(&mut self) -> Result<HashMap<String, Place>> {
        self.close()?;
        Ok(std::mem::take(&mut self.places))
    }
}

/// Counts what is written.
struct Counted {
    writer: BufWriter<File>,
    written: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

/// The tables of the new directory, and the names of those that do not apply to it.
fn rewritten(files: &DataFiles, places: &HashMap<String, Place>) -> (DataFiles, Vec<String>) {
    let cut = files.0.contains_key("segments");
    let kept = files.lines("utt2spk").iter();
    let part_of = kept.filter(|entry| places.contains_key(&entry.key));
    let part_of: HashMap<&str, usize> = part_of.map(|entry| (entry.key.as_str(), 0)).collect();
    let mut tables = files.divide(&part_of, 1).swap_remove(0);
    let by_recording = |name: &str| layout::keyed_by(name) == Some(KeyedBy::Recording);
    let left_out = tables
        .0
        .keys()
        .filter(|name| cut && (*name == "segments" || (by_recording(name) && *name != "wav.scp")));
    let left_out: Vec<String> = left_out.cloned().collect();
    tables.0.retain(|name, _| !left_out.contains(name));
    let of_each = |value: &dyn Fn(&Place) -> String| -> Vec<Entry> {
        let entry = |entry: &Entry| Entry {
            value: value(&places[&entry.key]),
            ..entry.clone()
        };
        let kept = files.lines("utt2spk").iter();
        let mut entries: Vec<_> = (kept.filter(|entry| places.contains_key(&entry.key)))
            .map(entry)
            .collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        entries
    };
    let lists = [
        ("wav.scp", of_each(&|place| place.source.clone())),
        ("utt2dur", of_each(&|place| format!("{:.4}", place.seconds))),
    ];
    for (name, entries) in lists {
        tables.0.insert(name.into(), entries);
    }
    (tables, left_out)
}
