//! `unbraid verify quality`: quality measures of utterances and models.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use ndarray::Array1;

use crate::dataset::Table;
use crate::eval::backend::{Embeddings, EnrolmentTable, QualityMeasures, is_table, write_table};
use crate::io::kaldi::TableWriter;
use crate::io::message::output;

/// Measure the quality of the two sides of trials, for their calibration.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("measures").args(["utt2dur", "norm", "cohort"]).required(true).multiple(true),
    after_long_help = "\
Examples:
  unbraid verify quality --utt2dur data/dev/utt2dur \\
    --cohort scp:exp/a/s_train.scp scp:exp/a/s_dev.scp exp/a/q_dev.tsv
  unbraid verify calibrate train --trials data/dev/trials \\
    --scores exp/a/dev.scores --quality exp/a/q_dev.tsv \\
    --out exp/a/calibration.json
  unbraid verify score --trials data/test/trials --quality exp/a/q.tsv \\
    --calibration exp/a/calibration.json scp:exp/a/s.scp

An utterance gets a vector of the measures that are asked for: the logarithm of
its duration in seconds (--utt2dur), the Euclidean norm of its embedding
(--norm; always 1 for embeddings of 'unbraid extract'), and its mean cosine to
the --top nearest embeddings of other speakers (--cohort). The calibration
weighs the smaller and the greater value of the two sides of a trial
(Thienpondt et al. 2021), and finds them by their names. Measures of your own
are a table too: 'calibrate --quality' takes any, with a key and numbers in each
line and names in the first, or an archive of vectors, which are matched by
their order."
)]
pub(super) struct QualityArgs {
    /// Duration of each utterance in seconds, as a Kaldi data directory has it: its logarithm
    #[arg(long, value_name = "FILE")]
    utt2dur: Option<PathBuf>,

    /// Norm of the embedding
    #[arg(long)]
    norm: bool,

    /// Embeddings of other speakers: the mean cosine to the nearest
    #[arg(long, value_name = "RSPECIFIER")]
    cohort: Option<String>,

    /// Number of nearest cohort embeddings that count
    #[arg(long, value_name = "N", requires = "cohort", default_value_t = 100)]
    top: usize,

    /// Measure models instead: enrolment utterances of each, as spk2utt
    #[arg(long, value_name = "FILE", visible_alias = "enroll")]
    enrol: Option<PathBuf>,

    /// Embeddings to read, as scp:FILE or ark:FILE
    #[arg(value_name = "RSPECIFIER")]
    embeddings: String,

    /// Table to write, with names of the measures, or vectors without, as ark:FILE
    #[arg(value_name = "FILE.tsv|WSPECIFIER")]
    output: String,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: QualityArgs) -> anyhow::Result<()> {
    let durations = args.utt2dur.as_deref().map(Table::read).transpose()?;
    let cohort = args.cohort.as_deref().map(Embeddings::read).transpose()?;
    let table = args
        .enrol
        .as_deref()
        .map(EnrolmentTable::read)
        .transpose()?;
    let measures = QualityMeasures {
        durations: durations.as_ref(),
        norm: args.norm,
        cohort: cohort.as_ref().map(|cohort| (cohort, args.top)),
    };
    let found = measures.of(&Embeddings::read(&args.embeddings)?, table.as_ref())?;
    match is_table(&args.output) {
        true => write_table(Path::new(&args.output), &measures.names(), &found)?,
        false => {
            let mut writer = TableWriter::<Array1<f32>>::create(&args.output)?;
            for (key, measures) in &found {
                writer.write(key, measures)?;
            }
            writer.finish()?;
        }
    }
    let (names, what) = (
        measures.names().join(", "),
        if table.is_some() {
            "models"
        } else {
            "utterances"
        },
    );
    output(format_args!("{names} of {} {what}\n", found.len()))?;
    Ok(())
}
