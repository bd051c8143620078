//! `unbraid data alignment`: time-aligned phones to one class per frame.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;

use crate::cli::failures::Failures;
use crate::cli::progress::counter;
use crate::dataset::alignment::{FrameTimes, SILENCE, classes, is_phone, read_ctm, read_symbols};
use crate::error::{Error, Result};
use crate::io::kaldi::{ScpTable, TableWriter};

/// Turn a CTM of phones into an archive of one class per frame.
///
/// The class of a frame is the phone at its centre, or --outside where there is none. An utterance without phones, or with
/// a phone beyond its end, is reported and left out; the other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data alignment --phones phones.txt phones.ctm data/test/feats.scp \\
    ark,scp:data/test/ali.ark,data/test/ali.scp")]
pub struct AlignmentArgs {
    /// Symbol table, one 'phone class' per line
    #[arg(long, value_name = "FILE")]
    phones: PathBuf,
    /// Phone of frames outside all phones; 'sil' matches any case
    #[arg(long, value_name = "PHONE", default_value = SILENCE)]
    outside: String,
    /// Frame shift of the features in milliseconds
    #[arg(long, alias = "frame-shift", value_name = "MS", default_value_t = 10.0)]
    frame_shift_ms: f64,
    /// Centre of the first frame in milliseconds: half a shift for snip_edges = false, half a frame for true
    #[arg(long, alias = "first-frame", value_name = "MS", default_value_t = 5.0)]
    first_frame_ms: f64,
    /// CTM, one 'utterance channel start duration phone' per line
    ctm: PathBuf,
    /// List of the features whose frames get classes
    feats_scp: PathBuf,
    /// Archive to write, as ark,scp:FILE,FILE
    #[arg(value_name = "WSPECIFIER")]
    target: String,
}

/// The class of the phone of this name, or of its only other spelling by case where it is silence.
fn outside_class(symbols: &HashMap<String, i32>, outside: &str) -> Option<i32> {
    let spelt = || {
        let mut spellings = symbols.iter().filter(|(name, _)| is_phone(outside, name));
        let (_, class) = spellings.next()?;
        spellings.next().is_none().then_some(class)
    };
    symbols.get(outside).or_else(spelt).copied()
}

/// Runs the command.
///
/// # Errors
/// What is wrong with tables or the place to write to: then nothing is written. At the end the utterances that failed;
/// without one that succeeded nothing is written either.
pub fn run(args: AlignmentArgs) -> anyhow::Result<()> {
    let symbols = read_symbols(&args.phones)?;
    let outside = outside_class(&symbols, &args.outside)
        .ok_or_else(|| Error::key(&args.phones, &args.outside, "a class for --outside", "none"))?;
    if !(args.frame_shift_ms > 0.0 && args.first_frame_ms >= 0.0) {
        let found = format!("{} and {}", args.frame_shift_ms, args.first_frame_ms);
        return Err(Error::option(
            "--frame-shift-ms and --first-frame-ms",
            "milliseconds above 0",
            found,
        )
        .into());
    }
    let times = FrameTimes {
        shift_ms: args.frame_shift_ms,
        first_ms: args.first_frame_ms,
    };
    let phones = read_ctm(&args.ctm, &symbols)?;
    let feats = ScpTable::<Array2<f32>>::open(&args.feats_scp)?;
    let names: HashMap<i32, &String> = symbols.iter().map(|(name, class)| (*class, name)).collect();
    let align = |utterance: &str| -> Result<Vec<i32>> {
        let spoken = phones
            .get(utterance)
            .ok_or_else(|| Error::key(&args.ctm, utterance, "phones of this utterance", "none"))?;
        let (frames, _) = feats.read_shape(utterance)?;
        for phone in spoken {
            let name = names[&phone.phone];
            times.refuse_beyond(phone, name, frames, (&args.ctm, utterance))?;
        }
        Ok(classes(spoken, frames, times, outside))
    };
    let mut writer = TableWriter::create(&args.target)?;
    let (progress, mut failures) = (counter("utterances"), Failures::default());
    for utterance in feats.keys() {
        match align(utterance) {
            Ok(found) => writer.write(utterance, &found)?,
            Err(error) => failures.add(utterance, &error, &progress),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let total = feats.keys().len();
    if failures.count() < total || total == 0 {
        writer.finish()?;
    }
    failures.into_result(total, "utterances")
}
