//! `unbraid verify calibrate`: scores to log-likelihood ratios.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::verification::print;
use crate::error::Error;
use crate::eval::backend::{
    Calibration, Quality, QualityCalibration, QualityTrials, TrialCalibration,
};
use crate::eval::trials::{Trial, each_score, each_scored, read_scored};
use crate::io::atomic::{self, AtomicFile};
use crate::io::message::output;

/// Calibrate scores to log-likelihood ratios.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid verify score --trials data/dev/trials --scores exp/a/dev.scores \\
    scp:exp/a/s_dev.scp
  unbraid verify calibrate train --trials data/dev/trials \\
    --scores exp/a/dev.scores --out exp/a/calibration.json
  unbraid verify score --trials data/test/trials \\
    --calibration exp/a/calibration.json scp:exp/a/s.scp

The calibration is a scale and an offset, found by logistic regression under a
prior (Bruemmer and du Preez 2006). A calibrated score s is a natural
log-likelihood ratio: accept if it is above ln((1 - p) / p), with p the prior of
targets. EER and minDCF do not change. Cllr approaches minCllr if the trials for
training are similar to the test trials. With --quality the offset depends on
how long or how clear the two sides are, and EER and minDCF change too.")]
pub(super) struct CalibrateArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(TrainArgs),
    Apply(ApplyArgs),
}

/// Train a calibration on scored trials with known answers.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid verify calibrate train --trials data/dev/trials \\
    --scores exp/a/dev.scores --out exp/a/calibration.json")]
pub(super) struct TrainArgs {
    /// Trials with answers
    #[arg(long, value_name = "FILE")]
    trials: PathBuf,

    /// File with the scores of the trials, line by line, as of 'unbraid verify score --scores'
    #[arg(long, value_name = "FILE")]
    scores: PathBuf,

    /// Calibration to write, in JSON
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Quality measures of both sides, as of 'unbraid verify quality': ratios depend on them too
    #[arg(long, value_name = "FILE.tsv|RSPECIFIER")]
    quality: Option<String>,

    /// Prior of targets to optimise for
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    prior: f64,
}

/// Calibrate a file of scores.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid verify calibrate apply --calibration exp/a/calibration.json \\
    --scores exp/a/scores --out exp/a/calibrated")]
pub(super) struct ApplyArgs {
    /// Calibration of 'unbraid verify calibrate train'
    #[arg(long, value_name = "FILE")]
    calibration: PathBuf,

    /// Quality measures of both sides, for a calibration that depends on them
    #[arg(long, value_name = "FILE.tsv|RSPECIFIER")]
    quality: Option<String>,

    /// File to calibrate, one 'enrolment test score' per line
    #[arg(long, value_name = "FILE")]
    scores: PathBuf,

    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Trials with answers, line by line: measure the calibrated scores
    #[arg(long, value_name = "FILE")]
    trials: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: CalibrateArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Train(args) => train(&args),
        Command::Apply(args) => apply(&args),
    }
}

fn train(args: &TrainArgs) -> anyhow::Result<()> {
    atomic::try_place(&args.out)?;
    let (scale, offset, ratios) = match &args.quality {
        None => {
            let detection = read_scored(&args.trials, &args.scores)?.detection(&args.trials)?;
            let calibration = Calibration::train(&detection, args.prior, &args.scores)?;
            calibration.write(&args.out)?;
            let ratios = detection.map(|score| calibration.apply(score));
            (calibration.scale, calibration.offset, ratios)
        }
        Some(quality) => {
            let quality = Quality::read(quality)?;
            let mut trials = QualityTrials::new(&quality);
            each_scored(&args.trials, &args.scores, |trial, score, target| {
                trials.push(trial, score, target)
            })?;
            let (calibration, ratios) =
                QualityCalibration::train(&trials, args.prior, &args.scores)?;
            calibration.write(&args.out)?;
            (calibration.scale, calibration.offset, ratios)
        }
    };
    output(format_args!("scale {scale:.4}, offset {offset:.4}\n"))?;
    print(&ratios.verification(), true, None)
}

fn apply(args: &ApplyArgs) -> anyhow::Result<()> {
    let quality = args.quality.as_deref().map(Quality::read).transpose()?;
    let calibration = TrialCalibration::read(&args.calibration, quality)?;
    let mut out = AtomicFile::create(&args.out)?;
    each_score(&args.scores, |line| {
        let trial = Trial {
            enrolment: line.enrolment,
            test: line.test,
            target: None,
        };
        let ratio = calibration.apply(&trial, line.score)?;
        writeln!(out, "{} {} {ratio:.6}", line.enrolment, line.test).map_err(Error::io(&args.out))
    })?;
    out.commit()?;
    let Some(trials) = &args.trials else {
        return Ok(());
    };
    let detection = read_scored(trials, &args.out)?.detection(trials)?;
    print(&detection.verification(), true, None)
}
