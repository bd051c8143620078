//! `unbraid eval results`: probes of several trainings in one table.

use std::path::PathBuf;

use clap::Args;

use crate::cli::result_files::ResultFiles;
use crate::io::message::output;
use crate::report::summary::{read_results, summarise, table};

/// Put the probe results of several trainings side by side.
///
/// Every argument is a configuration's name and the JSON files that `unbraid eval probe --out` wrote for its runs
/// (seeds). The table has a row a representation and a column a target: mean ± standard deviation over runs.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid eval results autoencoder=exp/ae_0/probe.json,exp/ae_1/probe.json default=exp/default_0/probe.json \\
    --out exp/results")]
pub struct ResultsArgs {
    /// A configuration and its runs
    #[arg(value_name = "NAME=FILE[,FILE...]", required = true, value_parser = parse)]
    runs: Vec<Runs>,
    /// Write PREFIX.tsv, PREFIX.json and PREFIX.md
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Runs {
    name: String,
    files: Vec<PathBuf>,
}

fn parse(text: &str) -> Result<Runs, String> {
    match text.split_once('=') {
        Some((name, files)) if !name.is_empty() && !files.is_empty() => Ok(Runs {
            name: name.to_string(),
            files: files.split(',').map(PathBuf::from).collect(),
        }),
        _ => Err("expected NAME=FILE[,FILE...]".into()),
    }
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: ResultsArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let mut rows = Vec::new();
    for runs in &args.runs {
        let results = runs
            .files
            .iter()
            .map(|file| read_results(file))
            .collect::<crate::Result<Vec<_>>>()?;
        rows.extend(summarise(&runs.name, &results));
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
