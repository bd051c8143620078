//! `unbraid train`: a configuration to an experiment.

use std::path::PathBuf;

use clap::Args;

use crate::cli::progress::TrainingBar;
use crate::method::run::{Overrides, Run};
use crate::nn::device::DeviceChoice;

/// Train what a configuration describes, on speech or on images.
///
/// The experiment's folder gets conf.toml (as resolved), log.jsonl, TensorBoard events and checkpoints
/// (step_000123, with links `last` and `best`). A run that was stopped by Ctrl-C, a signal or a power cut goes
/// on with --resume as if it had never stopped: on the CPU, under the same number of threads, the weights are the same bit
/// for bit. With more --steps than before, --resume goes on beyond the planned end; train.log_every, checkpoint_every,
/// checkpoint_minutes, keep and threads may be others, too.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid train --conf conf/default.toml --exp exp/default
  unbraid train --conf conf/default.toml --exp exp/default --resume
  unbraid train --conf conf/default.toml --exp exp/default --resume --steps 6000
  unbraid train --conf conf/default.toml --exp exp/seed1 --seed 1
  unbraid train --conf conf/default.toml --exp exp/soft --set method.adversaries.0.lambda.weight=0.1
  unbraid config show --conf conf/wide.toml

A configuration may be built on another. With base = \"default.toml\" in it, conf/wide.toml holds only what it changes:

  base = \"default.toml\"
  method.model.phonetic_encoder.channels = 256

'unbraid config show' prints all values of a configuration, 'unbraid config reference' every key that there is.

--set takes a key's path and a value as TOML writes it: --set 'data.labels=\"utterance_class\"'. A table is replaced whole:
--set 'data.sampler={kind=\"frames\",frames=4000}'. The resolved configuration is kept in DIR/conf.toml.

Exit codes: 0 done; 1 an error, in one line; 129, 130 or 143 stopped by SIGHUP, SIGINT or SIGTERM, the run saved.")]
pub struct TrainArgs {
    /// Configuration, in TOML
    #[arg(long, value_name = "FILE")]
    conf: PathBuf,
    /// Folder of the experiment
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// Go on from the last checkpoint (from the start when there is none)
    #[arg(long)]
    resume: bool,
    /// Instead of what the configuration says of a key; may be given many times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Instead of the configuration's seed
    #[arg(long)]
    seed: Option<u64>,
    /// Instead of the configuration's number of steps
    #[arg(long)]
    steps: Option<u64>,
    /// Instead of the configuration's device
    #[arg(long)]
    device: Option<DeviceChoice>,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: TrainArgs) -> anyhow::Result<()> {
    let overrides = Overrides {
        settings: args.settings,
        seed: args.seed,
        steps: args.steps,
        device: args.device,
    };
    let run = Run::read(&args.conf, &overrides)?;
    Ok(run.train(&args.exp, args.resume, &mut TrainingBar::default())?)
}
