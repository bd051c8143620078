//! `unbraid units train`: codes to centroids.

use std::path::PathBuf;

use clap::Args;

use super::speakers::Speakers;
use crate::cli::arguments::ThreadArgs;
use crate::cli::progress::counter;
use crate::error::{Error, Result};
use crate::eval::units::{Kmeans, KmeansOptions, Sample, balanced_kmeans, for_each_codes, kmeans};
use crate::io::atomic;
use crate::io::kaldi::file_of;
use crate::io::message::output;

/// Cluster frames by k-means.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid units train scp:exp/a/phonetic_train.scp --clusters 100 \\
    --out exp/a/units.ark
  unbraid units train ark:mfcc.ark --clusters 100 --max-frames 200000 \\
    --out mfcc_units.ark

Classes of words without labels: one row per recording of a single word
('unbraid feats stretch'), standardised per speaker:
  unbraid feats cmvn-stats --spk2utt data/x/spk2utt scp:rows.scp ark:cmvn.ark
  unbraid feats apply-cmvn --norm-vars --utt2spk data/x/utt2spk ark:cmvn.ark \\
    scp:rows.scp ark,scp:words.ark,words.scp
  unbraid units train scp:words.scp --utt2spk data/x/utt2spk --clusters 10 \\
    --n-init 10 --out words.units
  unbraid units apply scp:words.scp --utt2spk data/x/utt2spk \\
    --model words.units --out words.txt

The initial centroids are those of k-means++ (Arthur and Vassilvitskii 2007).
Then frames are assigned to the nearest centroid by Euclidean distance, and
centroids are set to the mean of their frames, until no assignment changes. An
empty cluster restarts at the frame farthest from its centroid. For few
clusters, several runs (--n-init) find better ones. The same codes, options and
seed give the same bytes. Dimensions are not scaled: standardise them first if
their ranges differ.

With --utt2spk each speaker uses all clusters equally often (optimal transport
with entropy, as in Spin, Chang et al. 2023), so that units contain little
information on the speaker. This suits corpora in which all speakers read about
the same. Apply such units with 'units apply --utt2spk'.

The file is a Kaldi archive with one matrix [clusters, dims] under the key
'centroids'. HuBERT (Hsu et al. 2021) used 100, then 500 clusters.")]
pub(super) struct TrainArgs {
    /// Codes to read, matrices [frames, dims], as scp:FILE or ark:FILE
    #[arg(value_name = "RSPECIFIER")]
    codes: String,

    /// Balance the clusters of each speaker, by the speaker of each utterance
    #[arg(long, value_name = "FILE")]
    utt2spk: Option<PathBuf>,

    /// Number of clusters
    #[arg(long, value_name = "K")]
    clusters: usize,

    /// Archive to write the centroids to
    #[arg(long, value_name = "FILE")]
    out: String,

    /// Maximum number of frames in memory; more are subsampled
    #[arg(long, alias = "most", value_name = "N", default_value_t = 500_000)]
    max_frames: usize,

    /// Maximum number of iterations
    #[arg(long, value_name = "N", default_value_t = KmeansOptions::default().steps)]
    steps: usize,

    /// Number of runs with different initial centroids; the best one is kept
    #[arg(long, alias = "starts", value_name = "N", default_value_t = KmeansOptions::default().n_init)]
    n_init: usize,

    /// Seed of the choice of frames and of the initial centroids
    #[arg(long, default_value_t = KmeansOptions::default().seed)]
    seed: u64,

    #[command(flatten)]
    threads: ThreadArgs,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library; `--max-frames` below `--clusters`; an utterance that `--utt2spk` does not name.
pub(super) fn run(args: &TrainArgs) -> anyhow::Result<()> {
    file_of(&args.out).map_or(Ok(()), atomic::try_place)?;
    let pool = args.threads.pool()?;
    let sample = args.sample()?;
    let seen = sample.seen();
    let (items, speakers) = sample.into_parts();
    let options = KmeansOptions {
        clusters: args.clusters,
        steps: args.steps,
        n_init: args.n_init,
        seed: args.seed,
    };
    let found = pool.install(|| match &args.utt2spk {
        None => kmeans(&items, &options),
        Some(_) => balanced_kmeans(&items, &speakers, &options),
    })?;
    found.codebook.write(&args.out)?;
    output(format_args!(
        "{}\n",
        summary(&args.out, &found, (items.nrows(), seen))
    ))?;
    Ok(())
}

impl TrainArgs {
    fn sample(&self) -> Result<Sample> {
        if self.max_frames < self.clusters {
            let expected = format!("at least the {} of --clusters", self.clusters);
            return Err(Error::option(
                "--max-frames",
                expected,
                self.max_frames.to_string(),
            ));
        }
        let mut sample = Sample::new(self.max_frames, self.seed);
        let mut speakers = self.utt2spk.as_deref().map(Speakers::read).transpose()?;
        let progress = counter("utterances");
        for_each_codes(&self.codes, None, |id, frames| {
            let speaker = speakers.as_mut().map_or(Ok(0), |all| all.of(id))?;
            sample.push(&frames, speaker);
            progress.inc(1);
            Ok(())
        })?;
        progress.finish_and_clear();
        Ok(sample)
    }
}

/// What was found, in a line.
fn summary(out: &str, found: &Kmeans, (frames, seen): (usize, usize)) -> String {
    let of = match frames == seen {
        true => String::new(),
        false => format!(" of {seen}"),
    };
    let end = match found.converged {
        true => "converged",
        false => "not converged (--steps)",
    };
    format!(
        "{out}: {} units of {} values from {frames}{of} frames; {} steps, {end}; mean squared distance {:.4}",
        found.codebook.clusters(),
        found.codebook.dims(),
        found.steps,
        found.distortion,
    )
}
