//! `unbraid image results`: evaluations of several trainings in one table.

use std::path::PathBuf;

use clap::Args;

use crate::cli::named_files::NamedFiles;
use crate::cli::result_files::ResultFiles;
use crate::io::message::output;
use crate::report::scores::{ScoreReport, score_table, summarise_scores};

/// Put the evaluations of several trainings on images side by side.
///
/// Every argument is a configuration's name and the JSON files that `unbraid image evaluate --out` wrote for its runs (seeds).
/// The table has one row per score: median, minimum and maximum over runs, and reference values.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid image results --out exp/results \\
    vae=exp/vae_0/scores.json,exp/vae_1/scores.json \\
    default=exp/default_0/scores.json")]
pub(super) struct ResultsArgs {
    /// Configuration and its runs; may be repeated
    #[arg(value_name = "NAME=FILE[,FILE...]", required = true, value_parser = NamedFiles::parse)]
    runs: Vec<NamedFiles>,
    /// Write PREFIX.tsv, PREFIX.json and PREFIX.md
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: ResultsArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let mut summaries = Vec::new();
    for NamedFiles { name, files } in &args.runs {
        let reports = files.iter().map(|file| ScoreReport::read(file));
        let reports = reports.collect::<crate::Result<Vec<_>>>()?;
        summaries.extend(summarise_scores(name, &reports));
    }
    let table = score_table(&summaries);
    output(format_args!("{table}"))?;
    if let Some(prefix) = &args.out {
        ResultFiles::new(prefix, &summaries, &table)?
            .with("md", table.to_markdown())
            .write()?;
    }
    Ok(())
}
