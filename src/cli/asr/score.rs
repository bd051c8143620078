//! `unbraid asr score`: error rates of recognised strings.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::StringLabels;
use crate::cli::result_files::ResultFiles;
use crate::dataset::DataDir;
use crate::eval::asr::{ErrorRate, Hypotheses, score::Comparison};
use crate::eval::grouping::Grouping;
use crate::io::message::output;
use crate::report::table::{Table, interval};

/// Measure the error rate of words, characters or phones.
///
/// The error rate is insertions, deletions and substitutions over the number of reference labels. Its 95 % interval is a
/// bootstrap over utterances (Bisani and Ney 2004). References may be empty: labels recognised there are insertions, as in
/// Kaldi's compute-wer. HYP must contain exactly the utterances of the data directory.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid asr score data/test exp/asr_z/hyp --by speaker --out exp/asr_z/wer
  unbraid asr score data/test exp/asr_z/hyp --labels characters
  unbraid asr score data/test exp/asr_z/hyp --compare-to exp/asr_mel/hyp

--compare-to resamples the same utterances for both recognisers. It prints the
difference in points, its interval, and the share of samples in which the first
recogniser is better.")]
pub(super) struct ScoreArgs {
    /// Data directory with text, or utt2phones for phones
    data: PathBuf,

    /// Recognised strings, as 'unbraid asr decode' writes them
    #[arg(value_name = "HYP")]
    hypotheses: PathBuf,

    /// Labels to count
    #[arg(long, default_value = "words")]
    labels: StringLabels,

    /// Also score per group: speaker, text, or a table keyed by speaker or utterance; may be repeated
    #[arg(long, value_name = "speaker|text|FILE")]
    by: Vec<String>,

    /// Compare to another recognition of the same utterances
    #[arg(long, alias = "against", value_name = "HYP")]
    compare_to: Option<PathBuf>,

    /// Write PREFIX.json and PREFIX.tsv
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

/// What is written as JSON.
#[derive(Debug, Serialize)]
struct Scores {
    labels: &'static str,
    rates: Vec<ErrorRate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Comparison>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: &ScoreArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let labels = args.labels.into();
    let dir = DataDir::open(&args.data)?;
    let own = Hypotheses::read(&args.hypotheses, &dir, labels)?;
    let mut rates = vec![own.rate()];
    for by in &args.by {
        rates.extend(own.by(&Grouping::read(by, &dir)?));
    }
    let other = args
        .compare_to
        .as_ref()
        .map(|path| Hypotheses::read(path, &dir, labels));
    let other = other.transpose()?;
    let scores = Scores {
        labels: labels.name(),
        against: other.as_ref().and_then(|other| own.against(other)),
        rates,
    };
    let table = table(&scores);
    if let Some(out) = &args.out {
        ResultFiles::new(out, &scores, &table)?.write()?;
    }
    output(format_args!("{table}"))?;
    if let (Some(found), Some(other)) = (scores.against, &other) {
        let against = format!(
            "against {}: {:+.2} points, 95 % interval {:+.2}..{:+.2}, better in {:.1} % of draws",
            other.path().display(),
            found.difference,
            found.interval.0,
            found.interval.1,
            100.0 * found.better
        );
        output(format_args!("\n{against}\n"))?;
    }
    Ok(())
}

fn table(scores: &Scores) -> Table {
    let mut table = Table::new(&[
        "by",
        "group",
        "error %",
        "95% interval",
        "ins",
        "del",
        "sub",
        scores.labels,
        "utterances",
        "with errors",
    ]);
    for rate in &scores.rates {
        let named = |name: &str, none: &str| match name {
            "" => none.to_string(),
            name => name.to_string(),
        };
        table.row(vec![
            named(&rate.group.0, "-"),
            named(&rate.group.1, "all"),
            rate.percent
                .map_or("-".into(), |percent| format!("{percent:.2}")),
            interval(rate.interval, 2),
            rate.edits.insertions.to_string(),
            rate.edits.deletions.to_string(),
            rate.edits.substitutions.to_string(),
            rate.labels.to_string(),
            rate.utterances.0.to_string(),
            rate.utterances.1.to_string(),
        ]);
    }
    table
}
