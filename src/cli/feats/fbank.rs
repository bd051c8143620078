//! `unbraid feats fbank`: audio to log mel filter banks.

use clap::Args;

use super::features::{self, FeatureArgs, KaldiArgs};
use super::vtln::VtlnArgs;
use crate::signal::FrontEndKind;

/// Compute Kaldi's log mel filter banks from audio.
///
/// An utterance that fails is named and left out, the others are written, and the
/// command fails at the end; with scp,p: it succeeds.
#[derive(Debug, Args)]
#[command(after_help = "\
RSPEC is scp:wav.scp, lines of an utterance and a sound file or, with
--allow-pipes, 'command |'. WSPEC is as in feats copy.

The configuration is TOML with Kaldi's option names, as

  kind = \"fbank\"
  sample_frequency = 16000.0
  num_mel_bins = 40
  dither = 0.0

Options left out have Kaldi's defaults: 23 bins, 25 ms every 10 ms, dither 1.0.
Dither is drawn from `seed`, so that features repeat. With preset = \"torchaudio\"
they have those of torchaudio.compliance.kaldi: no dither, an energy floor of 1,
full scale at 1 instead of 32768.

--set KEY=VALUE, the value as TOML writes it, goes before the file.

Examples:
  unbraid feats fbank scp:data/mini/train/wav.scp ark,scp:fbank.ark,feats.scp
  unbraid feats fbank --conf conf/fbank.toml --set num_mel_bins=80 \\
    --segments data/x/segments --resample 16000 \\
    scp:data/x/wav.scp ark,scp:fbank.ark,feats.scp
  unbraid feats fbank --vtln-map exp/warps --utt2spk data/x/utt2spk \\
    scp:data/x/wav.scp ark,scp:fbank.ark,feats.scp")]
pub struct FbankArgs {
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
pub fn run(args: &FbankArgs) -> anyhow::Result<()> {
    features::run(FrontEndKind::Fbank, &args.features, &args.kaldi, &args.vtln)
}
