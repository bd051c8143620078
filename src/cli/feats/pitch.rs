//! `unbraid feats pitch`: audio to pitch and voicing.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::audio_map::AudioArgs;
use crate::io::config::read_toml;
use crate::io::kaldi::RowSpool;
use crate::signal::pitch::{PitchComputer, PitchOptions};

/// Find pitch and voicing, as Kaldi's compute-kaldi-pitch-feats.
///
/// An utterance that fails is named and left out, the others
/// are written, and the command fails at the end; with scp,p: it succeeds.
#[derive(Debug, Args)]
#[command(after_help = "\
Two columns: the normalised correlation of the signal with itself a pitch
period later, from -1 to 1, and the pitch in Hz, which goes on smoothly where
nothing is voiced. With --post, what recognisers take: warped correlation, log
pitch less its moving mean, its slope (compute-and-process-kaldi-pitch-feats).
The configuration is TOML with Kaldi's option names, as

  sample_frequency = 8000.0
  min_f0 = 60.0
  snip_edges = false              # as many frames as features of that kind
  post = { add_raw_log_pitch = true }

Examples:
  unbraid feats pitch scp:data/x/wav.scp ark,scp:pitch.ark,pitch.scp
  unbraid feats pitch --post --conf conf/pitch.toml --resample 16000 \\
    scp:data/x/wav.scp ark,t:-")]
pub struct PitchArgs {
    /// Options of the method; Kaldi's defaults without
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,

    /// Write features for recognisers instead of correlation and Hz
    #[arg(long)]
    post: bool,

    #[command(flatten)]
    audio: AudioArgs,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the configuration, and what [`AudioArgs::map`] says.
pub fn run(args: PitchArgs) -> anyhow::Result<()> {
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
            signal.accept(block);
        }
        computer.check_length(signal.samples())?;
        let mut pitch = signal.finish();
        if args.post {
            pitch = computer.features(&pitch);
        }
        let mut rows = RowSpool::on(blocks.shelf());
        rows.push_rows(pitch.view())?;
        Ok(rows)
    })
}
