//! `unbraid data shard`: recordings in tar files.

use std::path::PathBuf;

use clap::Args;

use crate::cli::arguments::ThreadArgs;
use crate::cli::failures::Failures;
use crate::cli::progress::counter;
use crate::cli::recordings::{AudioFileArgs, PipeArgs};
use crate::dataset::RecordingOptions;
use crate::dataset::shard::{ShardJob, shard};
use crate::io::message::{message, output};

/// Put the recordings of a data directory into a few tar files.
///
/// Many small files are slow to copy and to read over a network. Recordings are decoded to check them and copied as they
/// are. With segments, each utterance becomes a 16-bit WAV of its own, so that training on compressed
/// recordings reads no more than it needs. A recording that fails is reported and left out, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data shard data/train data/train_shards
  unbraid data shard --megabytes 200 --threads 8 data/train /fast/train

wav.scp of the new data directory has lines 'UTTERANCE FILE.tar:OFFSET:LENGTH',
which every command reads, and utt2dur the lengths in seconds. All other tables
are copied. Shards of other programs are read by 'unbraid data make'.")]
pub(super) struct ShardArgs {
    /// Data directory with wav.scp
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// Data directory to make
    #[arg(value_name = "TARGET")]
    target: PathBuf,

    /// Size of a tar file
    #[arg(long, value_name = "MB", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    megabytes: u64,

    #[command(flatten)]
    audio: AudioFileArgs,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pipes: PipeArgs,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the folders or the place to write to; and at the end the recordings that failed. Without one that
/// succeeded nothing is written.
pub(super) fn run(args: &ShardArgs) -> anyhow::Result<()> {
    let job = ShardJob {
        source: &args.source,
        target: &args.target,
        bytes: args.megabytes * 1_000_000,
        recordings: RecordingOptions {
            audio: args.audio.options(),
            resample_hz: None,
            pipes: args.pipes.pipes(),
        },
    };
    let threads = args.threads.pool()?;
    let progress = counter("recordings");
    let mut failures = Failures::default();
    let made = threads.install(|| {
        shard(&job, |recording, error| {
            progress.inc(1);
            if let Some(error) = error {
                failures.add(recording, &error, &progress);
            }
        })
    })?;
    progress.finish_and_clear();
    for name in &made.left_out {
        message(format_args!(
            "unbraid: {name} is left out: each utterance is a recording now"
        ));
    }
    if made.clipped > 0 {
        message(format_args!(
            "unbraid: {} utterances are above full scale and were clipped to 16 bits",
            made.clipped
        ));
    }
    let (target, shards) = (args.target.display(), made.shards);
    let written = made.written;
    output(format_args!(
        "{target}: {written} recordings in {shards} tar files\n"
    ))?;
    failures.into_result(made.recordings, "recordings")
}
