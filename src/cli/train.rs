//! `unbraid train`: a configuration to an experiment.

use std::path::PathBuf;

use clap::Args;

use super::models::InitialArgs;
use crate::cli::training_bar::TrainingBar;
use crate::method::fine_tuning::Start;
use crate::method::run::{Overrides, Run};
use crate::nn::device::DeviceChoice;

/// Train a model on speech or images, as a configuration describes it.
///
/// The experiment folder gets the resolved configuration (conf.toml), the log (log.jsonl), TensorBoard events and
/// checkpoints (step_000123, with links 'last' and 'best').
///
/// A run that was stopped by Ctrl-C, a signal or a power cut continues with --resume. On the CPU, with the same number of
/// threads, the weights are bit for bit those of an uninterrupted run.
///
/// With --init, a run begins from a trained model. Encoders and decoder have to fit, heads for other speakers or labels are
/// new, and one line lists both. The normalisation of features is the initial model's, too. method.freeze names parts
/// that stay as they are.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid train --conf conf/default.toml --exp exp/default
  unbraid train --conf conf/default.toml --exp exp/default --resume
  unbraid train --conf conf/default.toml --exp exp/default --resume --steps 6000
  unbraid train --conf conf/default.toml --exp exp/seed1 --seed 1
  unbraid train --conf conf/default.toml --exp exp/soft \\
    --set method.adversaries.0.lambda.weight=0.1
  unbraid train --init en-16k --exp exp/tuned --steps 300 \\
    --set 'data.train=\"data/train\"' --set 'data.valid=\"data/dev\"' \\
    --set 'method.freeze=[\"phonetic_encoder\"]'
  unbraid train --init exp/default:best --init-only phonetic_encoder,decoder \\
    --conf conf/other.toml --exp exp/other

A configuration may build on another one. With base = \"default.toml\", the file
conf/wide.toml needs only the keys that it changes:

  base = \"default.toml\"
  method.model.phonetic_encoder.channels = 256

'unbraid config show' prints all values of a configuration, 'unbraid config
reference' every key.

--set takes the path of a key and a value in TOML syntax:
--set 'data.labels=\"utterance_class\"'. A table is replaced as a whole:
--set 'data.sampler={kind=\"frames\",frames=4000}'.

With --resume, --steps may exceed the planned end, of a finished run too. A
learning rate that decays over the run (decay other than \"constant\") is then
that of the longer schedule, so it rises where the run goes on. These keys may
change, too: train.log_every, checkpoint_every, checkpoint_minutes,
keep_checkpoints and threads.

Exit codes: 0 done; 1 an error, in one line; 129, 130 or 143 stopped by SIGHUP,
SIGINT or SIGTERM, after saving a checkpoint.")]
pub(super) struct TrainArgs {
    /// Configuration in TOML; with --init by default that of the initial model
    #[arg(long, value_name = "FILE", required_unless_present = "init")]
    conf: Option<PathBuf>,
    /// Experiment folder
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// Continue from the last checkpoint, or start if there is none
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    initial: InitialArgs,
    /// Override a key of the configuration; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Override the seed
    #[arg(long)]
    seed: Option<u64>,
    /// Override the number of steps (train.steps)
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Override the device
    #[arg(long)]
    device: Option<DeviceChoice>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: TrainArgs) -> anyhow::Result<()> {
    let initial = args.initial.open()?;
    let (conf, front_end) = match (args.conf, &initial) {
        (None, Some(initial)) => initial.configuration(),
        (conf, _) => (conf.unwrap_or_default(), None),
    };
    let overrides = Overrides {
        settings: front_end.into_iter().chain(args.settings).collect(),
        seed: args.seed,
        steps: args.steps,
        device: args.device,
    };
    let run = Run::read(&conf, &overrides)?;
    let start = Start {
        resume: args.resume,
        initial,
    };
    Ok(run.train(&args.exp, &start, &mut TrainingBar::default())?)
}
