//! `unbraid score`: trials scored by cosine, EER and detection cost.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use ndarray::Array1;

use crate::eval::trials::{read_trials, score, verification};
use crate::io::atomic;
use crate::io::kaldi::TableReader;
use crate::report::table::Table;

/// Score speaker trials by cosine; tell EER and minDCF.
///
/// Trials are Kaldi's: `enrolment test target|nontarget` a line. Embeddings are vectors.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid score --trials data/test/trials --scores exp/a/scores --out exp/a/eer scp:exp/a/s.scp
  unbraid score --trials data/test/trials scp:exp/a/spk.scp scp:exp/a/s.scp

EER is the mean of miss and false alarm rates where they are closest; minDCF has costs of 1 and is divided by
the cost of the better constant answer.")]
pub struct ScoreArgs {
    /// Trials file.
    #[arg(long, value_name = "FILE")]
    trials: PathBuf,
    /// Writes 'enrolment test score' lines.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Writes PREFIX.json and PREFIX.tsv.
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
    /// Embeddings of the enrolment side, as scp:FILE or ark:FILE.
    #[arg(value_name = "RSPEC")]
    enrolment: String,
    /// Embeddings of the test side; the same when left out.
    #[arg(value_name = "TEST_RSPEC")]
    test: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: ScoreArgs) -> anyhow::Result<()> {
    let trials = read_trials(&args.trials)?;
    let read = |specifier: &str| -> crate::Result<HashMap<String, Array1<f32>>> {
        TableReader::open(specifier)?.collect()
    };
    let enrolments = read(&args.enrolment)?;
    let tests = match &args.test {
        Some(specifier) => &read(specifier)?,
        None => &enrolments,
    };
    let scores = score(&trials, &enrolments, tests, &args.trials)?;
    if let Some(path) = &args.scores {
        let lines = trials
            .iter()
            .zip(&scores)
            .map(|(trial, score)| format!("{} {} {score:.6}\n", trial.enrolment, trial.test));
        atomic::write(path, lines.collect::<String>())?;
    }
    let targets: Vec<bool> = trials.iter().map(|trial| trial.target).collect();
    let found = verification(&scores, &targets, &args.trials)?;
    let mut table = Table::new(&[
        "EER %",
        "threshold",
        "minDCF(0.01)",
        "minDCF(0.05)",
        "targets",
        "nontargets",
    ]);
    table.row(vec![
        format!("{:.2}", 100.0 * found.eer),
        format!("{:.3}", found.threshold),
        format!("{:.3}", found.min_dcf_01),
        format!("{:.3}", found.min_dcf_05),
        found.targets.to_string(),
        found.nontargets.to_string(),
    ]);
    if let Some(prefix) = &args.out {
        let json = serde_json::to_string_pretty(&found)?;
        atomic::write(format!("{}.json", prefix.display()), json + "\n")?;
        atomic::write(format!("{}.tsv", prefix.display()), table.to_tsv())?;
    }
    write!(io::stdout(), "{table}")?;
    Ok(())
}
