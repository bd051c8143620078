//! `unbraid data split`.

use std::path::PathBuf;

use clap::Args;

use crate::dataset::split::{SplitBy, split};

/// Split a data directory into parts for jobs, each a data directory.
///
/// The parts are DIR/splitN/1 to DIR/splitN/N, with all of a speaker in one part and about as many utterances
/// in each; or DIR/splitNutt/1 and on, by utterance.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unbraid data split data/train 8
  unbraid data split --per-utt data/test 32")]
pub struct SplitArgs {
    /// The data directory
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// How many parts
    #[arg(value_name = "N")]
    parts: usize,

    /// Let parts share a speaker, for more parts or more equal ones
    #[arg(long)]
    per_utt: bool,
}

pub fn run(args: &SplitArgs) -> anyhow::Result<()> {
    let by = match args.per_utt {
        true => SplitBy::Utterance,
        false => SplitBy::Speaker,
    };
    split(&args.folder, args.parts, by)?;
    Ok(())
}
