//! `unbraid units train`: codes to centroids.

use std::io::{self, Write};

use clap::Args;

use super::ThreadArgs;
use crate::cli::progress::counter;
use crate::error::{Error, Result};
use crate::eval::units::{Kmeans, KmeansOptions, Sample, for_each_codes, kmeans};

/// Finds clusters of frames: k-means.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unbraid units train scp:exp/a/phonetic_train.scp --clusters 100 --out exp/a/units.ark
  unbraid units train ark:mfcc.ark --clusters 100 --most 200000 --out mfcc_units.ark

The start is k-means++ (Arthur and Vassilvitskii 2007): far-apart frames, drawn by --seed. Then every frame goes to the
nearest centroid by Euclidean distance, and centroids to the mean of their frames, until no frame changes; a cluster
that lost its frames begins anew at the frame farthest from its centroid. Of few clusters, several --starts find better ones. Equal codes, options and seeds give equal
bytes. Dimensions count as they are: scale them first where some are much wider than others.

The file is a Kaldi archive of one matrix [clusters, dims] under the key 'centroids'
(unbraid copy-feats ark:units.ark ark,t:-). HuBERT (Hsu et al. 2021) took 100, then 500.")]
pub struct TrainArgs {
    /// The codes, matrices [frames, dims], as scp:FILE or ark:FILE
    #[arg(value_name = "RSPEC")]
    codes: String,

    /// Units to find
    #[arg(long, value_name = "K")]
    clusters: usize,

    /// Where to, a Kaldi archive
    #[arg(long, value_name = "FILE")]
    out: String,

    /// Most frames held in memory and learnt from; of more, as many are drawn
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    most: usize,

    /// Most steps
    #[arg(long, value_name = "N", default_value_t = KmeansOptions::default().steps)]
    steps: usize,

    /// Beginnings, of which the one that ends nearest to the frames is kept
    #[arg(long, value_name = "N", default_value_t = KmeansOptions::default().starts)]
    starts: usize,

    /// Draws frames and the starts
    #[arg(long, default_value_t = KmeansOptions::default().seed)]
    seed: u64,

    #[command(flatten)]
    threads: ThreadArgs,
}

/// Runs the command.
///
/// # Errors
/// What the library says; `--most` below `--clusters`.
pub fn run(args: &TrainArgs) -> anyhow::Result<()> {
    let pool = args.threads.pool()?;
    let sample = args.sample()?;
    let seen = sample.seen();
    let items = sample.into_matrix();
    let options = KmeansOptions {
        clusters: args.clusters,
        steps: args.steps,
        starts: args.starts,
        seed: args.seed,
    };
    let found = pool.install(|| kmeans(&items, &options))?;
    found.codebook.write(&args.out)?;
    write!(
        io::stdout(),
        "{}",
        summary(&args.out, &found, (items.nrows(), seen))
    )?;
    Ok(())
}

impl TrainArgs {
    fn sample(&self) -> Result<Sample> {
        if self.most < self.clusters {
            let expected = format!("at least the {} of --clusters", self.clusters);
            return Err(Error::option("--most", expected, self.most.to_string()));
        }
        let mut sample = Sample::new(self.most, self.seed);
        let progress = counter("utterances");
        for_each_codes(&self.codes, None, |_, frames| {
            sample.push(&frames);
            progress.inc(1);
            Ok(())
        })?;
        progress.finish_and_clear();
        Ok(sample)
    }
}

/// What was found, in a line.
pub(super) fn summary(out: &str, found: &Kmeans, (frames, seen): (usize, usize)) -> String {
    let of = match frames == seen {
        true => String::new(),
        false => format!(" of {seen}"),
    };
    let end = match found.settled {
        true => "settled",
        false => "not settled (--steps)",
    };
    format!(
        "{out}: {} units of {} values from {frames}{of} frames; {} steps, {end}; mean squared distance {:.4}\n",
        found.codebook.clusters(),
        found.codebook.dims(),
        found.steps,
        found.distortion,
    )
}
