//! `unbraid data trials`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::dataset::DataDir;
use crate::dataset::trials::{TrialNumber, write_trials};
use crate::io::message::output;

/// Write trials of speaker verification for the utterances of a data directory.
///
/// A line is 'UTTERANCE UTTERANCE target' for two utterances of one speaker, with 'nontarget' for two of different ones. As
/// many are drawn of one kind as of the other, each pair once.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data trials data/test
  unbraid data trials --number all data/test
  unbraid data trials --number 2000 --seed 7 --out trials data/test

'unbraid verify score' reads them.")]
pub(super) struct TrialsArgs {
    /// Data directory
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Maximum number of trials, half of them targets; 'all' for every pair
    #[arg(long, value_name = "N", default_value = "20000")]
    number: Number,

    /// Seed of the choice
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// File to write; DIR/trials by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// [`TrialNumber`] as an option's value.
#[derive(Debug, Clone, Copy)]
struct Number(TrialNumber);

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = || text.parse().ok().filter(|number| *number >= 2);
        match text {
            "all" => Ok(Self(TrialNumber::All)),
            _ => number()
                .map(|number| Self(TrialNumber::Balanced(number)))
                .ok_or_else(|| "expected 'all' or a number from 2".into()),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// As [`write_trials`].
pub(super) fn run(args: &TrialsArgs) -> anyhow::Result<()> {
    let data = DataDir::open(&args.folder)?;
    let beside = || args.folder.join("trials");
    let path = args.out.clone().unwrap_or_else(beside);
    let made = write_trials(&data, &path, args.number.0, args.seed)?;
    output(format_args!(
        "{}: {} target and {} nontarget trials\n",
        path.display(),
        made.targets,
        made.nontargets
    ))?;
    Ok(())
}
