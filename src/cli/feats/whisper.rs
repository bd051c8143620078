//! `unbraid feats whisper`: audio to Whisper's log mel spectrograms.

use clap::Args;

use super::features::{self, FeatureArgs, KaldiArgs};
use super::vtln::VtlnArgs;
use crate::signal::FrontEndKind;

/// Compute the log-mel spectrograms that Whisper reads from audio.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1, or 0 with
/// scp,p:FILE.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats whisper scp:data/x/wav.scp ark,scp:whisper.ark,feats.scp
  unbraid feats whisper --set num_mel_bins=128 --resample 16000 \\
    scp:data/x/wav.scp ark,scp:whisper.ark,feats.scp

The configuration is TOML:

  kind = \"whisper\"
  num_mel_bins = 80      # or 128, for large-v3
  padding = 0            # zeros after the signal, in samples

Sample rate (16 kHz), FFT size (400) and shift (160 samples) are fixed. Features
are [frames, bins], the transpose of Whisper's own.

--set KEY=VALUE overrides a key of the file, with a value in TOML syntax.
RSPECIFIER and WSPECIFIER are explained in 'unbraid help feats copy'.")]
pub(super) struct WhisperArgs {
    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// As [`features::run`].
pub(super) fn run(args: &WhisperArgs) -> anyhow::Result<()> {
    features::run(
        FrontEndKind::Whisper,
        &args.features,
        &KaldiArgs::default(),
        &VtlnArgs::default(),
    )
}
