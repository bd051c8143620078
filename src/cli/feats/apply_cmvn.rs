//! `unbraid feats apply-cmvn`: features to normalised features.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;

use super::cmvn_stats::GLOBAL;
use super::feature_map::FeatureArgs;
use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::io::kaldi::{ReadSpecifier, TableReader, read_bare};
use crate::signal::CmvnStats;

/// Normalise features to mean 0 and optionally variance 1, like Kaldi's apply-cmvn.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats apply-cmvn --utt2spk data/x/utt2spk scp:data/x/cmvn.scp \\
    scp:data/x/feats.scp ark,scp:norm.ark,norm.scp
  unbraid feats apply-cmvn --global --norm-vars ark:global.ark \\
    scp:data/x/feats.scp ark:norm.ark
  unbraid feats apply-cmvn --global --norm-vars --reverse ark:global.ark \\
    ark:norm.ark ark:feats.ark
  unbraid feats apply-cmvn --global exp/cmvn.mat scp:data/x/feats.scp \\
    ark:norm.ark

The statistics are those of 'feats cmvn-stats' or Kaldi: per utterance, per
speaker with --utt2spk, or with --global one entry under the key 'global'.
--global also takes the file of one matrix without a key that Kaldi's
compute-cmvn-stats writes.")]
pub(super) struct ApplyCmvnArgs {
    /// Statistics to read, as scp:cmvn.scp; with --global also a file of one matrix
    #[arg(value_name = "CMVN_RSPECIFIER")]
    stats: String,

    #[command(flatten)]
    features: FeatureArgs,

    /// Speaker of each utterance, for statistics per speaker
    #[arg(long, value_name = "FILE")]
    utt2spk: Option<PathBuf>,

    /// Use one entry of statistics for all utterances: 'global', or the only matrix of a file
    #[arg(long, conflicts_with = "utt2spk")]
    global: bool,

    /// Also normalise the variance
    #[arg(long)]
    norm_vars: bool,

    /// Undo the normalisation
    #[arg(long)]
    reverse: bool,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the statistics, and the errors of [`super::feature_map::FeatureMap::run`].
pub(super) fn run(args: ApplyCmvnArgs) -> anyhow::Result<()> {
    let normaliser = Normaliser::read(&args)?;
    (args.features).map(|utterance, mut feats| {
        normaliser.apply(utterance, &mut feats)?;
        Ok(feats)
    })
}

impl ApplyCmvnArgs {
    /// The matrices of statistics under their keys.
    fn matrices(&self) -> Result<Vec<(String, Array2<f64>)>> {
        let options = self.features.read_options();
        if self.global && ReadSpecifier::parse(&self.stats).is_err() {
            return Ok(vec![(GLOBAL.into(), read_bare(&self.stats, options)?)]);
        }
        TableReader::open_with(&self.stats, options)?.collect()
    }
}

/// Which statistics serve which utterance.
struct Normaliser {
    specifier: String,
    stats: HashMap<String, CmvnStats>,
    speaker_of: Option<Table>,
    global: bool,
    norm_vars: bool,
    reverse: bool,
}

impl Normaliser {
    fn read(args: &ApplyCmvnArgs) -> anyhow::Result<Self> {
        let mut stats = HashMap::new();
        for (key, matrix) in args.matrices()? {
            let read = CmvnStats::from_matrix(matrix);
            let place = || format!("{}: {key}", args.stats);
            stats.insert(key.clone(), anyhow::Context::with_context(read, place)?);
        }
        let normaliser = Self {
            specifier: args.stats.clone(),
            stats,
            speaker_of: args.utt2spk.as_ref().map(Table::read).transpose()?,
            global: args.global,
            norm_vars: args.norm_vars,
            reverse: args.reverse,
        };
        if args.global {
            normaliser.find(GLOBAL)?;
        }
        Ok(normaliser)
    }

    fn apply(&self, utterance: &str, feats: &mut Array2<f32>) -> Result<()> {
        let key = match &self.speaker_of {
            _ if self.global => GLOBAL,
            Some(table) => table.get(utterance).ok_or_else(|| {
                Error::key(table.path(), utterance, "a line with its speaker", "none")
            })?,
            None => utterance,
        };
        let stats = self.find(key)?;
        match self.reverse {
            false => stats.apply(feats, self.norm_vars),
            true => stats.revert(feats, self.norm_vars),
        }
    }

    fn find(&self, key: &str) -> Result<&CmvnStats> {
        (self.stats.get(key))
            .ok_or_else(|| Error::key(&self.specifier, key, "statistics for this key", "none"))
    }
}
