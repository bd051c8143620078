//! `unbraid data combine`.

use std::path::PathBuf;

use clap::Args;

use crate::dataset::combine::combine;

/// Make one data directory of several.
///
/// A speaker that several sources name is one speaker. A file that only some sources have is left out, and
/// that is said; segments have to be in all or none. Two different lines for one key are an error.
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
}

pub fn run(args: &CombineArgs) -> anyhow::Result<()> {
    let left_out = combine(&args.sources, &args.target, &args.without)?;
    for name in left_out.iter().filter(|name| !args.without.contains(name)) {
        eprintln!("unbraid: {name} is left out: not all sources have it");
    }
    Ok(())
}
