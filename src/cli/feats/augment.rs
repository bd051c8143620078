//! `unbraid feats augment`: features warped and masked.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::cli::progress::counter;
use crate::dataset::augment::FeatAugmentOptions;
use crate::error::check_within;
use crate::io::config::read_toml;
use crate::io::kaldi::{ReadOptions, TableReader, TableWriter, WriteOptions};
use crate::signal::FeatureType;
use crate::signal::feature_type::MOST_FILTERS;

/// Augment log-mel features: vocal tract length perturbation, and masks over time and frequency.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats augment --conf masks.toml scp:data/train/feats.scp \\
    ark,scp:masked.ark,masked.scp

The configuration is TOML. Operations without a table are not applied. The order
is that of this list; keys that are left out have these defaults:

  seed = 0
  [vtlp]                       # frequencies times a factor in this range
  min = 0.9
  max = 1.1
  [spec_augment]
  freq_masks = 2
  freq_width = 27
  time_masks = 2
  time_width = 100

The same seed gives the same features for the same keys in the same order.")]
pub(super) struct AugmentArgs {
    /// Features to read, as scp:feats.scp
    #[arg(value_name = "RSPECIFIER")]
    from: String,

    /// Archive to write, as ark,scp:masked.ark,masked.scp
    #[arg(value_name = "WSPECIFIER")]
    to: String,

    /// Configuration in TOML
    #[arg(long, value_name = "FILE")]
    conf: PathBuf,

    /// Run commands in specifiers and lists ('command |' and '| command')
    #[arg(long)]
    allow_pipes: bool,
}

/// Refuses features that are narrower than a mask, or too wide to be of mel filters.
fn check(options: &FeatAugmentOptions, bins: usize) -> crate::Result<()> {
    if options.vtlp.is_some() {
        check_within("vtlp: bins of the features", bins, 1..=MOST_FILTERS)?;
    }
    options.check_features(FeatureType::FilterBank, bins)
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the configuration, the specifiers, the archive or the place to write to.
pub(super) fn run(args: &AugmentArgs) -> anyhow::Result<()> {
    let options: FeatAugmentOptions = read_toml(&args.conf)?;
    options
        .check()
        .with_context(|| args.conf.display().to_string())?;
    let allow_pipes = args.allow_pipes;
    let reader = TableReader::<Array2<f32>>::open_with(&args.from, ReadOptions { allow_pipes })?;
    let write = WriteOptions {
        allow_pipes,
        ..WriteOptions::default()
    };
    let mut writer = TableWriter::create_with(&args.to, write)?;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let progress = counter("utterances");
    for entry in reader {
        let (key, mut feats) = entry?;
        check(&options, feats.ncols())
            .with_context(|| format!("{}: {key}", args.conf.display()))?;
        options.vary(&mut feats, &mut rng);
        writer.write(&key, &feats)?;
        progress.inc(1);
    }
    writer.finish()?;
    progress.finish_and_clear();
    Ok(())
}
