//! `unbraid units apply`: codes to units, as text and by frame.

use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::{Array2, Axis, concatenate};

use super::speakers::Speakers;
use super::text::{TextArgs, UnitText};
use crate::cli::arguments::ThreadArgs;
use crate::cli::progress::counter;
use crate::error::{Error, Result};
use crate::eval::units::{Codebook, for_each_codes, spread};
use crate::io::message::output;

/// Write the discrete units of every utterance.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid units apply scp:exp/a/phonetic_test.scp --model exp/a/units.ark \\
    --out exp/a/units.txt
  unbraid units apply scp:exp/a/phonetic_test.scp --model exp/a/units.ark \\
    --keep-runs --out exp/a/units.txt \\
    --frames ark,scp:exp/a/units_test.ark,exp/a/units_test.scp

A line is an utterance and its units from 0, in the order of the input:
'utt 12 4 77'. Repeated units are written once, unless --keep-runs is given.
--frames writes one unit per frame in the format of an alignment (ali.scp):
units can then be used as phone labels, or compared with other units.

With --utt2spk each speaker uses all units equally often, as found by
'units train --utt2spk'. The frames of one speaker are kept in memory, so the
utterances of a speaker must be consecutive.")]
pub(super) struct ApplyArgs {
    /// Codes to read, matrices [frames, dims], as scp:FILE or ark:FILE
    #[arg(value_name = "RSPECIFIER")]
    codes: String,

    /// Centroids of 'unbraid units train'
    #[arg(long, value_name = "FILE")]
    model: String,

    /// Balance the units of each speaker, by the speaker of each utterance
    #[arg(long, value_name = "FILE")]
    utt2spk: Option<PathBuf>,

    #[command(flatten)]
    text: TextArgs,

    #[command(flatten)]
    threads: ThreadArgs,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library; nothing is left half-written.
pub(super) fn run(args: &ApplyArgs) -> anyhow::Result<()> {
    let pool = args.threads.pool()?;
    let model = Codebook::read(&args.model)?;
    let mut text = UnitText::create(&args.text)?;
    let progress = counter("utterances");
    match &args.utt2spk {
        None => for_each_codes(&args.codes, Some(model.dims()), |id, frames| {
            let nearest = pool.install(|| model.nearest(frames.view()));
            progress.inc(1);
            text.write(id, nearest.iter().map(|n| n.unit))
        })?,
        Some(utt2spk) => for_each_speaker(&args.codes, utt2spk, model.dims(), |own| {
            let views: Vec<_> = own.iter().map(|(_, frames)| frames.view()).collect();
            let all = concatenate(Axis(0), &views).expect("frames are of one length");
            let mut units = pool.install(|| spread(&model, &all)).into_iter();
            for (id, frames) in own {
                progress.inc(1);
                text.write(id, units.by_ref().take(frames.nrows()))?;
            }
            Ok(())
        })?,
    }
    progress.finish_and_clear();
    output(format_args!("{}\n", text.finish()?))?;
    Ok(())
}

/// Goes through the codes of a table speaker by speaker, with the names of the utterances.
fn for_each_speaker(
    codes: &str,
    utt2spk: &Path,
    dims: usize,
    mut visit: impl FnMut(&[(String, Array2<f32>)]) -> Result<()>,
) -> Result<()> {
    let mut speakers = Speakers::read(utt2spk)?;
    let (mut current, mut own) = (0, Vec::new());
    for_each_codes(codes, Some(dims), |id, frames| {
        let speaker = speakers.of(id)?;
        if speaker < current {
            let expected = "the utterances of a speaker one after another";
            let found = "another speaker's between them";
            return Err(Error::key(codes, id, expected, found));
        }
        if speaker > current {
            visit(&own)?;
            own.clear();
            current = speaker;
        }
        own.push((id.to_string(), frames));
        Ok(())
    })?;
    visit(&own)
}
