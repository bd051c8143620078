//! `unbraid eval factors`: disentanglement scores of pooled representations against known factors.

use std::path::PathBuf;

use clap::Args;
use ndarray::{Array2, Axis, concatenate};
use serde::Serialize;

use crate::cli::arguments::ThreadArgs;
use crate::cli::named_files::NamedFiles;
use crate::cli::result_files::ResultFiles;
use crate::dataset::DataDir;
use crate::error::Result;
use crate::eval::factors::{Disentanglement, Factor, FactorOptions, factors, pooled};
use crate::eval::grouping::Grouping;
use crate::io::message::output;
use crate::report::table::Table;

/// Measure whether factors such as speaker and text have their own dimensions: MIG, SAP, DCI.
///
/// Representations are averaged over time (vectors are used directly) and concatenated. For each factor: the mutual
/// information gap (MIG, Chen et al. 2018), SAP (Kumar et al. 2018), accuracy and completeness of DCI (Eastwood and
/// Williams 2018), and the share of its importance in each representation.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid eval factors data/test --factor speaker --factor text \\
    --factor data/test/spk2gender \\
    --representation phonetic=exp/a/phonetic_test.scp \\
    --representation speaker=exp/a/speaker_test.scp --out exp/a/factors

MIG: the difference in mutual information with the factor between the two best
dimensions, over the entropy of the factor. Dimensions have --bins bins of equal
width. SAP: the difference in test accuracy between the two best single
dimensions, by a linear support vector machine (C = 0.01, balanced classes) on
standardised dimensions. DCI: importances are the absolute weights of logistic
regression with an L1 penalty, chosen on a fifth of the training items. Half of
the utterances are for training, half for testing, split by --seed. Numbers in a
table are grouped: whole numbers below 130 by decades, other numbers with more
than ten values by quartiles of the utterances.")]
pub(super) struct FactorsArgs {
    /// Data directory
    data: PathBuf,
    /// Representation: name and feature list (matrices or vectors) or npy:DIR; may be repeated
    #[arg(long = "representation", alias = "strand", value_name = "NAME=SCP", required = true, value_parser = NamedFiles::parse_one)]
    representations: Vec<(String, PathBuf)>,
    /// Factor: speaker, text, or a table of two columns keyed by speaker or utterance; may be repeated
    #[arg(long = "factor", value_name = "speaker|text|FILE", required = true)]
    factors: Vec<String>,
    /// Bins per dimension for mutual information
    #[arg(long, value_name = "N", default_value_t = FactorOptions::default().bins)]
    bins: usize,
    /// Seed of the split of the utterances
    #[arg(long, default_value_t = FactorOptions::default().seed)]
    seed: u64,
    #[command(flatten)]
    threads: ThreadArgs,
    /// Write PREFIX.json (with the importance of every dimension) and PREFIX.tsv
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

/// A representation's place among the dimensions, and by factor what lies in it.
#[derive(Debug, Serialize)]
struct RepresentationShare {
    representation: String,
    dims: usize,
    shares: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Report {
    options: FactorOptions,
    representations: Vec<RepresentationShare>,
    #[serde(flatten)]
    scores: Disentanglement,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: FactorsArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let threads = args.threads.pool()?;
    let dir = DataDir::open(&args.data)?;
    let known = args
        .factors
        .iter()
        .map(|by| {
            let grouping = Grouping::read(by, &dir)?;
            let (_, classes) = grouping.classes();
            let name = grouping.name.clone();
            Ok(Factor { name, classes })
        })
        .collect::<Result<Vec<_>>>()?;
    let pooled = args
        .representations
        .iter()
        .map(|(_, scp)| pooled(&dir, scp))
        .collect::<Result<Vec<_>>>()?;
    let views: Vec<_> = pooled.iter().map(Array2::view).collect();
    let vectors = concatenate(Axis(1), &views)?;
    let options = FactorOptions {
        bins: args.bins,
        seed: args.seed,
    };
    let scores = threads.install(|| factors(&vectors, &known, options))?;
    let report = Report {
        representations: representation_shares(&args.representations, &pooled, &scores),
        options,
        scores,
    };
    let table = table(&report);
    if let Some(prefix) = &args.out {
        ResultFiles::new(prefix, &report, &table)?.write()?;
    }
    output(format_args!("{table}{}", summary(&report.scores)))?;
    Ok(())
}

fn representation_shares(
    representations: &[(String, PathBuf)],
    pooled: &[Array2<f64>],
    scores: &Disentanglement,
) -> Vec<RepresentationShare> {
    let mut first = 0;
    representations
        .iter()
        .zip(pooled)
        .map(|((name, _), pooled)| {
            let dims = first..first + pooled.ncols();
            first = dims.end;
            RepresentationShare {
                representation: name.clone(),
                dims: dims.len(),
                shares: scores
                    .factors
                    .iter()
                    .map(|factor| factor.importance[dims.clone()].iter().sum())
                    .collect(),
            }
        })
        .collect()
}

fn table(report: &Report) -> Table {
    let mut header = [
        "factor",
        "classes",
        "bits",
        "MIG",
        "SAP",
        "accuracy",
        "chance",
        "completeness",
    ]
    .map(String::from)
    .to_vec();
    let representations = report.representations.iter();
    header.extend(
        representations.map(|share| format!("in {} ({})", share.representation, share.dims)),
    );
    let mut table = Table::new(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for (number, factor) in report.scores.factors.iter().enumerate() {
        let mut row = vec![
            factor.factor.clone(),
            factor.classes.to_string(),
            format!("{:.2}", factor.entropy),
        ];
        let scores = [
            factor.mig,
            factor.sap,
            factor.accuracy,
            factor.chance,
            factor.completeness,
        ];
        let shares = report
            .representations
            .iter()
            .map(|share| share.shares[number]);
        row.extend(
            scores
                .into_iter()
                .chain(shares)
                .map(|value| format!("{value:.3}")),
        );
        table.row(row);
    }
    table
}

fn summary(scores: &Disentanglement) -> String {
    let disentanglement = match scores.disentanglement {
        Some(value) => format!("{value:.3}"),
        None => "- (a single factor)".to_string(),
    };
    format!(
        "disentanglement {disentanglement}; means: MIG {:.3}, SAP {:.3}, completeness {:.3}, accuracy {:.3}; \
         {} dimensions, {} utterances, {} of them for training\n",
        scores.mig,
        scores.sap,
        scores.completeness,
        scores.informativeness,
        scores.dims,
        scores.items.0,
        scores.items.1,
    )
}
