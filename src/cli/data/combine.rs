//! `unbraid data combine`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::recordings::PipeArgs;
use crate::dataset::combine::combine;
use crate::io::message::message;

/// Combine several data directories into one.
///
/// Speakers of the same name are one speaker. A file that only some sources have is left out and reported, except
/// segments: for sources without it, each utterance becomes a segment as long as its recording (by utt2dur, reco2dur or the
/// audio). Two different lines with the same key are an error.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data combine data/all data/train data/dev
  unbraid data combine --without cmvn.scp data/all data/train data/dev")]
pub(super) struct CombineArgs {
    /// Data directory to make
    #[arg(value_name = "TARGET")]
    target: PathBuf,

    /// Data directories to combine
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<PathBuf>,

    /// Leave out a file, such as cmvn.scp; may be repeated
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,

    #[command(flatten)]
    pipes: PipeArgs,
}

pub(super) fn run(args: &CombineArgs) -> anyhow::Result<()> {
    let pipes = args.pipes.pipes();
    let left_out = combine(&args.sources, &args.target, &args.without, pipes)?;
    for name in left_out.iter().filter(|name| !args.without.contains(name)) {
        message(format_args!(
            "unbraid: {name} is left out: not all sources have it"
        ));
    }
    Ok(())
}
