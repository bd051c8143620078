//! `unbraid data split`.

use std::path::PathBuf;

use clap::Args;

use crate::dataset::split::{SplitBy, split};

/// Split a data directory into parts for parallel jobs.
///
/// Each part is a data directory: DIR/splitN/1 to DIR/splitN/N. All utterances of a speaker are in one part, and parts have
/// about the same number of utterances. With --per-utt the parts are DIR/splitNutt/1 and so on.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data split data/train 8
  unbraid data split --per-utt data/test 32")]
pub(super) struct SplitArgs {
    /// Data directory
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Number of parts
    #[arg(value_name = "N")]
    parts: usize,

    /// Allow a speaker in several parts, for more parts or more equal ones
    #[arg(long)]
    per_utt: bool,
}

pub(super) fn run(args: &SplitArgs) -> anyhow::Result<()> {
    let by = match args.per_utt {
        true => SplitBy::Utterance,
        false => SplitBy::Speaker,
    };
    split(&args.folder, args.parts, by)?;
    Ok(())
}
