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

/// Normalise features to mean 0 and, if asked, variance 1, as Kaldi's apply-cmvn.
///
/// An utterance that fails is named and left out, the others are written, and the command fails at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
The statistics are what feats cmvn-stats or Kaldi wrote: by utterance, by speaker
with --utt2spk, or with --global one under the key `global`, or the file of one
matrix without a key that Kaldi's compute-cmvn-stats writes.

Examples:
  unbraid feats apply-cmvn --utt2spk data/x/utt2spk scp:data/x/cmvn.scp \\
    scp:data/x/feats.scp ark,scp:norm.ark,norm.scp
  unbraid feats apply-cmvn --global --norm-vars ark:global.ark \\
    scp:data/x/feats.scp ark:norm.ark
  unbraid feats apply-cmvn --global --norm-vars --reverse ark:global.ark \\
    ark:norm.ark ark:feats.ark
  unbraid feats apply-cmvn --global exp/cmvn.mat scp:data/x/feats.scp ark:norm.ark")]
pub struct ApplyCmvnArgs {
    /// The statistics, as scp:cmvn.scp; with --global also a file of one matrix
    #[arg(value_name = "CMVN")]
    stats: String,

    #[command(flatten)]
    features: FeatureArgs,

    /// Statistics are by speaker; this file tells the speaker of an utterance
    #[arg(long, value_name = "FILE")]
    utt2spk: Option<PathBuf>,

    /// The statistics under the key `global`, or a file's only ones, serve everything
    #[arg(long, conflicts_with = "utt2spk")]
    global: bool,

    /// Normalise the variance too
    #[arg(long)]
    norm_vars: bool,

    /// Undo it: normalised features to those that they were
    #[arg(long)]
    reverse: bool,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the statistics, and what [`super::feature_map::FeatureMap::run`] says.
pub fn run(args: ApplyCmvnArgs) -> anyhow::Result<()> {
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
