//! `unbraid data fix`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failures::listed;
use crate::dataset::fix::fix;
use crate::io::message::output;

/// Sort a data directory, and keep the utterances that are in all its files.
///
/// Malformed lines, repeated keys, and utterances without speaker or recording are dropped. Byte order marks and carriage
/// returns are removed. spk2utt is made again. Changed files are kept in DIR/.backup.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data fix data/train && unbraid data validate data/train")]
pub(super) struct FixArgs {
    /// Data directory
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(args: &FixArgs) -> anyhow::Result<()> {
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
