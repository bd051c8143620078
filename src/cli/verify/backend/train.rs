//! `unbraid verify backend train`: embeddings and their speakers to a backend.

use std::path::PathBuf;

use clap::Args;

use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::eval::backend::{
    Backend, BackendOptions, Embeddings, LdaOptions, PldaOptions, ScoringKind, Training,
};
use crate::io::atomic;
use crate::io::message::output;

/// Train a backend on embeddings of known speakers.
///
/// The steps are: subtract the mean; LDA, which keeps the directions that separate speakers (Kaldi's ivector-compute-lda);
/// length normalisation; PLDA, with covariances between and within speakers (Kaldi's ivector-compute-plda).
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid verify backend train scp:exp/a/s_train.scp \\
    --utt2spk data/train/utt2spk --lda-dim 128 --length-norm \\
    --out exp/a/plda.json
  unbraid verify backend train scp:exp/a/s_train.scp \\
    --utt2spk data/train/utt2spk --lda-dim 128 --scoring cosine \\
    --out exp/a/lda.json
  unbraid verify score --backend exp/a/plda.json --trials data/test/trials \\
    scp:exp/a/s.scp

Embeddings of a large network trained with a margin usually do best with cosine
scoring. PLDA helps smaller networks, averaged features, and enrolment with
several utterances. --length-norm helps PLDA (Garcia-Romero and Espy-Wilson
2011). Test speakers must not be among the training speakers.

Covariances within speakers come from speakers with several utterances. LDA and
PLDA of D values need at least D more utterances than speakers; with fewer, use
--smoothing 0.1. LDA of N speakers keeps at most N - 1 directions.")]
pub(super) struct TrainArgs {
    /// Embeddings to read, as scp:FILE or ark:FILE
    #[arg(value_name = "RSPECIFIER")]
    embeddings: String,

    /// Speaker of each embedding
    #[arg(long, value_name = "FILE")]
    utt2spk: PathBuf,

    /// Backend to write, in JSON
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Dimension after LDA, less than the number of speakers; no LDA by default
    #[arg(long, value_name = "N")]
    lda_dim: Option<usize>,

    /// Covariance that LDA makes the identity: 0 within speakers, 1 total, or between
    #[arg(
        long,
        value_name = "SHARE",
        requires = "lda_dim",
        default_value_t = 0.0
    )]
    total_covariance_factor: f64,

    /// Floor of the eigenvalues of that covariance, relative to the largest
    #[arg(
        long,
        value_name = "SHARE",
        requires = "lda_dim",
        default_value_t = 1e-6
    )]
    covariance_floor: f64,

    /// Scale embeddings to the same length
    #[arg(long)]
    length_norm: bool,

    /// Scoring of trials
    #[arg(long, value_enum, default_value_t = ScoringKind::Plda)]
    scoring: ScoringKind,

    /// Iterations of expectation maximisation; 10 by default
    #[arg(long, value_name = "N")]
    plda_iterations: Option<usize>,

    /// When scoring, scale to the length that PLDA expects (Kaldi's --normalize-length)
    #[arg(long)]
    plda_length_norm: bool,

    /// Interpolation of the covariance within speakers with a multiple of the identity, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    smoothing: f64,
}

impl TrainArgs {
    fn options(&self) -> Result<BackendOptions> {
        let defaults = PldaOptions::default();
        if self.scoring == ScoringKind::Cosine {
            let given = [
                ("--plda-iterations", self.plda_iterations.is_some()),
                ("--plda-length-norm", self.plda_length_norm),
                (
                    "--smoothing",
                    self.smoothing != 0.0 && self.lda_dim.is_none(),
                ),
            ];
            if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
                let expected = "--scoring plda beside it";
                return Err(Error::option(option, expected, "--scoring cosine"));
            }
        }
        Ok(BackendOptions {
            lda: self.lda_dim.map(|dims| LdaOptions {
                dims,
                total_covariance_factor: self.total_covariance_factor,
                covariance_floor: self.covariance_floor,
            }),
            length_norm: self.length_norm,
            scoring: self.scoring,
            plda: PldaOptions {
                iterations: self.plda_iterations.unwrap_or(defaults.iterations),
                length_norm: self.plda_length_norm,
            },
            smoothing: self.smoothing,
        })
    }
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: &TrainArgs) -> anyhow::Result<()> {
    atomic::try_place(&args.out)?;
    let options = args.options()?;
    let utt2spk = Table::read(&args.utt2spk)?;
    let embeddings = Embeddings::read(&args.embeddings)?;
    let (backend, training) = Backend::train(&embeddings, &utt2spk, &options)?;
    backend.write(&args.out)?;
    output(format_args!("{}", summary(&training)))?;
    Ok(())
}

fn summary(training: &Training) -> String {
    let mut text = format!(
        "{} utterances of {} speakers; {} values, of which {} are compared\n",
        training.utterances, training.speakers, training.dims, training.kept
    );
    if let Some((last, before)) = training.log_likelihoods.split_last() {
        text += &format!("log-likelihood per utterance {last:.4}");
        if let Some(before) = before.last() {
            text += &format!(", {:.1e} more by the last iteration", last - before);
        }
        text.push('\n');
    }
    text
}
