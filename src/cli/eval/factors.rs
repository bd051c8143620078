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
use crate::eval::factors::{
    Disentanglement, Factor, FactorOptions, Spread, Spreads, factors, pooled,
};
use crate::eval::grouping::Grouping;
use crate::io::message::output;
use crate::report::table::{Table, interval};

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
the utterances are for training, half for testing, split by --seed.

Intervals (95%) are over utterances drawn with replacement: what is drawn twice
counts twice, in training too. The two dimensions of a gap, the classifiers of
single dimensions and the strength of the penalty stay those of the estimate.
Chance is the mean where the classes of utterances are permuted; that of
accuracy is the share of the most frequent class.

Numbers in a table are grouped: whole numbers below 130 by decades, other
numbers with more than ten values by quartiles of the utterances.")]
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
    /// Seed of the split of the utterances, of draws and permutations
    #[arg(long, default_value_t = FactorOptions::default().seed)]
    seed: u64,
    /// Number of draws of utterances for intervals, each a fit of its own; 0 for none and no chance by
    /// permutation
    #[arg(long, value_name = "N", default_value_t = FactorOptions::default().draws)]
    draws: u16,
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
        draws: args.draws,
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
        "MIG 95%",
        "MIG chance",
        "SAP",
        "SAP 95%",
        "SAP chance",
        "accuracy",
        "accuracy 95%",
        "chance",
        "completeness",
        "completeness 95%",
        "completeness chance",
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
        let of = |spread: fn(&Spreads) -> Spread| factor.spreads.as_ref().map(spread);
        let by_permutation = |spread: Option<Spread>| spread.map(|spread| spread.chance);
        let (mig, sap, completeness) = (of(|s| s.mig), of(|s| s.sap), of(|s| s.completeness));
        for (value, spread, chance) in [
            (factor.mig, mig, by_permutation(mig)),
            (factor.sap, sap, by_permutation(sap)),
            (factor.accuracy, of(|s| s.accuracy), Some(factor.chance)),
            (
                factor.completeness,
                completeness,
                by_permutation(completeness),
            ),
        ] {
            row.push(format!("{value:.3}"));
            row.push(interval(spread.map(|spread| spread.interval), 3));
            row.push(chance.map_or("-".into(), |chance| format!("{chance:.3}")));
        }
        let representations = report.representations.iter();
        row.extend(representations.map(|share| format!("{:.3}", share.shares[number])));
        table.row(row);
    }
    table
}

fn summary(scores: &Disentanglement) -> String {
    let shown = |value: f64, spread: Option<Spread>| match spread {
        Some(spread) => {
            let (ends, chance) = (interval(spread.interval, 3), spread.chance);
            format!("{value:.3} ({ends}, chance {chance:.3})")
        }
        None => format!("{value:.3}"),
    };
    let disentanglement = match scores.disentanglement {
        Some(value) => shown(value, scores.disentanglement_spread),
        None => "- (a single factor)".to_string(),
    };
    let of = |spread: fn(&Spreads) -> Spread| scores.spreads.as_ref().map(spread);
    format!(
        "disentanglement {disentanglement}; means: MIG {}, SAP {}, completeness {}, accuracy {}; \
         {} dimensions, {} utterances, {} of them for training\n",
        shown(scores.mig, of(|s| s.mig)),
        shown(scores.sap, of(|s| s.sap)),
        shown(scores.completeness, of(|s| s.completeness)),
        shown(scores.informativeness, of(|s| s.accuracy)),
        scores.dims,
        scores.items.0,
        scores.items.1,
    )
}
