//! `unbraid data combine`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::pipes::PipeLimit;
use crate::dataset::combine::combine;
use crate::io::message::message;

/// Make one data directory of several.
///
/// A speaker that several sources name is one speaker. A file that only some sources have is left out, and
/// that is said; but where some have segments, those of the others are made: each utterance is all of its
/// recording, as long as utt2dur, reco2dur or the audio says. Two different lines for one key are an error.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  unbraid data combine --without cmvn.scp data/all data/train data/dev")]
pub struct CombineArgs {
    /// The data directory to make
    #[arg(value_name = "TARGET")]
    target: PathBuf,

    /// The data directories to take from
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<PathBuf>,

    /// Leave a file out, as cmvn.scp; may be given again
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,

    /// Run the commands that wav.scp names as 'command |', where the length of their audio is wanted
    #[arg(long)]
    allow_pipes: bool,

    #[command(flatten)]
    limit: PipeLimit,
}

pub fn run(args: &CombineArgs) -> anyhow::Result<()> {
    let pipes = args.limit.pipes(args.allow_pipes);
    let left_out = combine(&args.sources, &args.target, &args.without, pipes)?;
    for name in left_out.iter().filter(|name| !args.without.contains(name)) {
        message(format_args!(
            "unbraid: {name} is left out: not all sources have it"
        ));
    }
    Ok(())
}
