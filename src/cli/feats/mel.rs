//! `unbraid feats mel`: audio to librosa's mel spectrograms.

use clap::Args;

use super::features::{self, FeatureArgs, KaldiArgs};
use super::vtln::VtlnArgs;
use crate::signal::FrontEndKind;

/// Compute librosa's mel spectrograms from audio.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1, or 0 with
/// scp,p:FILE.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats mel --resample 22050 scp:data/x/wav.scp \\
    ark,scp:mel.ark,feats.scp
  unbraid feats mel --conf conf/mel.toml scp:data/x/wav.scp \\
    ark,scp:mel.ark,feats.scp

The configuration is TOML with the argument names of librosa's melspectrogram
and power_to_db:

  kind = \"mel\"
  sr = 16000.0
  n_fft = 512
  hop_length = 160
  n_mels = 80
  output = \"db\"          # power_to_db; \"linear\" without
  top_db = 80.0
  htk = false
  norm = \"slaney\"        # or \"none\"
  pad_mode = \"constant\"  # or \"reflect\" or \"edge\"

Other options have librosa's defaults: 22050 Hz, 128 bins of 2048 samples every
512, power 2. ref = 0.0 means ref=np.max, top_db = 0.0 means top_db=None.

--set KEY=VALUE overrides a key of the file, with a value in TOML syntax.
RSPECIFIER and WSPECIFIER are explained in 'unbraid help feats copy'.")]
pub(super) struct MelArgs {
    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// As [`features::run`].
pub(super) fn run(args: &MelArgs) -> anyhow::Result<()> {
    features::run(
        FrontEndKind::Mel,
        &args.features,
        &KaldiArgs::default(),
        &VtlnArgs::default(),
    )
}
