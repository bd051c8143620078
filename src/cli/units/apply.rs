//! `unbraid units apply`: codes to units, as text and by frame.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::ThreadArgs;
use crate::cli::progress::counter;
use crate::error::{Error, Result};
use crate::eval::units::{Codebook, for_each_codes};
use crate::io::atomic::AtomicFile;
use crate::io::kaldi::TableWriter;

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

    /// Where to, a line an utterance
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Tell a unit as often as it has frames
    #[arg(long)]
    keep_runs: bool,

    /// Write the unit of every frame too, integer vectors, as ark,scp:FILE,FILE
    #[arg(long, value_name = "WSPEC")]
    frames: Option<String>,

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
    let mut text = AtomicFile::create(&args.out)?;
    let table = args.frames.as_deref().map(TableWriter::create);
    let mut table: Option<TableWriter<Vec<i32>>> = table.transpose()?;
    let progress = counter("utterances");
    let mut told = Told::default();
    for_each_codes(&args.codes, Some(model.dims()), |id, frames| {
        let nearest = pool.install(|| model.nearest(frames.view()));
        // Numbers of clusters are far below the end of i32.
        let mut units: Vec<i32> = nearest.iter().map(|n| n.unit as i32).collect();
        if let Some(table) = &mut table {
            table.write(id, &units)?;
        }
        told.frames += units.len();
        if !args.keep_runs {
            units.dedup();
        }
        told.units += units.len();
        told.utterances += 1;
        progress.inc(1);
        write_line(&mut text, id, &units)
    })?;
    text.commit()?;
    table.map(TableWriter::finish).transpose()?;
    progress.finish_and_clear();
    let out = args.out.display();
    let Told {
        utterances,
        frames,
        units,
    } = told;
    writeln!(
        io::stdout(),
        "{out}: {utterances} utterances, {frames} frames, {units} units told"
    )?;
    Ok(())
}

/// What was written.
#[derive(Default)]
struct Told {
    utterances: usize,
    frames: usize,
    units: usize,
}

fn write_line(text: &mut AtomicFile, id: &str, units: &[i32]) -> Result<()> {
    let mut line = id.to_string();
    for unit in units {
        line += &format!(" {unit}");
    }
    line.push('\n');
    let written = text.write_all(line.as_bytes());
    written.map_err(|e| Error::io(text.path())(e))
}
