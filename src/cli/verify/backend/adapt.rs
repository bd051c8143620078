//! `unbraid verify backend adapt`: a backend moved to a domain without labels.

use std::path::PathBuf;

use clap::Args;

use crate::eval::backend::{AdaptOptions, Backend, Embeddings};
use crate::io::atomic;

/// Adapt a backend with PLDA to another domain by its unlabelled embeddings.
///
/// As Kaldi's ivector-adapt-plda: PLDA takes their mean; in directions in which they vary more than it expects, it is
/// widened within and between speakers.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  unbraid verify backend adapt --backend exp/a/plda.json scp:exp/a/s_new.scp --recentre --out exp/a/plda_new.json

--recentre subtracts the mean of the new embeddings first of all, before LDA and lengths, as Kaldi's recipes do with
ivector-subtract-global-mean. The two --*-covar-scale should sum to 1; less is more careful.")]
pub struct AdaptArgs {
    /// Embeddings of the new domain, as scp:FILE or ark:FILE
    #[arg(value_name = "RSPEC")]
    embeddings: String,

    /// What unbraid verify backend train wrote
    #[arg(long, value_name = "FILE")]
    backend: PathBuf,

    /// Where to, a JSON file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Subtract the mean of the new embeddings before all else
    #[arg(long)]
    recentre: bool,

    /// How much of the square of the mean's step counts as variance
    #[arg(long, value_name = "SHARE", default_value_t = AdaptOptions::default().mean_diff_scale)]
    mean_diff_scale: f64,

    /// Share of the variance in excess that goes within speakers
    #[arg(long, value_name = "SHARE", default_value_t = AdaptOptions::default().within_covar_scale)]
    within_covar_scale: f64,

    /// Share of it that goes between speakers
    #[arg(long, value_name = "SHARE", default_value_t = AdaptOptions::default().between_covar_scale)]
    between_covar_scale: f64,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: &AdaptArgs) -> anyhow::Result<()> {
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
