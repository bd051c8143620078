//! `unbraid units apply`: codes to units, as text and by frame.

use std::io::{self, Write};

use clap::Args;

use super::ThreadArgs;
use super::text::{TextArgs, UnitText};
use crate::cli::progress::counter;
use crate::eval::units::{Codebook, for_each_codes};

/// Writes the units of every utterance.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unbraid units apply scp:exp/a/phonetic_test.scp --model exp/a/units.ark --out exp/a/units.txt
  unbraid units apply scp:exp/a/phonetic_test.scp --model exp/a/units.ark --keep-runs \\
    --out exp/a/units.txt --frames ark,scp:exp/a/units_test.ark,exp/a/units_test.scp

A line is an utterance and its units from 0, in the order of the table: 'utt 12 4 77'. A unit that lasts for several
frames is told once, unless --keep-runs. --frames writes every frame's, in the form of an alignment (ali.scp), so that
they can stand for phones: as labels of a training, or to compare one set of units with another.")]
pub struct ApplyArgs {
    /// The codes, matrices [frames, dims], as scp:FILE or ark:FILE
    #[arg(value_name = "RSPEC")]
    codes: String,

    /// What units train wrote
    #[arg(long, value_name = "FILE")]
    model: String,

    #[command(flatten)]
    text: TextArgs,

    #[command(flatten)]
    threads: ThreadArgs,
}

/// Runs the command.
///
/// # Errors
/// What the library says; nothing is left half-written.
pub fn run(args: &ApplyArgs) -> anyhow::Result<()> {
    let pool = args.threads.pool()?;
    let model = Codebook::read(&args.model)?;
    let mut text = UnitText::create(&args.text)?;
    let progress = counter("utterances");
    for_each_codes(&args.codes, Some(model.dims()), |id, frames| {
        let nearest = pool.install(|| model.nearest(frames.view()));
        progress.inc(1);
        text.write(id, nearest.iter().map(|n| n.unit))
    })?;
    progress.finish_and_clear();
    writeln!(io::stdout(), "{}", text.finish()?)?;
    Ok(())
}
