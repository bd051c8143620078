//! `unbraid train`: a configuration to an experiment.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::choices::DeviceParser;
use super::models::InitialArgs;
use crate::cli::training_bar::TrainingBar;
use crate::error::{Result, check_within};
use crate::method::fine_tuning::{InitialModel, Start};
use crate::method::run::{Overrides, Run};
use crate::nn::device::DeviceChoice;
use crate::train::ranks::{RankOptions, Ranks};
use crate::train::trainer::Progress;

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
///
/// With --ranks N, or started N times by torchrun or srun, N processes train one model. A batch is N times as large, and each
/// process takes its part; the gradients are averaged. Batch statistics and losses that compare the utterances of a batch see
/// the part of their process. The first process writes logs, validation and checkpoints; its running statistics are the
/// model's.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid train --conf conf/default.toml --exp exp/default
  unbraid train --conf conf/default.toml --exp exp/default --resume
  unbraid train --conf conf/default.toml --exp exp/default --resume --steps 6000
  unbraid train --conf conf/default.toml --exp exp/seed1 --seed 1
  unbraid train --conf conf/default.toml --exp exp/two --ranks 2
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
keep_checkpoints, threads, accumulate and data.workers. So may the number of
processes. With the same number, and the same number of threads each, a resumed
run is bit for bit what an uninterrupted one is.

Processes on several machines, or on several GPUs, one of which each takes:

  torchrun --no-python --nproc-per-node 4 unbraid train \\
    --conf conf/default.toml --exp exp/four
  srun --ntasks 16 unbraid train --conf conf/default.toml --exp exp/many

With srun, rank 0 is on the first machine of the step; MASTER_ADDR and
MASTER_PORT name another place. GLOO_SOCKET_IFNAME names a network interface.

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
    /// Train with N processes on this machine, each of which takes a part of each batch
    #[arg(long, value_name = "N")]
    ranks: Option<usize>,
    /// Longest wait of a process for the others, by default 1800; has to be longer than a validation
    #[arg(long, value_name = "SECONDS")]
    rank_timeout: Option<f64>,
    /// Override the device
    #[arg(long, value_parser = DeviceParser)]
    device: Option<DeviceChoice>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: TrainArgs) -> anyhow::Result<()> {
    let options = rank_options(args.ranks, args.rank_timeout)?;
    let (exp, resume) = (args.exp.clone(), args.resume);
    let prepared = prepare(args);
    // Ranks that run already have to be told of an error; none is started for it.
    let ranks = match prepared.is_ok() || Ranks::are_launched()? {
        true => Ranks::join(options)?,
        false => Ranks::default(),
    };
    let (run, initial) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(ranks.end(Err(error))?),
    };
    let start = Start {
        resume,
        initial,
        ranks: Arc::new(ranks),
    };
    let mut bar = TrainingBar::default();
    let progress: &mut dyn Progress = match start.ranks.is_first() {
        true => &mut bar,
        false => &mut (),
    };
    Ok(run.train(&exp, &start, progress)?)
}

/// Reads and checks what the arguments name.
fn prepare(args: TrainArgs) -> Result<(Run, Option<InitialModel>)> {
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
    run.check()?;
    Ok((run, initial))
}

/// Checks the options of the ranks.
fn rank_options(ranks: Option<usize>, timeout: Option<f64>) -> Result<RankOptions> {
    let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
    check_within("--ranks", ranks.unwrap_or(1), 1..=MAX_LOCAL_RANKS)?;
    check_within("--rank-timeout", timeout, 1.0..=MAX_TIMEOUT)?;
    Ok(RankOptions {
        local: ranks,
        timeout: Duration::from_secs_f64(timeout),
    })
}

/// More processes than any machine has use for.
const MAX_LOCAL_RANKS: usize = 256;
/// As PyTorch's for Gloo, in seconds.
const DEFAULT_TIMEOUT: f64 = 1800.0;
/// A month, in seconds.
const MAX_TIMEOUT: f64 = 31.0 * 86_400.0;
