//! `unbraid units score`: units against aligned phones.

use std::io::{self, Write};

use clap::Args;

use super::ThreadArgs;
use crate::cli::progress::counter;
use crate::error::{Error, Result};
use crate::eval::units::{Codebook, JointCounts, UnitScores, for_each_codes, middle_labels};
use crate::io::kaldi::{ReadFlags, ReadFrom, ReadSpecifier, ScpTable};
use crate::report::table::Table;

/// Tells how much units know of the phone of each frame.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unbraid units score scp:exp/a/phonetic_test.scp --model exp/a/units.ark --ali scp:data/test/ali.scp
  unbraid units score scp:codes_20ms.scp --model units.ark --ali data/test/ali.scp --subsampling 2

As HuBERT's units are measured (Hsu et al. 2021), by frame. Phone purity: accuracy when each unit stands for the phone
that it meets most; chance is the most frequent phone's share. Cluster purity: the same with phones and units changed
about. Bits: mutual information of phone and unit. PNMI: those bits over the entropy of the phones; 1 when units tell
every phone. Phone purity, bits and PNMI grow with the number of units, and when frames are few for it: compare models of
equal --clusters, on the same frames, and beside them units of raw features (unbraid mfcc).

Alignments come from forced alignment, by unbraid ctm-to-ali. Where codes are slower, --subsampling N gives a code the
label of the middle one of its N frames; lengths may differ by less than N.")]
pub struct ScoreArgs {
    /// The codes, matrices [frames, dims], as scp:FILE or ark:FILE
    #[arg(value_name = "RSPEC")]
    codes: String,

    /// What units train wrote
    #[arg(long, value_name = "FILE")]
    model: String,

    /// The phone of every frame, integers from 0: a list, as scp:FILE
    #[arg(long, value_name = "scp:FILE")]
    ali: String,

    /// Frames of the alignment for one of the codes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    subsampling: u16,

    #[command(flatten)]
    threads: ThreadArgs,
}

/// Runs the command.
///
/// # Errors
/// What the library says; an utterance without alignment, or with one of another length.
pub fn run(args: &ScoreArgs) -> anyhow::Result<()> {
    let pool = args.threads.pool()?;
    let model = Codebook::read(&args.model)?;
    let alignments = open_list(&args.ali)?;
    let progress = counter("utterances");
    let mut counts = JointCounts::default();
    for_each_codes(&args.codes, Some(model.dims()), |id, frames| {
        let phones = args.phones(&alignments, id, frames.nrows())?;
        let nearest = pool.install(|| model.nearest(frames.view()));
        let units: Vec<usize> = nearest.iter().map(|nearest| nearest.unit).collect();
        counts.add(&phones, &units);
        progress.inc(1);
        Ok(())
    })?;
    progress.finish_and_clear();
    let scores = counts.scores();
    let scores = scores.ok_or_else(|| Error::format(&args.codes, "at least one frame", "none"))?;
    write!(io::stdout(), "{}", table(&scores, model.clusters()))?;
    Ok(())
}

/// A list by its name, or as `scp:FILE`: utterances are looked up in it.
fn open_list(ali: &str) -> Result<ScpTable<Vec<i32>>> {
    match ReadSpecifier::parse(ali) {
        Err(_) => ScpTable::open(ali),
        Ok(ReadSpecifier {
            from: ReadFrom::Scp(name),
            flags,
        }) if flags == ReadFlags::default() => ScpTable::open(name),
        Ok(_) => Err(Error::option("--ali", "a list, as scp:FILE", ali)),
    }
}

impl ScoreArgs {
    /// The phone of each of `frames` codes.
    fn phones(&self, list: &ScpTable<Vec<i32>>, id: &str, frames: usize) -> Result<Vec<i32>> {
        let wrong = |expected: String, found: String| Error::key(list.path(), id, expected, found);
        if !list.contains(id) {
            let expected = "an alignment of this utterance";
            return Err(wrong(expected.into(), "none".into()));
        }
        let labels = list.get(id)?;
        let every = usize::from(self.subsampling);
        let phones = middle_labels(&labels, frames, every).ok_or_else(|| {
            let expected = match every {
                1 => format!("{frames} frames, as the codes have (--subsampling)"),
                _ => {
                    format!("{every} times the {frames} frames of the codes, by less than {every}")
                }
            };
            wrong(expected, labels.len().to_string())
        })?;
        match phones.iter().find(|phone| **phone < 0) {
            Some(phone) => Err(wrong("phones from 0".into(), phone.to_string())),
            None => Ok(phones),
        }
    }
}

fn table(scores: &UnitScores, clusters: usize) -> Table {
    let mut table = Table::new(&[
        "frames",
        "phones",
        "units used",
        "phone purity",
        "chance",
        "cluster purity",
        "bits",
        "of",
        "PNMI",
    ]);
    let mut row = vec![
        scores.frames.to_string(),
        scores.phones.to_string(),
        format!("{} of {clusters}", scores.units),
    ];
    let numbers = [
        scores.phone_purity,
        scores.chance,
        scores.cluster_purity,
        scores.bits,
        scores.phone_entropy,
    ];
    row.extend(numbers.map(|number| format!("{number:.3}")));
    row.push(scores.pnmi.map_or("-".into(), |pnmi| format!("{pnmi:.3}")));
    table.row(row);
    table
}
