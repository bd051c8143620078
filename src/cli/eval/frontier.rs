//! `unbraid eval frontier`: content kept against speaker left, over a sweep.

use std::path::PathBuf;

use clap::Args;

use crate::cli::named_files::NamedFiles;
use crate::cli::result_files::ResultFiles;
use crate::error::Error;
use crate::eval::probe::Target;
use crate::io::message::output;
use crate::report::frontier::{Cell, FrontierOptions, chart, frontier, table};
use crate::report::summary::read_results;

/// Plot retained content against speaker leakage.
///
/// Every argument is a method, its value of what was swept, and the JSON files that `unbraid eval probe --out` wrote for
/// its runs (seeds). Methods without a value (raw features, no adversary) are single points. The table has one row per
/// point, mean ± standard deviation over runs; the picture one curve per method.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid eval frontier --parameter lambda --out exp/frontier \\
    log-mel=exp/log-mel_0/probe.json \\
    alternating@0.1=exp/a_0/probe.json,exp/a_1/probe.json \\
    alternating@1=exp/b_0/probe.json,exp/b_1/probe.json")]
pub(super) struct FrontierArgs {
    /// Method, its value, and its runs; may be repeated
    #[arg(value_name = "NAME[@VALUE]=FILE[,FILE...]", required = true, value_parser = parse)]
    points: Vec<PointFiles>,
    /// Representation to plot; a method with results for only one representation is plotted by that
    #[arg(long, alias = "strand", default_value = "phonetic")]
    representation: String,
    /// Target that should be removed
    #[arg(long, alias = "leak", default_value = "speaker")]
    leakage_target: Target,
    /// Target that should be kept; by default the only other one in the files
    #[arg(long)]
    content: Option<Target>,
    /// Name of the swept parameter, for table and picture
    #[arg(long, default_value = "value")]
    parameter: String,
    /// Write PREFIX.svg, PREFIX.tsv, PREFIX.md and PREFIX.json
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct PointFiles {
    method: String,
    value: Option<f64>,
    files: Vec<PathBuf>,
}

fn parse(text: &str) -> Result<PointFiles, String> {
    let form = "expected NAME[@VALUE]=FILE[,FILE...]";
    let NamedFiles { name, files } = NamedFiles::parse(text).map_err(|_| form)?;
    let (method, value) = match name.rsplit_once('@') {
        None => (name.as_str(), None),
        Some((method, value)) => match value.parse::<f64>() {
            Ok(number) if number.is_finite() => (method, Some(number)),
            _ => return Err(format!("{form}, VALUE a number, found '{value}'")),
        },
    };
    if method.is_empty() {
        return Err(form.into());
    }
    Ok(PointFiles {
        method: method.to_string(),
        value,
        files,
    })
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: FrontierArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let mut cells = Vec::new();
    for point in args.points {
        let mut results = Vec::new();
        for file in &point.files {
            results.extend(read_results(file)?);
        }
        cells.push(Cell {
            method: point.method,
            value: point.value,
            results,
        });
    }
    let content = args
        .content
        .map_or_else(|| only_other(&cells, args.leakage_target), Ok)?;
    let options = FrontierOptions {
        representation: args.representation,
        leakage: args.leakage_target,
        content,
        parameter: args.parameter,
    };
    let points = frontier(&cells, &options)?;
    let table = table(&points, &options);
    if let Some(prefix) = &args.out {
        ResultFiles::new(prefix, &points, &table)?
            .with("md", table.to_markdown())
            .with("svg", chart(&points, &options).svg())
            .write()?;
    }
    output(format_args!("{table}"))?;
    Ok(())
}

/// The target beside the leakage, if all probes leave but one.
fn only_other(cells: &[Cell], leakage: Target) -> crate::Result<Target> {
    let mut others: Vec<Target> = Vec::new();
    for result in cells.iter().flat_map(|cell| &cell.results) {
        if result.target != leakage && !others.contains(&result.target) {
            others.push(result.target);
        }
    }
    match others[..] {
        [only] => Ok(only),
        _ => {
            let found = format!("{others:?}").to_lowercase();
            let expected = format!("one target beside {leakage:?} in the files (or --content)");
            Err(Error::option("--content", expected.to_lowercase(), found))
        }
    }
}
