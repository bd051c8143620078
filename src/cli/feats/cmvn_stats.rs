//! `unbraid feats cmvn-stats`: features to their statistics.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;

use crate::cli::failures::Failures;
use crate::cli::progress::counter;
use crate::dataset::Table;
use crate::error::Error;
use crate::io::kaldi::{ReadOptions, TableReader, TableWriter, WriteOptions};
use crate::signal::CmvnStats;

/// The key of statistics over everything.
pub(super) const GLOBAL: &str = "global";

/// Compute statistics for mean and variance normalisation, like Kaldi's compute-cmvn-stats.
///
/// There is one entry per utterance, per speaker with --spk2utt, or with --global one under the key 'global'.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats cmvn-stats --spk2utt data/x/spk2utt \\
    scp:data/x/feats.scp ark,scp:cmvn.ark,data/x/cmvn.scp
  unbraid feats cmvn-stats --global scp:data/x/feats.scp ark:global.ark

An entry is a matrix [2, dim + 1] in double precision: sums and the number of
frames; sums of squares and 0.")]
pub(super) struct CmvnStatsArgs {
    /// Features to read, as scp:feats.scp
    #[arg(value_name = "RSPECIFIER")]
    from: String,

    /// Archive to write, as ark,scp:cmvn.ark,cmvn.scp
    #[arg(value_name = "WSPECIFIER")]
    to: String,

    /// Compute one entry per speaker of this file; its utterances must have features
    #[arg(long, value_name = "FILE")]
    spk2utt: Option<PathBuf>,

    /// Compute one entry of all utterances
    #[arg(long, conflicts_with = "spk2utt")]
    global: bool,

    /// Run commands in specifiers and lists ('command |' and '| command')
    #[arg(long)]
    allow_pipes: bool,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with lists, features or the place to write to: then nothing is written. At the end, the
/// utterances that a speaker should have and that have no features: the others' sums are written.
pub(super) fn run(args: CmvnStatsArgs) -> anyhow::Result<()> {
    let allow_pipes = args.allow_pipes;
    let speakers = args.spk2utt.as_ref().map(Speakers::read).transpose()?;
    let mut sums = Sums::default();
    let progress = counter("utterances");
    for entry in TableReader::<Array2<f32>>::open_with(&args.from, ReadOptions { allow_pipes })? {
        let (utterance, feats) = entry?;
        let key = match &speakers {
            _ if args.global => Some(GLOBAL),
            Some(speakers) => speakers.of.get(&utterance).map(String::as_str),
            None => Some(utterance.as_str()),
        };
        if let Some(key) = key {
            sums.add(key, &utterance, &feats, &args.from)?;
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    if sums.order.is_empty() {
        let expected = "features of an utterance to sum up";
        return Err(Error::option(format!("'{}'", args.from), expected, "none").into());
    }
    let keys = speakers
        .as_ref()
        .map_or(&sums.order, |speakers| &speakers.keys);
    let mut writer = TableWriter::create_with(
        &args.to,
        WriteOptions {
            allow_pipes,
            ..WriteOptions::default()
        },
    )?;
    for key in keys {
        if let Some(stats) = sums.stats.get(key) {
            writer.write(key, stats.matrix())?;
        }
    }
    writer.finish()?;
    speakers.map_or(Ok(()), |speakers| speakers.missing(&sums.seen))
}

/// Statistics by key, in the order in which keys came first.
#[derive(Default)]
struct Sums {
    stats: HashMap<String, CmvnStats>,
    order: Vec<String>,
    /// The utterances that were added.
    seen: std::collections::HashSet<String>,
}

impl Sums {
    fn add(
        &mut self,
        key: &str,
        utterance: &str,
        feats: &Array2<f32>,
        from: &str,
    ) -> anyhow::Result<()> {
        if !self.stats.contains_key(key) {
            self.order.push(key.to_string());
        }
        let stats =
            (self.stats.entry(key.to_string())).or_insert_with(|| CmvnStats::new(feats.ncols()));
        let place = || format!("{from}: {utterance}");
        anyhow::Context::with_context(stats.accumulate(feats.view()), place)?;
        self.seen.insert(utterance.to_string());
        Ok(())
    }
}

/// `spk2utt`, both ways.
struct Speakers {
    path: PathBuf,
    keys: Vec<String>,
    of: HashMap<String, String>,
    utterances: Vec<String>,
}

impl Speakers {
    fn read(path: &PathBuf) -> Result<Self, Error> {
        let table = Table::read(path)?;
        let mut speakers = Self {
            path: path.clone(),
            keys: Vec::new(),
            of: HashMap::new(),
            utterances: Vec::new(),
        };
        for entry in table.entries() {
            speakers.keys.push(entry.key.clone());
            for utterance in entry.value.split_ascii_whitespace() {
                speakers.utterances.push(utterance.to_string());
                let before = (speakers.of).insert(utterance.to_string(), entry.key.clone());
                if let Some(other) = before {
                    let expected = format!("'{utterance}' once");
                    let found = format!("it again, after speaker '{other}'");
                    return Err(Error::line(path, entry.line, expected, found));
                }
            }
        }
        Ok(speakers)
    }

    /// An error that names the utterances without features.
    fn missing(&self, seen: &std::collections::HashSet<String>) -> anyhow::Result<()> {
        let mut failures = Failures::default();
        let progress = indicatif::ProgressBar::hidden();
        for utterance in self.utterances.iter().filter(|u| !seen.contains(*u)) {
            let error = Error::key(&self.path, utterance, "features of this utterance", "none");
            failures.add(utterance, &error, &progress);
        }
        failures.into_result(self.utterances.len(), "utterances")
    }
}
