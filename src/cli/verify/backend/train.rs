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
/// In this order: the mean is subtracted; LDA keeps the directions in which speakers differ (Kaldi's
/// ivector-compute-lda); lengths are made one; PLDA learns the covariances between and within speakers (Kaldi's
/// ivector-compute-plda).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unbraid verify backend train scp:exp/a/s_train.scp --utt2spk data/train/utt2spk \\
    --lda-dim 128 --length-norm --out exp/a/plda.json
  unbraid verify backend train scp:exp/a/s_train.scp --utt2spk data/train/utt2spk \\
    --lda-dim 128 --scoring cosine --out exp/a/lda.json
  unbraid verify score --backend exp/a/plda.json --trials data/test/trials scp:exp/a/s.scp

Which: embeddings of a large network trained with a margin do best with cosines, as a rule; PLDA helps smaller
networks, averaged features, and enrolment from several utterances. Lengths are not Gaussian: --length-norm helps PLDA
(Garcia-Romero and Espy-Wilson 2011). Test speakers must not be among those to learn from.

Speakers with several utterances teach what differs within one. LDA and PLDA of D values need D more utterances than
speakers, which differ within a speaker in every direction; otherwise trust them less with --smoothing 0.1. LDA of N
speakers keeps N - 1 directions at most.")]
pub struct TrainArgs {
    /// Embeddings, as scp:FILE or ark:FILE
    #[arg(value_name = "RSPEC")]
    embeddings: String,

    /// The speaker of every embedding
    #[arg(long, value_name = "FILE")]
    utt2spk: PathBuf,

    /// Where to, a JSON file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Directions that LDA keeps, at most one less than there are speakers; without, there is no LDA
    #[arg(long, value_name = "N")]
    lda_dim: Option<usize>,

    /// What LDA makes the identity: 0 the covariance within speakers, 1 the total, or between
    #[arg(
        long,
        value_name = "SHARE",
        requires = "lda_dim",
        default_value_t = 0.0
    )]
    total_covariance_factor: f64,

    /// Least eigenvalue of that covariance, over the greatest
    #[arg(
        long,
        value_name = "SHARE",
        requires = "lda_dim",
        default_value_t = 1e-6
    )]
    covariance_floor: f64,

    /// Scale embeddings to one length before they are compared
    #[arg(long)]
    length_norm: bool,

    /// What compares
    #[arg(long, value_enum, default_value_t = ScoringKind::Plda)]
    scoring: ScoringKind,

    /// Iterations of expectation and maximisation (10)
    #[arg(long, value_name = "N")]
    plda_iterations: Option<usize>,

    /// Scale to the length that PLDA expects, when scoring (Kaldi's --normalize-length)
    #[arg(long)]
    plda_length_norm: bool,

    /// How far the covariance within speakers is moved to a multiple of the identity, 0 to 1
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
/// What the library says.
pub fn run(args: &TrainArgs) -> anyhow::Result<()> {
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
        text += &format!("log-likelihood an utterance {last:.4}");
        if let Some(before) = before.last() {
            text += &format!(", {:.1e} more by the last iteration", last - before);
        }
        text.push('\n');
    }
    text
}
