//! `unbraid feats pitch`: audio to pitch and voicing.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::audio_map::AudioArgs;
use crate::io::config::read_toml;
use crate::io::kaldi::RowSpool;
use crate::signal::pitch::{PitchComputer, PitchOptions};

/// Compute pitch and voicing, like Kaldi's compute-kaldi-pitch-feats.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1, or 0 with
/// scp,p:FILE.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats pitch scp:data/x/wav.scp ark,scp:pitch.ark,pitch.scp
  unbraid feats pitch --post --conf conf/pitch.toml --resample 16000 \\
    scp:data/x/wav.scp ark,t:-

There are two columns: the normalised autocorrelation at one pitch period, from
-1 to 1, and the pitch in Hz, interpolated where there is no voice. With --post
they are features for recognition, as of compute-and-process-kaldi-pitch-feats:
warped correlation, log pitch minus its moving mean, and its slope.

The configuration is TOML with Kaldi's option names:

  sample_frequency = 8000.0
  min_f0 = 60.0
  snip_edges = false              # as many frames as features of that kind
  post = { add_raw_log_pitch = true }")]
pub(super) struct PitchArgs {
    /// Options in TOML; Kaldi's defaults without it
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,

    /// Write features for recognition instead of correlation and Hz
    #[arg(long)]
    post: bool,

    #[command(flatten)]
    audio: AudioArgs,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the configuration, and the errors of [`AudioArgs::map`].
pub(super) fn run(args: PitchArgs) -> anyhow::Result<()> {
    let computer = match &args.conf {
        None => PitchComputer::new(&PitchOptions::default())?,
        Some(conf) => {
            PitchComputer::new(&read_toml(conf)?).with_context(|| conf.display().to_string())?
        }
    };
    args.audio.map(|mut blocks| {
        computer.check_rate(blocks.sample_rate_hz())?;
        let mut signal = computer.signal();
        while let Some(block) = blocks.next_block()? {
            signal.accept(block)?;
        }
        computer.check_length(signal.samples())?;
        let mut pitch = signal.finish()?;
        if args.post {
            pitch = computer.features(&pitch);
        }
        let mut rows = RowSpool::on(blocks.shelf());
        rows.push_rows(pitch.view())?;
        Ok(rows)
    })
}
