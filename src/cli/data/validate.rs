//! `unbraid data validate`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::dataset::validate::{ValidateOptions, validate};
use crate::io::message::{message, output};

/// Check a data directory, and report each fault by file and line.
///
/// The rules are those of Kaldi's utils/validate_data_dir.sh. Files exist, without byte order mark and with LF line ends.
/// Every line has its columns. Keys are unique and in byte order (LC_ALL=C); utt2spk is also sorted by speaker. All files
/// have the same utterances, speakers and recordings. spk2utt is the inverse of utt2spk. Segments end after they start,
/// and within the length that the header of their recording states.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data validate --no-feats data/train
  unbraid data validate --deep data/train

The exit code is 1 if there is any fault. 'unbraid data fix' repairs what can be
repaired. --deep reads all archive entries and decodes all recordings to their
end, FLAC with its MD5; segments lie within them. Commands are not run.")]
pub(super) struct ValidateArgs {
    /// Data directory
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

    /// Also read listed archives and decode listed recordings
    #[arg(long)]
    deep: bool,
}

pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<()> {
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
