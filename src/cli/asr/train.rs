//! `unbraid asr train`: features and strings to a recogniser.

use std::path::PathBuf;

use clap::Args;

use super::StringLabels;
use crate::cli::progress::TrainingBar;
use crate::dataset::normalisation::{Cmvn, NormalisationOptions};
use crate::dataset::sampler::SamplerOptions;
use crate::method::Config;
use crate::method::config::{DataOptions, MethodOptions};
use crate::method::recogniser::RecogniserOptions;
use crate::method::speech::train_speech;
use crate::nn::RecogniserNetworkOptions;
use crate::nn::device::DeviceChoice;
use crate::train::TrainOptions;

/// Train a recogniser: convolutions, bidirectional recurrent layers and CTC.
///
/// Utterances in which nothing is said are left out, and that is told.
///
/// The experiment's folder is as that of unbraid train, and a run that was stopped goes on with --resume. Every other
/// option of the network can be set by a configuration with method.name = "recogniser", for unbraid train: conf.toml in the
/// folder is one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unbraid asr train data/train --exp exp/asr_mel --subsampling 4 --cmvn utterance
  unbraid asr train data/train exp/a/z_train.scp --exp exp/asr_z --labels phones --steps 3000
  unbraid asr train data/train exp/a/z_train.scp --exp exp/asr_z --labels phones --steps 3000 --resume")]
pub struct TrainArgs {
    /// Data directory to learn from
    data: PathBuf,

    /// Its features, a list as feats.scp, which is what is read without this
    feats: Option<PathBuf>,

    /// Folder of the experiment
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,

    /// What strings are made of
    #[arg(long, default_value = "words")]
    labels: StringLabels,

    /// Frames of the features an output: 1, 2, 4 or 8
    #[arg(long, value_name = "N", default_value_t = 1)]
    subsampling: i64,

    /// Over what every value of a frame is standardised: nothing, the utterance, or the training set
    #[arg(long, default_value = "global")]
    cmvn: Cmvn,

    /// Utterances a step
    #[arg(long, value_name = "N", default_value_t = 16)]
    batch: usize,

    /// Steps in all
    #[arg(long, value_name = "N", default_value_t = 2000)]
    steps: u64,

    /// Data directory on which the loss is told as training goes on
    #[arg(long, value_name = "DIR")]
    valid: Option<PathBuf>,

    /// Its features, where they are not its feats.scp
    #[arg(long, value_name = "FILE", requires = "valid")]
    valid_feats: Option<PathBuf>,

    /// Where all random numbers come from
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Where tensors live
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,

    /// Go on from the last checkpoint (from the start when there is none)
    #[arg(long)]
    resume: bool,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: TrainArgs) -> anyhow::Result<()> {
    let (exp, resume) = (args.exp.clone(), args.resume);
    Ok(train_speech(
        &config(args),
        &exp,
        resume,
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
        device: args.device,
        bf16: false,
        data: DataOptions {
            train: args.data,
            train_feats: args.feats,
            valid: args.valid,
            valid_feats: args.valid_feats,
            labels: args.labels.into(),
            labelled_speakers: Vec::new(),
            labelled: 1.0,
            crop_frames: 0,
            max_frames: 0,
            sampler: SamplerOptions::Utterances { batch: args.batch },
            front_end: None,
        },
        normalisation: NormalisationOptions {
            // Features need not be logarithms.
            subtract_utterance_mean: false,
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
