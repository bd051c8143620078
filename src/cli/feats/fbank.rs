//! `unbraid feats fbank`: audio to log mel filter banks.

use clap::Args;

use super::features::{self, FeatureArgs, KaldiArgs};
use super::vtln::VtlnArgs;
use crate::signal::FrontEndKind;

/// Compute Kaldi's log-mel filter banks from audio.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1, or 0 with
/// scp,p:FILE.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats fbank scp:data/x/wav.scp ark,scp:fbank.ark,feats.scp
  unbraid feats fbank --conf conf/fbank.toml --set num_mel_bins=80 \\
    --segments data/x/segments --resample 16000 \\
    scp:data/x/wav.scp ark,scp:fbank.ark,feats.scp
  unbraid feats fbank --vtln-map exp/warps --utt2spk data/x/utt2spk \\
    scp:data/x/wav.scp ark,scp:fbank.ark,feats.scp

The configuration is TOML with Kaldi's option names:

  kind = \"fbank\"
  sample_frequency = 16000.0
  num_mel_bins = 40
  dither = 0.0

Other options have Kaldi's defaults: 23 bins, 25 ms every 10 ms, dither 1.0.
Dither is drawn from 'seed', so that features are reproducible. With preset =
\"torchaudio\" the defaults are those of torchaudio.compliance.kaldi: no dither,
an energy floor of 1, full scale at 1 instead of 32768.

--set KEY=VALUE overrides a key of the file, with a value in TOML syntax.
RSPECIFIER and WSPECIFIER are explained in 'unbraid help feats copy'.")]
pub(super) struct FbankArgs {
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
pub(super) fn run(args: &FbankArgs) -> anyhow::Result<()> {
    features::run(FrontEndKind::Fbank, &args.features, &args.kaldi, &args.vtln)
}
