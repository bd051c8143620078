//! `unbraid feats whisper`: audio to Whisper's log mel spectrograms.

use clap::Args;

use super::features::{self, FeatureArgs, KaldiArgs};
use super::vtln::VtlnArgs;
use crate::signal::FrontEndKind;

/// Compute the log mel spectrograms that Whisper reads from audio.
///
/// An utterance that fails is named and left out, the others are written, and the
/// command fails at the end; with scp,p: it succeeds.
#[derive(Debug, Args)]
#[command(after_help = "\
RSPEC is scp:wav.scp, lines of an utterance and a sound file or, with
--allow-pipes, 'command |'. WSPEC is as in feats copy.

The configuration is TOML:

  kind = \"whisper\"
  num_mel_bins = 80      # or 128, as large-v3 reads
  padding = 0            # zeros put behind the signal, in samples

Rate (16 kHz), FFT (400) and shift (160 samples) are fixed. Features are
[frames, bins], the transpose of Whisper's own.

--set KEY=VALUE, the value as TOML writes it, goes before the file.

Examples:
  unbraid feats whisper scp:data/mini/train/wav.scp ark,scp:whisper.ark,feats.scp
  unbraid feats whisper --set num_mel_bins=128 --resample 16000 \\
    scp:data/x/wav.scp ark,scp:whisper.ark,feats.scp")]
pub struct WhisperArgs {
    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// As [`features::run`].
pub fn run(args: &WhisperArgs) -> anyhow::Result<()> {
    features::run(
        FrontEndKind::Whisper,
        &args.features,
        &KaldiArgs::default(),
        &VtlnArgs::default(),
    )
}
