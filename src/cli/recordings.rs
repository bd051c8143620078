//! Options of commands that read recordings: their list, their channel, their rate, and commands in the list.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::dataset::{RecordingOptions, Recordings, Segments, Table};
use crate::error::{Error, Result};
use crate::io::audio::{AudioOptions, Channel, Pipes};
use crate::io::kaldi::{ReadFlags, ReadFrom, ReadSpecifier};
use crate::io::message::message;

/// How audio files are read.
#[derive(Debug, Args)]
pub(super) struct AudioFileArgs {
    /// Channel of files that have several, from 0, or mean
    #[arg(long, value_name = "N|mean")]
    channel: Option<Channel>,

    /// Compare samples with the MD5 that lossless files have in their header
    #[arg(long)]
    verify: bool,
}

impl AudioFileArgs {
    /// The options of the library.
    pub(super) fn options(&self) -> AudioOptions {
        AudioOptions {
            verify: self.verify,
            ..AudioOptions::with_choice(self.channel)
        }
    }
}

/// Whether commands in lists may run, and for how long.
#[derive(Debug, Args)]
pub(super) struct PipeArgs {
    /// Run commands in lists and specifiers ('command |' and '| command')
    #[arg(long)]
    pub allow_pipes: bool,

    /// With --allow-pipes, kill commands in wav.scp after this time
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    pipe_timeout: u32,
}

impl PipeArgs {
    /// Commands in lists of recordings.
    pub(super) fn pipes(&self) -> Pipes {
        match self.allow_pipes {
            true => Pipes::Within(Duration::from_secs(self.pipe_timeout.into())),
            false => Pipes::Refused,
        }
    }
}

/// How the recordings of a list are read.
#[derive(Debug, Args)]
pub(super) struct RecordingArgs {
    /// Cut the recordings into the utterances of this file
    #[arg(long, value_name = "FILE")]
    segments: Option<PathBuf>,

    #[command(flatten)]
    audio: AudioFileArgs,

    /// Resample recordings to this rate first
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub resample: Option<u32>,

    #[command(flatten)]
    pub pipes: PipeArgs,
}

impl RecordingArgs {
    /// The recordings of a read specifier `scp:FILE`, and whether it has the option `p`.
    ///
    /// # Errors
    /// What is wrong with the specifier, the list or the segments.
    pub(super) fn open(&self, specifier: &str) -> Result<(Recordings, bool)> {
        let ReadSpecifier { from, flags } = ReadSpecifier::parse(specifier)?;
        let refuse = |found: &str| {
            let expected = "a list of audio files as scp:wav.scp";
            Err(Error::option(format!("'{specifier}'"), expected, found))
        };
        let path = match &from {
            ReadFrom::Scp(name) if name.ends_with('|') => return refuse("a pipe"),
            ReadFrom::Scp(name) if name.is_empty() || name == "-" => "/dev/stdin",
            ReadFrom::Scp(name) => name,
            ReadFrom::Ark(_) | ReadFrom::Foreign(..) => return refuse("an archive"),
        };
        let wav_scp = Table::read(path)?;
        check_order(&wav_scp, flags)?;
        let recordings = match &self.segments {
            Some(path) => Recordings::with_segments(&wav_scp, &Segments::read(path)?)?,
            None => Recordings::new(&wav_scp)?,
        };
        Ok((recordings, flags.permissive))
    }

    /// How they are read; at `wanted_hz` unless --resample says otherwise.
    pub(super) fn options(&self, wanted_hz: Option<u32>) -> RecordingOptions {
        RecordingOptions {
            audio: self.audio.options(),
            resample_hz: self.resample.or(wanted_hz),
            pipes: self.pipes.pipes(),
        }
    }

    /// Refuses --segments where no list is read, which `list` would give.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub(super) fn refuse_segments(&self, list: &str) -> Result<()> {
        match &self.segments {
            None => Ok(()),
            Some(_) => Err(Error::option(
                "--segments",
                format!("{list} beside it"),
                "none",
            )),
        }
    }

    /// The first option that was given, those of [`AudioFileArgs`] last, for a command that reads recordings only when asked
    /// to.
    pub(super) fn given(&self) -> Option<&'static str> {
        [
            (self.segments.is_some(), "--segments"),
            (self.resample.is_some(), "--resample"),
            (self.pipes.allow_pipes, "--allow-pipes"),
            (self.audio.channel.is_some(), "--channel"),
            (self.audio.verify, "--verify"),
        ]
        .into_iter()
        .find_map(|(given, name)| given.then_some(name))
    }
}

/// Sample rates that recordings had, and how many had each.
#[derive(Debug, Default)]
pub(super) struct Rates(BTreeMap<u32, usize>);

impl Rates {
    /// Counts one recording.
    pub(super) fn add(&mut self, recorded_hz: u32) {
        *self.0.entry(recorded_hz).or_default() += 1;
    }

    /// Says on standard error how many were brought to `wanted_hz`.
    pub(super) fn report(&self, wanted_hz: u32) {
        for (rate, count) in self.0.iter().filter(|(rate, _)| **rate != wanted_hz) {
            let noun = if *count == 1 {
                "recording"
            } else {
                "recordings"
            };
            message(format_args!(
                "unbraid: {count} {noun} of {rate} Hz resampled to the model's {wanted_hz} Hz"
            ));
        }
    }
}

fn check_order(wav_scp: &Table, flags: ReadFlags) -> Result<()> {
    let mut pairs = wav_scp.entries().windows(2);
    match pairs.find(|pair| flags.sorted && pair[0].key > pair[1].key) {
        None => Ok(()),
        Some(pair) => {
            let expected = format!(
                "keys in byte order, as ',s' requires: one after '{}'",
                pair[0].key
            );
            let found = format!("'{}'", pair[1].key);
            Err(Error::line(wav_scp.path(), pair[1].line, expected, found))
        }
    }
}
