//! `unbraid feats spectrogram`: audio to spectrograms.

use clap::Args;

use super::features::{self, FeatureArgs, KaldiArgs};
use super::vtln::VtlnArgs;
use crate::signal::FrontEndKind;

/// Compute Kaldi's spectrograms from audio.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1, or 0 with
/// scp,p:FILE.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats spectrogram scp:data/x/wav.scp ark,scp:spec.ark,feats.scp
  unbraid feats spectrogram --set 'output=\"power\"' --set dither=0 \\
    scp:data/x/wav.scp ark,scp:spec.ark,feats.scp

The configuration is TOML with Kaldi's option names, and 'output':

  kind = \"spectrogram\"
  sample_frequency = 16000.0
  output = \"log\"         # or \"power\" or \"magnitude\"

Columns are the bins of the FFT, 257 at 16 kHz. In \"log\", bin 0 is replaced by
the log energy of the frame, as in Kaldi.

--set KEY=VALUE overrides a key of the file, with a value in TOML syntax.
RSPECIFIER and WSPECIFIER are explained in 'unbraid help feats copy'.")]
pub(super) struct SpectrogramArgs {
    #[command(flatten)]
    features: FeatureArgs,

    #[command(flatten)]
    kaldi: KaldiArgs,
}

/// Runs the command.
///
/// # Errors
/// As [`features::run`].
pub(super) fn run(args: &SpectrogramArgs) -> anyhow::Result<()> {
    features::run(
        FrontEndKind::Spectrogram,
        &args.features,
        &args.kaldi,
        &VtlnArgs::default(),
    )
}
