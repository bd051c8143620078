//! `unbraid asr align`: forced alignment, time stamps for a known transcript.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::recognition::RecognitionArgs;
use crate::dataset::DataDir;
use crate::dataset::strings::{StringTable, least_outputs};
use crate::error::{Error, Result};
use crate::eval::asr::{OutputTimes, best_path};

/// Align the words, characters or phones of transcripts in time, as a CTM.
///
/// Forced alignment: the best path of a CTC recogniser through the known transcript gives the times. Transcripts come from
/// text, or from utt2phones for a recogniser of phones. An utterance that cannot be aligned is reported and left out; the
/// other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid asr train data/train --exp exp/asr --labels phones --subsampling 2 \\
    --cmvn utterance
  unbraid asr align scp:data/test/feats.scp data/test --exp exp/asr \\
    --out data/test/phones.ctm
  unbraid data alignment --phones phones.txt data/test/phones.ctm \\
    data/test/feats.scp ark,scp:data/test/ali.ark,data/test/ali.scp

Lines of the output: 'utterance 1 start duration label', in seconds.

CTC gives a label few frames and the rest to the blank. Each label is extended
to the middle between it and the next label, but by at most --max-extension-ms.
What remains belongs to no label.")]
pub(super) struct AlignArgs {
    #[command(flatten)]
    recognition: RecognitionArgs,

    /// Data directory with text, or utt2phones for phones
    data: PathBuf,

    /// Frame shift of the features in milliseconds
    #[arg(long, alias = "frame-shift", value_name = "MS", default_value_t = 10.0)]
    frame_shift_ms: f64,

    /// Maximum extension of a label into the blanks beside it, in milliseconds
    #[arg(long, alias = "reach", value_name = "MS", default_value_t = 80.0)]
    max_extension_ms: f64,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library; and when utterances failed.
pub(super) fn run(args: &AlignArgs) -> anyhow::Result<()> {
    if !(args.frame_shift_ms > 0.0
        && args.max_extension_ms >= 0.0
        && (args.frame_shift_ms + args.max_extension_ms).is_finite())
    {
        let (shift, reach) = (args.frame_shift_ms, args.max_extension_ms);
        bail!(
            "--frame-shift-ms, --max-extension-ms: expected milliseconds above 0, and from 0, found {shift} and {reach}"
        );
    }
    let loaded = args.recognition.load()?;
    let normalisation = loaded.info.normalisation.options();
    if normalisation.fixed_frames > 0 {
        let expected = "0 for forced alignment";
        return Err(Error::option(
            "normalisation.fixed_frames",
            expected,
            normalisation.fixed_frames.to_string(),
        )
        .into());
    }
    let strings = StringTable::open(&DataDir::open(&args.data)?, loaded.labels)?;
    let names = &loaded.info.inventory.labels;
    let times = OutputTimes {
        frame_shift: args.frame_shift_ms,
        subsampling: loaded.recogniser.subsampling() as f64,
        reach: args.max_extension_ms,
    };
    args.recognition.write_each(&loaded, |utterance, scores| {
        let said = strings.of(utterance)?;
        let labels = said.iter().map(|label| {
            let known = || format!("{} of the recogniser's training", loaded.labels.name());
            (names.binary_search(label))
                .map_err(|_| Error::key(strings.path(), utterance, known(), label.clone()))
        });
        let labels = labels.collect::<Result<Vec<_>>>()?;
        let outputs = best_path(&scores.outputs, &labels).ok_or_else(|| {
            let name = loaded.labels.name();
            let expected = format!("{name} for at most {} outputs", scores.outputs.len());
            let found = format!("{name} that take {}", least_outputs(&labels));
            Error::key(strings.path(), utterance, expected, found)
        })?;
        let mut lines = String::new();
        for sound in times.label_times(&outputs, scores.frames) {
            let (start, duration, label) = (sound.start, sound.duration, &said[sound.phone]);
            let _ = writeln!(lines, "{utterance} 1 {start:.4} {duration:.4} {label}");
        }
        Ok(lines)
    })
}
