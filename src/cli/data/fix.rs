//! `unbraid data fix`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use crate::dataset::fix::fix;

/// Sort a data directory and cut it down to the utterances that all its files have.
///
/// Lines that make no sense, repeated keys, and utterances whose speaker or recording some file lacks are
/// dropped, byte order marks and carriage returns taken away; spk2utt is made anew. Files that change are
/// kept as they were in DIR/.backup.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  unbraid data fix data/train && unbraid data validate data/train")]
pub struct FixArgs {
    /// The data directory
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn run(args: &FixArgs) -> anyhow::Result<()> {
    let changes = fix(&args.folder)?;
    for change in &changes {
        let path = args.folder.join(&change.name);
        writeln!(
            io::stdout(),
            "{}: {} lines, now {}",
            path.display(),
            change.before,
            change.after
        )?;
    }
    if changes.is_empty() {
        writeln!(io::stdout(), "{}: nothing to fix", args.folder.display())?;
    }
    Ok(())
}
