//! `unbraid train`: a configuration to an experiment.

use std::path::PathBuf;

use clap::Args;

use crate::cli::training_bar::TrainingBar;
use crate::method::run::{Overrides, Run};
use crate::nn::device::DeviceChoice;

/// Train a model on speech or images, as a configuration describes it.
///
/// The experiment folder gets the resolved configuration (conf.toml), the log (log.jsonl), TensorBoard events and
/// checkpoints (step_000123, with links 'last' and 'best').
///
/// A run that was stopped by Ctrl-C, a signal or a power cut continues with --resume. On the CPU, with the same number of
/// threads, the weights are bit for bit those of an uninterrupted run.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid train --conf conf/default.toml --exp exp/default
  unbraid train --conf conf/default.toml --exp exp/default --resume
  unbraid train --conf conf/default.toml --exp exp/default --resume --steps 6000
  unbraid train --conf conf/default.toml --exp exp/seed1 --seed 1
  unbraid train --conf conf/default.toml --exp exp/soft \\
    --set method.adversaries.0.lambda.weight=0.1

A configuration may build on another one. With base = \"default.toml\", the file
conf/wide.toml needs only the keys that it changes:

  base = \"default.toml\"
  method.model.phonetic_encoder.channels = 256

'unbraid config show' prints all values of a configuration, 'unbraid config
reference' every key.

--set takes the path of a key and a value in TOML syntax:
--set 'data.labels=\"utterance_class\"'. A table is replaced as a whole:
--set 'data.sampler={kind=\"frames\",frames=4000}'.

With --resume, --steps may exceed the planned end. These keys may change, too:
train.log_every, checkpoint_every, checkpoint_minutes, keep_checkpoints and
threads.

Exit codes: 0 done; 1 an error, in one line; 129, 130 or 143 stopped by SIGHUP,
SIGINT or SIGTERM, after saving a checkpoint.")]
pub(super) struct TrainArgs {
    /// Configuration in TOML
    #[arg(long, value_name = "FILE")]
    conf: PathBuf,
    /// Experiment folder
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// Continue from the last checkpoint, or start if there is none
    #[arg(long)]
    resume: bool,
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
    let overrides = Overrides {
        settings: args.settings,
        seed: args.seed,
        steps: args.steps,
        device: args.device,
    };
    let run = Run::read(&args.conf, &overrides)?;
    Ok(run.train(&args.exp, args.resume, &mut TrainingBar::default())?)
}
