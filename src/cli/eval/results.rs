//! `unbraid eval results`: the results of several trainings in one table.

use std::path::PathBuf;

use clap::Args;

use crate::cli::named_files::NamedFiles;
use crate::cli::result_files::ResultFiles;
use crate::io::message::output;
use crate::report::summary::{Measured, read_measured, summarise, table};

/// Put the results of several trainings side by side.
///
/// Every argument is a configuration's name and its runs (seeds). A run is a folder, of which all results are read
/// (probe*.json, attack*.json, abx*.json, eer_*.json, wer*.json, scores*.json), or one such file: what eval probe, eval attack, eval abx, verify score,
/// asr score and image evaluate write with --out. The table has one row per representation and one column per
/// measure: mean ± standard deviation over runs, with chance in the head. The representation of eer_NAME.json is NAME.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid eval results log-mel=exp/log-mel_0 \\
    default=exp/default_0,exp/default_1 --out exp/results
  unbraid eval results default=exp/default_0/probe.json")]
pub(super) struct ResultsArgs {
    /// Configuration and its runs, folders or files; may be repeated
    #[arg(value_name = "NAME=RUN[,RUN...]", required = true, value_parser = NamedFiles::parse)]
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
    let mut rows = Vec::new();
    for runs in &args.runs {
        let measured: crate::Result<Vec<Vec<Measured>>> =
            runs.files.iter().map(|run| read_measured(run)).collect();
        rows.extend(summarise(&runs.name, measured?.concat()));
    }
    let table = table(&rows);
    output(format_args!("{table}"))?;
    if let Some(prefix) = &args.out {
        ResultFiles::new(prefix, &rows, &table)?
            .with("md", table.to_markdown())
            .write()?;
    }
    Ok(())
}
