//! `unbraid data alignment`: time-aligned phones to one class per frame.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;

use crate::cli::arguments::TierArgs;
use crate::cli::failures::{Failures, left_out};
use crate::cli::progress::counter;
use crate::dataset::alignment::rate::Lengths;
use crate::dataset::alignment::{
    FrameTimes, PhonesByUtterance, SILENCE, TimedPhone, classes, is_phone, read_alignment,
    read_symbols,
};
use crate::error::{Error, Result};
use crate::io::kaldi::{ScpTable, TableWriter};

/// Turn time-aligned phones into an archive of one class per frame.
///
/// The class of a frame is the phone at its centre, or --outside where there is none. Utterances without phones are named
/// and left out. An utterance with a phone beyond its end is reported and left out too, and the exit code is 1. A frame
/// shift by which features and phones differ by more than 5 % in length is an error, and nothing is written.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data alignment --phones phones.txt phones.ctm data/test/feats.scp \\
    ark,scp:data/test/ali.ark,data/test/ali.scp
  unbraid data alignment --phones phones.txt aligned/ data/test/feats.scp \\
    ark,scp:data/test/ali.ark,data/test/ali.scp

Alignments are a CTM ('utterance channel start duration phone' per line, ';;'
for comments), a TextGrid or a folder of them (as of the Montreal Forced
Aligner; UTF-8 or UTF-16), or a file with the columns #file, onset, offset and
#phone. A TextGrid belongs to the utterance of its name, or of its folder's and
its name ('anna/1.TextGrid' to 'anna-1'). Empty intervals are no phones.")]
pub(super) struct AlignmentArgs {
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
    #[command(flatten)]
    tier: TierArgs,
    /// Time-aligned phones: CTM, TextGrid, folder of TextGrids, or .item file
    alignments: PathBuf,
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
pub(super) fn run(args: AlignmentArgs) -> anyhow::Result<()> {
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
    let phones = phones(&args, &symbols)?;
    let feats = ScpTable::<Array2<f32>>::open(&args.feats_scp)?;
    let names: HashMap<i32, &String> = symbols.iter().map(|(name, class)| (*class, name)).collect();
    let mut lengths = Lengths::default();
    let mut align = |utterance: &str, spoken: &[TimedPhone<i32>]| -> Result<Vec<i32>> {
        let (frames, _) = feats.read_shape(utterance)?;
        for phone in spoken {
            let name = names[&phone.phone];
            times.refuse_beyond(phone, name, frames, (&args.alignments, utterance))?;
        }
        lengths.add(frames, spoken);
        Ok(classes(spoken, frames, times, outside))
    };
    let mut writer = TableWriter::create(&args.target)?;
    let (progress, mut failures) = (counter("utterances"), Failures::default());
    let mut without = Vec::new();
    for utterance in feats.keys() {
        match phones.get(utterance) {
            None => without.push(utterance.clone()),
            Some(spoken) => match align(utterance, spoken) {
                Ok(found) => writer.write(utterance, &found)?,
                Err(error) => failures.add(utterance, &error, &progress),
            },
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let total = feats.keys().len();
    if without.len() == total {
        let expected = format!("phones of utterances of {}", args.feats_scp.display());
        return Err(Error::format(&args.alignments, expected, "none").into());
    }
    lengths.check(times, &format!("{}", args.alignments.display()))?;
    left_out(&args.alignments, &without);
    if failures.count() < total - without.len() {
        writer.finish()?;
    }
    failures.into_result(total, "utterances")
}

/// The phones of each utterance, by class.
fn phones(args: &AlignmentArgs, symbols: &HashMap<String, i32>) -> Result<PhonesByUtterance<i32>> {
    let named = read_alignment(&args.alignments, &args.tier.tier)?;
    let class = |utterance: &str, phone: &TimedPhone<String>| {
        let class = symbols.get(&phone.phone).copied();
        class.ok_or_else(|| {
            let expected = format!("a phone of {}", args.phones.display());
            let found = format!("'{}' at {:.3} s", phone.phone, phone.start);
            Error::key(&args.alignments, utterance, expected, found)
        })
    };
    let classed = named.into_iter().map(|(utterance, phones)| {
        let phones = phones.iter().map(|phone| {
            let class = class(&utterance, phone)?;
            Ok(TimedPhone {
                start: phone.start,
                duration: phone.duration,
                phone: class,
            })
        });
        let phones = phones.collect::<Result<_>>()?;
        Ok((utterance, phones))
    });
    classed.collect()
}
