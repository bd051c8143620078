//! `unbraid feats vad`: features to voice activity.

use clap::Args;

use super::feature_map::FeatureMap;
use crate::signal::vad::{EnergyVad, VadOptions};

/// Mark voiced frames by their energy, like Kaldi's compute-vad.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats vad scp:data/x/feats.scp ark,scp:vad.ark,data/x/vad.scp
  unbraid feats vad --vad-energy-threshold 5.5 --vad-frames-context 2 \\
    scp:data/x/feats.scp ark,t:-

The log energy is column 0: the first cepstrum of MFCCs, or the energy of filter
banks with use_energy = true. A frame is voiced (1, else 0) if enough frames
around it exceed threshold + scale * mean of the utterance.")]
pub(super) struct VadArgs {
    /// Features to read, as scp:feats.scp
    #[arg(value_name = "RSPECIFIER")]
    from: String,

    /// Archive to write, as ark,scp:vad.ark,vad.scp
    #[arg(value_name = "WSPECIFIER")]
    to: String,

    /// Constant part of the threshold
    #[arg(long, value_name = "LOG_ENERGY", allow_negative_numbers = true,
        default_value_t = VadOptions::default().vad_energy_threshold)]
    vad_energy_threshold: f64,

    /// Factor of the mean log energy in the threshold; 0 for a constant threshold
    #[arg(long, value_name = "SCALE", allow_negative_numbers = true,
        default_value_t = VadOptions::default().vad_energy_mean_scale)]
    vad_energy_mean_scale: f64,

    /// Frames on each side that count for a frame
    #[arg(long, value_name = "FRAMES", default_value_t = VadOptions::default().vad_frames_context)]
    vad_frames_context: usize,

    /// Proportion of these frames that must exceed the threshold, between 0 and 1
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true,
        default_value_t = VadOptions::default().vad_proportion_threshold)]
    vad_proportion_threshold: f64,

    /// Run commands in specifiers and lists ('command |' and '| command')
    #[arg(long)]
    allow_pipes: bool,
}

/// Runs the command.
///
/// # Errors
/// Options out of their range, and the errors of [`FeatureMap::run`].
pub(super) fn run(args: VadArgs) -> anyhow::Result<()> {
    let vad = EnergyVad::new(VadOptions {
        vad_energy_threshold: args.vad_energy_threshold,
        vad_energy_mean_scale: args.vad_energy_mean_scale,
        vad_frames_context: args.vad_frames_context,
        vad_proportion_threshold: args.vad_proportion_threshold,
    })?;
    let map = FeatureMap {
        from: &args.from,
        to: &args.to,
        compress: false,
        allow_pipes: args.allow_pipes,
    };
    map.run(|_, feats| vad.voiced(feats.view()))
}
