//! `unbraid feats mfcc`: audio to cepstral coefficients.

use clap::Args;

use super::features::{self, FeatureArgs, KaldiArgs};
use super::vtln::VtlnArgs;
use crate::signal::FrontEndKind;

/// Compute Kaldi's mel-frequency cepstral coefficients from audio.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1, or 0 with
/// scp,p:FILE.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats mfcc scp:data/x/wav.scp ark,scp:mfcc.ark,feats.scp
  unbraid feats mfcc --set sample_frequency=8000 \\
    --set 'window_type=\"hamming\"' scp:data/x/wav.scp \\
    ark,scp:mfcc.ark,feats.scp

The configuration is TOML with Kaldi's option names. Its mfcc_hires.conf is:

  kind = \"mfcc\"
  use_energy = false
  num_mel_bins = 40
  num_ceps = 40
  low_freq = 20.0
  high_freq = -400.0

Other options have Kaldi's defaults: 13 coefficients of 23 bins, the first one
the log energy, lifter 22, dither 1.0. preset = \"torchaudio\" is as in fbank.

--set KEY=VALUE overrides a key of the file, with a value in TOML syntax.
RSPECIFIER and WSPECIFIER are explained in 'unbraid help feats copy'.")]
pub(super) struct MfccArgs {
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
pub(super) fn run(args: &MfccArgs) -> anyhow::Result<()> {
    features::run(FrontEndKind::Mfcc, &args.features, &args.kaldi, &args.vtln)
}
