//! `unbraid data fix`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failures::listed;
use crate::dataset::fix::fix;
use crate::io::message::output;

/// Sort a data directory, and keep the utterances that all its files have.
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
        let lines = format!("{} lines, now {}", change.before, change.after);
        let dropped = dropped(&change.dropped);
        output(format_args!("{}: {lines}{dropped}\n", path.display()))?;
    }
    if changes.is_empty() {
        output(format_args!("{}: nothing to fix\n", args.folder.display()))?;
    }
    Ok(())
}

/// Names what a file has lost.
fn dropped(keys: &[String]) -> String {
    match keys.is_empty() {
        true => String::new(),
        false => format!(", without {}", listed(keys)),
    }
}
