//! `unbraid data validate`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::dataset::validate::{ValidateOptions, validate};
use crate::io::message::{message, output};

/// Check a data directory, and name each fault by file and line.
///
/// The rules are those of Kaldi's utils/validate_data_dir.sh: the files are there, without a byte order
/// mark and with LF at the ends of lines; every line has its columns; keys stand once and in byte order
/// (LC_ALL=C), utt2spk in that of its speakers as well; all files have the same utterances, speakers and
/// recordings; spk2utt is the inverse of utt2spk; segments end after they start.
#[derive(Debug, Args)]
#[command(after_help = "\
Exits with 1 when anything is wrong. 'unbraid data fix' mends what can be mended. --deep reads the
headers of all objects in archives and of all recordings, no numbers or samples; commands in lists
do not run.

Examples:
  unbraid data validate --no-feats data/train
  unbraid data validate --deep data/train")]
pub struct ValidateArgs {
    /// The data directory
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Accept a directory without feats.scp
    #[arg(long)]
    no_feats: bool,

    /// Accept a directory without wav.scp
    #[arg(long)]
    no_wav: bool,

    /// Accept a directory without text
    #[arg(long)]
    no_text: bool,

    /// Look at what the lists name too: that archives and recordings are there and no archive is cut off
    #[arg(long)]
    deep: bool,
}

pub fn run(args: &ValidateArgs) -> anyhow::Result<()> {
    let options = ValidateOptions {
        no_feats: args.no_feats,
        no_wav: args.no_wav,
        no_text: args.no_text,
        deep: args.deep,
    };
    let problems = validate(&args.folder, options)?;
    for problem in &problems {
        message(format_args!("{problem}"));
    }
    let folder = args.folder.display();
    match problems.len() {
        0 => output(format_args!("{folder}: valid\n"))?,
        1 => bail!("{folder}: 1 problem"),
        count => bail!("{folder}: {count} problems"),
    }
    Ok(())
}
