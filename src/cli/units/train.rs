//! `unbraid units train`: codes to centroids.

use std::path::PathBuf;

use clap::Args;

use super::ThreadArgs;
use super::speakers::Speakers;
use crate::cli::progress::counter;
use crate::error::{Error, Result};
use crate::eval::units::{Kmeans, KmeansOptions, Sample, balanced_kmeans, for_each_codes, kmeans};
use crate::io::atomic;
use crate::io::kaldi::file_of;
use crate::io::message::output;

/// Cluster frames by k-means.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unbraid units train scp:exp/a/phonetic_train.scp --clusters 100 --out exp/a/units.ark
  unbraid units train ark:mfcc.ark --clusters 100 --max-frames 200000 --out mfcc_units.ark

Words without labels: each recording of one word as one row (see unbraid feats stretch), rows standardised by speaker:
  unbraid feats cmvn-stats --spk2utt data/x/spk2utt scp:rows.scp ark,scp:cmvn.ark,cmvn.scp
  unbraid feats apply-cmvn --norm-vars --utt2spk data/x/utt2spk scp:cmvn.scp scp:rows.scp ark,scp:words.ark,words.scp
  unbraid units train scp:words.scp --utt2spk data/x/utt2spk --clusters 10 --n-init 10 --out words.units
  unbraid units apply scp:words.scp --utt2spk data/x/utt2spk --model words.units --out words.txt

The start is k-means++ (Arthur and Vassilvitskii 2007): far-apart frames, drawn by --seed. Then every frame goes to the
nearest centroid by Euclidean distance, and centroids to the mean of their frames, until no frame changes; a cluster
that lost its frames begins anew at the frame farthest from its centroid. Of few clusters, several
--n-init find better ones. Equal codes, options and seeds give equal bytes. Dimensions count as they are: scale them
first where some are much wider than others.

With --utt2spk the frames of each speaker are spread over all clusters alike (optimal transport with entropy, as Spin,
Chang et al. 2023), so that a unit tells nothing of who speaks: for corpora in which all speakers say about the same.
Units are then those of units apply --utt2spk: what lies nearest to a centroid may be another one's for the sake of the
balance.

The file is a Kaldi archive of one matrix [clusters, dims] under the key 'centroids'
(unbraid feats copy ark:units.ark ark,t:-). HuBERT (Hsu et al. 2021) took 100, then 500.")]
pub struct TrainArgs {
    /// The codes, matrices [frames, dims], as scp:FILE or ark:FILE
    #[arg(value_name = "RSPEC")]
    codes: String,

    /// Find clusters that every speaker uses alike; who speaks: lines 'UTT SPEAKER'
    #[arg(long, value_name = "FILE")]
    utt2spk: Option<PathBuf>,

    /// Units to find
    #[arg(long, value_name = "K")]
    clusters: usize,

    /// Where to, a Kaldi archive
    #[arg(long, value_name = "FILE")]
    out: String,

    /// Most frames held in memory and learnt from; of more, as many are drawn
    #[arg(long, alias = "most", value_name = "N", default_value_t = 500_000)]
    max_frames: usize,

    /// Most steps
    #[arg(long, value_name = "N", default_value_t = KmeansOptions::default().steps)]
    steps: usize,

    /// Beginnings, of which the one that ends nearest to the frames is kept
    #[arg(long, alias = "starts", value_name = "N", default_value_t = KmeansOptions::default().n_init)]
    n_init: usize,

    /// Seed of the choice of frames, and of the starts
    #[arg(long, default_value_t = KmeansOptions::default().seed)]
    seed: u64,

    #[command(flatten)]
    threads: ThreadArgs,
}

/// Runs the command.
///
/// # Errors
/// What the library says; `--most` below `--clusters`; an utterance that `--utt2spk` does not name.
pub fn run(args: &TrainArgs) -> anyhow::Result<()> {
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
    let end = match found.info {
        true => "info",
        false => "not info (--steps)",
    };
    format!(
        "{out}: {} units of {} values from {frames}{of} frames; {} steps, {end}; mean squared distance {:.4}",
        found.codebook.clusters(),
        found.codebook.dims(),
        found.steps,
        found.distortion,
    )
}
