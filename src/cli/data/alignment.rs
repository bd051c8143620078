//! `unbraid data alignment`: time-aligned phones to one class a frame.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;

use crate::cli::failures::Failures;
use crate::cli::progress::counter;
use crate::dataset::alignment::{FrameTimes, classes, read_ctm, read_symbols};
use crate::error::{Error, Result};
use crate::io::kaldi::{ScpTable, TableWriter};

/// Turn a CTM of phones into an archive of one class per frame.
///
/// A frame gets the phone that sounds at its centre, or --outside where none does. An utterance without phones, or with
/// one beyond its end, is named and left out, the others are written, and the command fails at the end.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid data alignment --phones phones.txt --outside sil phones.ctm data/test/feats.scp \\
    ark,scp:data/test/ali.ark,data/test/ali.scp")]
pub struct AlignmentArgs {
    /// Symbol table, 'phone class' a line
    #[arg(long, value_name = "FILE")]
    phones: PathBuf,
    /// Phone of frames outside all phones
    #[arg(long, value_name = "PHONE", default_value = "sil")]
    outside: String,
    /// Frame shift of the features in milliseconds
    #[arg(long, alias = "frame-shift", default_value_t = 10.0)]
    frame_shift_ms: f64,
    /// Centre of the first frame in milliseconds: half a shift with snip_edges = false, half a frame with true
    #[arg(long, alias = "first-frame", default_value_t = 5.0)]
    first_frame_ms: f64,
    /// 'utterance channel start duration phone' lines
    ctm: PathBuf,
    /// Features whose frames get classes
    feats_scp: PathBuf,
    /// Where to write, as ark,scp:FILE,FILE
    #[arg(value_name = "WSPEC")]
    target: String,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with tables or the place to write to: then nothing is written. At the end the utterances that failed;
/// without one that succeeded nothing is written either.
pub fn run(args: AlignmentArgs) -> anyhow::Result<()> {
    let symbols = read_symbols(&args.phones)?;
    let outside = *symbols
        .get(&args.outside)
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
