//! `unbraid feats mfcc`: audio to cepstral coefficients.

use clap::Args;

use super::features::{self, FeatureArgs, KaldiArgs};
use super::vtln::VtlnArgs;
use crate::signal::FrontEndKind;

/// Compute Kaldi's mel-frequency cepstral coefficients from audio.
///
/// An utterance that fails is named and left out, the others are written, and the
/// command fails at the end; with scp,p: it succeeds.
#[derive(Debug, Args)]
#[command(after_help = "\
RSPEC is scp:wav.scp, lines of an utterance and a sound file or, with
--allow-pipes, 'command |'. WSPEC is as in feats copy.

The configuration is TOML with Kaldi's option names; this is its mfcc_hires.conf:

  kind = \"mfcc\"
  use_energy = false
  num_mel_bins = 40
  num_ceps = 40
  low_freq = 20.0
  high_freq = -400.0

Options left out have Kaldi's defaults: 13 coefficients of 23 bins, the first the
log energy, lifter 22, dither 1.0. preset = \"torchaudio\" is as in fbank.

--set KEY=VALUE, the value as TOML writes it, goes before the file.

Examples:
  unbraid feats mfcc scp:data/mini/train/wav.scp ark,scp:mfcc.ark,feats.scp
  unbraid feats mfcc --set sample_frequency=8000 --set 'window_type=\"hamming\"' \\
    scp:data/x/wav.scp ark,scp:mfcc.ark,feats.scp")]
pub struct MfccArgs {
    #[command(flatten)]
    features: FeatureArgs,

    #[command(flatten)]
    kaldi: KaldiArgs,

    #[command(flatten)]
    vtln: VtlnArgs,
}

/// Runs the command.
///
/// # Errors
/// As [`features::run`].
pub fn run(args: &MfccArgs) -> anyhow::Result<()> {
    features::run(FrontEndKind::Mfcc, &args.features, &args.kaldi, &args.vtln)
}
