//! `unbraid verify calibrate`: scores to log-likelihood ratios.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::verification::tell;
use crate::error::Error;
use crate::eval::backend::Calibration;
use crate::eval::trials::{each_score, read_scored};
use crate::io::atomic::{self, AtomicFile};
use crate::io::message::output;

/// Calibrate scores to log-likelihood ratios: a scale and an offset, learnt on trials whose answers are known.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  unbraid verify score --trials data/dev/trials --scores exp/a/dev.scores scp:exp/a/s_dev.scp
  unbraid verify calibrate train --trials data/dev/trials --scores exp/a/dev.scores --out exp/a/calibration.json
  unbraid verify score --trials data/test/trials --calibration exp/a/calibration.json scp:exp/a/s.scp

Logistic regression under a prior (Bruemmer and du Preez 2006). A calibrated score s is a natural log-likelihood ratio:
accept when it is above ln((1 - p) / p), with p the prior of targets. EER and minDCF do not change; Cllr comes close to
minCllr where the trials to learn from are like those to score.")]
pub struct CalibrateArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(TrainArgs),
    Apply(ApplyArgs),
}

/// Train a calibration on scored trials whose answers are known.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Trials with answers
    #[arg(long, value_name = "FILE")]
    trials: PathBuf,

    /// Their scores, line by line, as unbraid verify score --scores writes them
    #[arg(long, value_name = "FILE")]
    scores: PathBuf,

    /// Where to, a JSON file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Prior of targets that the calibration should serve best
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    prior: f64,
}

/// Calibrate a file of scores.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// What unbraid verify calibrate train wrote
    #[arg(long, value_name = "FILE")]
    calibration: PathBuf,

    /// 'enrolment test score' lines
    #[arg(long, value_name = "FILE")]
    scores: PathBuf,

    /// Where to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Their trials, line by line: tells how well the calibrated scores do
    #[arg(long, value_name = "FILE")]
    trials: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: CalibrateArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Train(args) => train(&args),
        Command::Apply(args) => apply(&args),
    }
}

fn train(args: &TrainArgs) -> anyhow::Result<()> {
    atomic::try_place(&args.out)?;
    let detection = read_scored(&args.trials, &args.scores)?.detection(&args.trials)?;
    let calibration = Calibration::train(&detection, args.prior, &args.scores)?;
    calibration.write(&args.out)?;
    let Calibration { scale, offset, .. } = calibration;
    output(format_args!("scale {scale:.4}, offset {offset:.4}\n"))?;
    tell(
        &detection
            .map(|score| calibration.apply(score))
            .verification(),
        true,
        None,
    )
}

fn apply(args: &ApplyArgs) -> anyhow::Result<()> {
    let calibration = Calibration::read(&args.calibration)?;
    let mut out = AtomicFile::create(&args.out)?;
    each_score(&args.scores, |line| {
        let score = calibration.apply(line.score);
        writeln!(out, "{} {} {score:.6}", line.enrolment, line.test).map_err(Error::io(&args.out))
    })?;
    out.commit()?;
    let Some(trials) = &args.trials else {
        return Ok(());
    };
    let detection = read_scored(trials, &args.out)?.detection(trials)?;
    tell(&detection.verification(), true, None)
}
