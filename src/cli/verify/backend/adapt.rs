//! `unbraid verify backend adapt`: a backend moved to a domain without labels.

use std::path::PathBuf;

use clap::Args;

use crate::eval::backend::{AdaptOptions, Backend, Embeddings};
use crate::io::atomic;

/// Adapt a PLDA backend to another domain with unlabelled embeddings.
///
/// Like Kaldi's ivector-adapt-plda: PLDA takes the mean of the embeddings. In directions in which they vary more than PLDA
/// expects, its covariances within and between speakers are increased.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid verify backend adapt --backend exp/a/plda.json scp:exp/a/s_new.scp \\
    --recentre --out exp/a/plda_new.json

--recentre subtracts the mean of the new embeddings before LDA and length
normalisation, like ivector-subtract-global-mean in Kaldi's recipes. The two
--*-covar-scale options should sum to at most 1; smaller values adapt less.")]
pub(super) struct AdaptArgs {
    /// Embeddings of the new domain to read, as scp:FILE or ark:FILE
    #[arg(value_name = "RSPECIFIER")]
    embeddings: String,

    /// Backend of 'unbraid verify backend train'
    #[arg(long, value_name = "FILE")]
    backend: PathBuf,

    /// Backend to write, in JSON
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Subtract the mean of the new embeddings first
    #[arg(long)]
    recentre: bool,

    /// Share of the squared shift of the mean that counts as variance
    #[arg(long, value_name = "SHARE", default_value_t = AdaptOptions::default().mean_diff_scale)]
    mean_diff_scale: f64,

    /// Share of the excess variance that is added within speakers
    #[arg(long, value_name = "SHARE", default_value_t = AdaptOptions::default().within_covar_scale)]
    within_covar_scale: f64,

    /// Share of the excess variance that is added between speakers
    #[arg(long, value_name = "SHARE", default_value_t = AdaptOptions::default().between_covar_scale)]
    between_covar_scale: f64,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: &AdaptArgs) -> anyhow::Result<()> {
    atomic::try_place(&args.out)?;
    let mut backend = Backend::read(&args.backend)?;
    let embeddings = Embeddings::read(&args.embeddings)?;
    let options = AdaptOptions {
        mean_diff_scale: args.mean_diff_scale,
        within_covar_scale: args.within_covar_scale,
        between_covar_scale: args.between_covar_scale,
    };
    backend.adapt(&embeddings, options, args.recentre)?;
    Ok(backend.write(&args.out)?)
}
