//! `unbraid data subset`.

use std::path::PathBuf;

use clap::Args;

use crate::dataset::subset::{Pick, subset};
use crate::error::Error;
use crate::io::message::{message, output};

/// Make a data directory of some utterances of another one.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data subset --first 1000 data/train data/train_1k
  unbraid data subset --random 500 --seed 7 data/train data/dev
  unbraid data subset --spk-list enrolled data/test data/enrol")]
pub(super) struct SubsetArgs {
    /// Data directory to read
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// Data directory to make
    #[arg(value_name = "TARGET")]
    target: PathBuf,

    #[command(flatten)]
    pick: PickArgs,

    /// Seed of --random; 0 by default
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PickArgs {
    /// First N utterances
    #[arg(long, value_name = "N")]
    first: Option<usize>,

    /// First N utterances of each speaker
    #[arg(long, value_name = "N")]
    per_spk: Option<usize>,

    /// N random utterances
    #[arg(long, value_name = "N")]
    random: Option<usize>,

    /// Utterances in the first column of a file
    #[arg(long, value_name = "FILE")]
    utt_list: Option<PathBuf>,

    /// Speakers in the first column of a file
    #[arg(long, value_name = "FILE")]
    spk_list: Option<PathBuf>,
}

impl PickArgs {
    /// The one that was given: clap requires it, and refuses two.
    fn pick(self, seed: u64) -> Option<Pick> {
        let random = self.random.map(|count| Pick::Random { count, seed });
        self.first
            .map(Pick::First)
            .or(self.per_spk.map(Pick::PerSpeaker))
            .or(random)
            .or(self.utt_list.map(Pick::Utterances))
            .or(self.spk_list.map(Pick::Speakers))
    }
}

pub(super) fn run(args: SubsetArgs) -> anyhow::Result<()> {
    if args.seed.is_some() && args.pick.random.is_none() {
        // clap's `requires` gives way where --random may not stand.
        anyhow::bail!(Error::option(
            "--seed",
            "--random beside it",
            "another choice"
        ));
    }
    let Some(pick) = args.pick.pick(args.seed.unwrap_or(0)) else {
        anyhow::bail!(
            "expected --first, --per-spk, --random, --utt-list or --spk-list, found none"
        );
    };
    let taken = subset(&args.source, &args.target, &pick)?;
    let target = args.target.display();
    output(format_args!("{target}: {} utterances\n", taken.utterances))?;
    if taken.unknown > 0 {
        let source = args.source.display();
        message(format_args!(
            "unbraid: {} names of the list are not in {source}",
            taken.unknown
        ));
    }
    Ok(())
}
