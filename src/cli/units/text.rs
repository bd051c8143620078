//! Units as text, and by frame.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Result};
use crate::eval::units::write_line;
use crate::io::atomic::AtomicFile;
use crate::io::kaldi::TableWriter;

/// Where units are written.
#[derive(Debug, Args)]
pub(super) struct TextArgs {
    /// File to write, one line per utterance; .jsonl for JSON with one unit per frame
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Write repeated units as often as they have frames
    #[arg(long)]
    keep_runs: bool,

    /// Also write integer vectors with one unit per frame, as ark,scp:FILE,FILE
    #[arg(long, value_name = "WSPECIFIER")]
    frames: Option<String>,
}

/// Units on their way to the files that [`TextArgs`] name; nothing is left half-written.
pub(super) struct UnitText<'a> {
    args: &'a TextArgs,
    text: AtomicFile,
    table: Option<TableWriter<Vec<i32>>>,
    utterances: usize,
    frames: usize,
    units: usize,
}

impl<'a> UnitText<'a> {
    /// Nothing so far.
    pub(super) fn create(args: &'a TextArgs) -> Result<Self> {
        Ok(Self {
            args,
            text: AtomicFile::create(&args.out)?,
            table: (args.frames.as_deref())
                .map(TableWriter::create)
                .transpose()?,
            utterances: 0,
            frames: 0,
            units: 0,
        })
    }

    /// The units of an utterance, one per frame.
    pub(super) fn write(&mut self, id: &str, units: impl Iterator<Item = usize>) -> Result<()> {
        // Numbers of clusters are far below the end of i32.
        let mut units: Vec<i32> = units.map(|unit| unit as i32).collect();
        if let Some(table) = &mut self.table {
            table.write(id, &units)?;
        }
        self.utterances += 1;
        self.frames += units.len();
        if !self.args.keep_runs && !self.is_json() {
            units.dedup();
        }
        self.units += units.len();
        let written = match self.is_json() {
            true => write_line(&mut self.text, id, &units),
            false => {
                let units: String = units.iter().map(|unit| format!(" {unit}")).collect();
                writeln!(self.text, "{id}{units}")
            }
        };
        written.map_err(|e| Error::io(self.text.path())(e))
    }

    /// JSON lines, which hold one unit per frame.
    fn is_json(&self) -> bool {
        self.args.out.extension().is_some_and(|end| end == "jsonl")
    }

    /// Puts the files where they belong; a line on what was written.
    pub(super) fn finish(self) -> Result<String> {
        self.text.commit()?;
        self.table.map(TableWriter::finish).transpose()?;
        let (out, utterances) = (self.args.out.display(), self.utterances);
        let (frames, units) = (self.frames, self.units);
        Ok(format!(
            "{out}: {utterances} utterances, {frames} frames, {units} units"
        ))
    }
}
