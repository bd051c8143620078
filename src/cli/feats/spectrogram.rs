//! `unbraid feats spectrogram`: audio to spectrograms.

use clap::Args;

use super::features::{self, FeatureArgs, KaldiArgs};
use super::vtln::VtlnArgs;
use crate::signal::FrontEndKind;

/// Compute Kaldi's spectrograms from audio.
///
/// An utterance that fails is named and left out, the others are written, and the
/// command fails at the end; with scp,p: it succeeds.
#[derive(Debug, Args)]
#[command(after_help = "\
RSPEC is scp:wav.scp, lines of an utterance and a sound file or, with
--allow-pipes, 'command |'. WSPEC is as in feats copy.

The configuration is TOML with Kaldi's option names, and `output`:

  kind = \"spectrogram\"
  sample_frequency = 16000.0
  output = \"log\"         # or \"power\" or \"magnitude\"

Columns are the bins of the FFT, 257 at 16 kHz. In \"log\" the log energy of the
frame takes the place of bin 0, as in Kaldi.

--set KEY=VALUE, the value as TOML writes it, goes before the file.

Examples:
  unbraid feats spectrogram scp:data/mini/train/wav.scp ark,scp:spec.ark,feats.scp
  unbraid feats spectrogram --set 'output=\"power\"' --set dither=0 \\
    scp:data/x/wav.scp ark,scp:spec.ark,feats.scp")]
pub struct SpectrogramArgs {
    #[command(flatten)]
    features: FeatureArgs,

    #[command(flatten)]
    kaldi: KaldiArgs,
}

/// Runs the command.
///
/// # Errors
/// As [`features::run`].
pub fn run(args: &SpectrogramArgs) -> anyhow::Result<()> {
    features::run(
        FrontEndKind::Spectrogram,
        &args.features,
        &args.kaldi,
        &VtlnArgs::default(),
    )
}
