//! `unbraid units balance`: codes to units that every speaker uses alike.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::{Array2, Axis, concatenate};

use super::ThreadArgs;
use super::text::{TextArgs, UnitText};
use super::train::summary;
use crate::cli::progress::counter;
use crate::dataset::table::Table;
use crate::error::{Error, Result};
use crate::eval::units::{KmeansOptions, balanced_kmeans, for_each_codes};

/// Finds clusters that every speaker uses alike, and writes the units of every utterance.
#[derive(Debug, Args)]
#[command(after_help = "\
Words without labels: each recording of one word as one row (see unbraid stretch-feats), rows standardised by speaker:
  unbraid compute-cmvn --spk2utt data/x/spk2utt scp:rows.scp ark,scp:cmvn.ark,cmvn.scp
  unbraid apply-cmvn --norm-vars --utt2spk data/x/utt2spk scp:cmvn.scp scp:rows.scp ark,scp:words.ark,words.scp
  unbraid units balance scp:words.scp --utt2spk data/x/utt2spk --clusters 10 --out words.txt

As units train, but the frames of each speaker are spread over all clusters alike (optimal transport with entropy, as
Spin, Chang et al. 2023), so that a unit tells nothing of who speaks. For corpora in which all speakers say about the
same. Units are those of this table: what lies nearest to a centroid may be another one's for the sake of the balance.")]
pub struct BalanceArgs {
    /// The codes, matrices [frames, dims], as scp:FILE or ark:FILE; all are held in memory
    #[arg(value_name = "RSPEC")]
    codes: String,

    /// Who speaks: lines 'UTT SPEAKER'
    #[arg(long, value_name = "FILE")]
    utt2spk: PathBuf,

    /// Units to find
    #[arg(long, value_name = "K")]
    clusters: usize,

    #[command(flatten)]
    text: TextArgs,

    /// Write the centroids too, for units apply
    #[arg(long, value_name = "FILE")]
    model: Option<String>,

    /// Most steps
    #[arg(long, value_name = "N", default_value_t = KmeansOptions::default().steps)]
    steps: usize,

    /// Beginnings, of which the one that ends nearest to the frames is kept
    #[arg(long, value_name = "N", default_value_t = 10)]
    starts: usize,

    /// Draws the starts
    #[arg(long, default_value_t = KmeansOptions::default().seed)]
    seed: u64,

    #[command(flatten)]
    threads: ThreadArgs,
}

/// Runs the command.
///
/// # Errors
/// What the library says; an utterance that `--utt2spk` does not name.
pub fn run(args: &BalanceArgs) -> anyhow::Result<()> {
    let pool = args.threads.pool()?;
    let Codes {
        utterances,
        speakers,
        items,
    } = Codes::read(&args.codes, &args.utt2spk)?;
    let options = KmeansOptions {
        clusters: args.clusters,
        steps: args.steps,
        starts: args.starts,
        seed: args.seed,
    };
    let found = pool.install(|| balanced_kmeans(&items, &speakers, &options))?;
    let mut text = UnitText::create(&args.text)?;
    let mut units = found.units.iter().copied();
    for (id, frames) in &utterances {
        text.write(id, units.by_ref().take(*frames))?;
    }
    if let Some(model) = &args.model {
        found.codebook.write(model)?;
    }
    let frames = items.nrows();
    write!(
        io::stdout(),
        "{}\n{}",
        text.finish()?,
        summary(&args.codes, &found, (frames, frames))
    )?;
    Ok(())
}

/// A table in memory.
struct Codes {
    /// With their numbers of frames.
    utterances: Vec<(String, usize)>,
    /// Of each frame, by number in the order in which they come.
    speakers: Vec<usize>,
    /// `[frames, dims]`.
    items: Array2<f32>,
}

impl Codes {
    fn read(specifier: &str, utt2spk: &Path) -> Result<Self> {
        let table = Table::read(utt2spk)?;
        let (mut utterances, mut speakers) = (Vec::new(), Vec::new());
        let (mut names, mut parts) = (Vec::<String>::new(), Vec::new());
        let progress = counter("utterances");
        for_each_codes(specifier, None, |id, frames| {
            let name = table.get(id).ok_or_else(|| {
                let expected = "a line of every utterance that is clustered";
                Error::key(utt2spk, id, expected, "none")
            })?;
            let known = names.iter().position(|known| known == name);
            let speaker = known.unwrap_or_else(|| {
                names.push(name.to_string());
                names.len() - 1
            });
            speakers.extend(std::iter::repeat_n(speaker, frames.nrows()));
            utterances.push((id.to_string(), frames.nrows()));
            parts.push(frames);
            progress.inc(1);
            Ok(())
        })?;
        progress.finish_and_clear();
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        let items = concatenate(Axis(0), &views).expect("frames are of one length");
        Ok(Self {
            utterances,
            speakers,
            items,
        })
    }
}
