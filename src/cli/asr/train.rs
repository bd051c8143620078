//! `unbraid asr train`: features and strings to a recogniser.

use std::path::PathBuf;

use clap::Args;

use super::StringLabels;
use crate::cli::models::DeviceArgs;
use crate::cli::training_bar::TrainingBar;
use crate::dataset::normalisation::{Cmvn, NormalisationOptions};
use crate::dataset::sampler::SamplerOptions;
use crate::method::Config;
use crate::method::config::{DataOptions, MethodOptions};
use crate::method::fine_tuning::Start;
use crate::method::recogniser::RecogniserOptions;
use crate::method::speech::train_speech;
use crate::nn::RecogniserNetworkOptions;
use crate::signal::FeatureType;
use crate::train::TrainOptions;

/// Train a recogniser: convolutions, bidirectional recurrent layers and CTC.
///
/// Utterances with an empty transcript are left out and counted in a message. The experiment folder is like that of
/// 'unbraid train'. For more options of the network, take conf.toml of the folder and use 'unbraid train': it is a
/// configuration with method.name = "recogniser".
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid asr train data/train --exp exp/asr_mel --subsampling 4 \\
    --cmvn utterance
  unbraid asr train data/train z_train.scp --exp exp/asr_z --labels phones \\
    --steps 3000
  unbraid asr train data/train z_train.scp --exp exp/asr_z --labels phones \\
    --steps 3000 --resume")]
pub(super) struct TrainArgs {
    /// Training data directory
    data: PathBuf,

    /// Training features, a list like feats.scp; by default feats.scp of the data directory
    feats: Option<PathBuf>,

    /// Experiment folder
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,

    /// Labels to recognise
    #[arg(long, default_value = "words")]
    labels: StringLabels,

    /// Input frames per output: 1, 2, 4 or 8
    #[arg(long, value_name = "N", default_value_t = 1)]
    subsampling: i64,

    /// What the columns of the features are; by default filter banks, which training masks in bands
    #[arg(long, value_name = "TYPE")]
    feature_type: Option<FeatureType>,

    /// Mean and variance normalisation of the input
    #[arg(long, default_value = "global")]
    cmvn: Cmvn,

    /// Utterances per batch
    #[arg(long, value_name = "N", default_value_t = 16)]
    batch: usize,

    /// Number of training steps
    #[arg(long, value_name = "N", default_value_t = 2000)]
    steps: u64,

    /// Validation data directory, whose loss is logged during training
    #[arg(long, value_name = "DIR")]
    valid: Option<PathBuf>,

    /// Validation features; by default feats.scp of the validation data directory
    #[arg(long, value_name = "FILE", requires = "valid")]
    valid_feats: Option<PathBuf>,

    /// Random seed
    #[arg(long, default_value_t = 0)]
    seed: u64,

    #[command(flatten)]
    device: DeviceArgs,

    /// Continue from the last checkpoint, or start if there is none
    #[arg(long)]
    resume: bool,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: TrainArgs) -> anyhow::Result<()> {
    let exp = args.exp.clone();
    let start = Start {
        resume: args.resume,
        ..Start::default()
    };
    Ok(train_speech(
        &config(args),
        &exp,
        &start,
        &mut TrainingBar::default(),
    )?)
}

fn config(args: TrainArgs) -> Config {
    let network = RecogniserNetworkOptions {
        subsampling: args.subsampling,
        ..RecogniserNetworkOptions::default()
    };
    Config {
        seed: args.seed,
        device: args.device.device,
        bf16: false,
        data: DataOptions {
            train_feats: args.feats,
            feature_type: args.feature_type,
            valid: args.valid,
            valid_feats: args.valid_feats,
            labels: args.labels.into(),
            sampler: SamplerOptions::Utterances { batch: args.batch },
            ..DataOptions::of(args.data)
        },
        normalisation: NormalisationOptions {
            // Features need not be logarithms.
            subtract_utterance_mean: Some(false),
            cmvn: args.cmvn,
            fixed_frames: 0,
        },
        method: MethodOptions::Recogniser(RecogniserOptions {
            network,
            ..RecogniserOptions::default()
        }),
        train: TrainOptions {
            steps: args.steps,
            ..TrainOptions::default()
        },
    }
}
