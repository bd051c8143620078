//! `unbraid units score`: units against phones by frame or by time, and against who speaks.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::speakers::Speakers;
use crate::cli::arguments::TierArgs;
use crate::cli::failures::left_out;
use crate::cli::result_files::ResultFiles;
use crate::dataset::alignment::{FrameTimes, TimedPhone, classes, read_alignment};
use crate::error::{Error, Result};
use crate::eval::units::discovery::{
    AssignmentKind, Discovery, DiscoveryOptions, Spoken, discovery,
};
use crate::eval::units::{JointCounts, UnitScores, middle_labels, read_units};
use crate::io::kaldi::{ReadSpecifier, ScpTable};
use crate::io::message::output;
use crate::report::table::{Table, interval};

/// Measure the mutual information of units with the phone of each frame, and with the speaker.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid units apply scp:exp/a/phonetic_test.scp --model exp/a/units.ark \\
    --out exp/a/units.txt --frames ark:units.ark
  unbraid units score ark:units.ark --ali scp:data/test/ali.scp \\
    --utt2spk data/test/utt2spk
  unbraid units score ark:hubert_units.txt --ali scp:data/test/ali.scp \\
    --subsampling 2

Measures are per frame, as for HuBERT's units (Hsu et al. 2021). Phone purity:
accuracy if each unit stands for its most frequent phone; chance is the share of
the most frequent phone. Cluster purity: the same with phones and units
exchanged. Bits: mutual information of phone and unit. PNMI: these bits over the
entropy of the phones; 1 if units determine the phone. Phone purity, bits and
PNMI grow with the number of units, and if frames are few for it. Compare models
with the same --clusters on the same frames, and units of raw features
('unbraid feats mfcc').

With --utt2spk also the mutual information of speaker and unit, in bits, which
should be low. It is of single frames; a sequence of units contains more.

There is one unit per frame, as 'units apply --frames' writes them: binary, or
as text, 'utt 12 12 4 77' per line. Alignments come from forced alignment, by
'unbraid data alignment'. For units at a lower rate, --subsampling N takes the
label of the middle one of N frames; lengths may differ by less than N.

With --alignments, the measures are those of discophon 0.2, under its names:
each unit is assigned to a phone (many-to-one: its most frequent; one-to-one:
a phone of its own, which needs at most as many units as phones). PER: edits per
phone. F1 and R-value: boundaries within 20 ms. Phones are read every 10 ms,
and up to a second behind the last one is silence.

  unbraid units apply scp:exp/a/phonetic_test.scp --model exp/a/units.ark \\
    --out units.jsonl
  unbraid units score units.jsonl --alignments phones.ctm --frame-shift-ms 20")]
pub(super) struct ScoreArgs {
    /// Units to read, one per frame, as JSON lines, scp:FILE or ark:FILE
    #[arg(value_name = "UNITS")]
    units: String,

    /// Phones to read, integers from 0 with one phone per frame, as scp:FILE
    #[arg(
        long,
        value_name = "RSPECIFIER",
        required_unless_present = "alignments"
    )]
    ali: Option<String>,

    /// Also measure the information on the speaker, by the speaker of each utterance
    #[arg(long, value_name = "FILE", requires = "ali")]
    utt2spk: Option<PathBuf>,

    /// Alignment frames per unit
    #[arg(long, value_name = "N", requires = "ali", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    subsampling: u16,

    /// Time-aligned phones: CTM, TextGrid, folder of TextGrids, or discophon's alignment
    #[arg(long, value_name = "FILE", conflicts_with = "ali")]
    alignments: Option<PathBuf>,

    #[command(flatten)]
    tier: TierArgs,

    /// Milliseconds per unit, a multiple of 10
    #[arg(long, value_name = "MS", conflicts_with = "ali", default_value_t = DiscoveryOptions::default().step_units_ms)]
    frame_shift_ms: u32,

    /// Phones of the language without silence; by default as many as occur
    #[arg(long, value_name = "N", conflicts_with = "ali")]
    phonemes: Option<usize>,

    /// Name of silence, which is between and around phones
    #[arg(
        long,
        value_name = "PHONE",
        conflicts_with = "ali",
        default_value = "SIL"
    )]
    outside: String,

    /// Write PREFIX.json and PREFIX.tsv
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library; an utterance without units, alignment or speaker, or with an alignment of another length.
pub(super) fn run(args: &ScoreArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let units = read_units(&args.units)?;
    match (&args.alignments, &args.ali) {
        (Some(alignments), _) => args.by_time(units, alignments),
        (None, ali) => args.by_frame(units, ali.as_deref().unwrap_or_default()),
    }
}

impl ScoreArgs {
    /// Units against one phone per frame.
    fn by_frame(&self, units: Vec<(String, Vec<i32>)>, ali: &str) -> anyhow::Result<()> {
        let alignments = open_list(ali)?;
        let mut speakers = self.utt2spk.as_deref().map(Speakers::read).transpose()?;
        let (mut of_phones, mut of_speakers) = (JointCounts::default(), JointCounts::default());
        for (id, units) in units {
            of_phones.add(&self.phones(&alignments, &id, units.len())?, &units);
            if let Some(speakers) = &mut speakers {
                // Numbers of speakers are far below the end of i32.
                let speaker = speakers.of(&id)? as i32;
                of_speakers.add(&vec![speaker; units.len()], &units);
            }
        }
        let scores = of_phones.scores();
        let scores =
            scores.ok_or_else(|| Error::format(&self.units, "at least one unit", "none"))?;
        self.give(&scores, &table(&scores, of_speakers.scores()))
    }

    /// Units against phones with times.
    fn by_time(&self, units: Vec<(String, Vec<i32>)>, alignments: &Path) -> anyhow::Result<()> {
        let options = DiscoveryOptions {
            step_units_ms: self.frame_shift_ms,
            phonemes: self.phonemes,
            ..DiscoveryOptions::default()
        };
        let times = FrameTimes {
            shift_ms: options.step_phones_ms.into(),
            first_ms: f64::from(options.step_phones_ms) / 2.0,
        };
        let phones = read_alignment(alignments, &self.tier.tier)?;
        let (mut spoken, mut without) = (Vec::new(), Vec::new());
        for (id, units) in units {
            let Some(phones) = phones.get(&id) else {
                without.push(id);
                continue;
            };
            let end_s = units.len() as f64 * f64::from(self.frame_shift_ms) / 1000.0;
            let phones = every_step(phones, end_s, times, &self.outside);
            spoken.push(Spoken { id, units, phones });
        }
        if spoken.is_empty() {
            let expected = format!("phones of utterances of {}", self.units);
            return Err(Error::format(alignments, expected, "none").into());
        }
        left_out(alignments, &without);
        let kinds = [AssignmentKind::ManyToOne, AssignmentKind::OneToOne];
        let found = kinds.map(|kind| discovery(&spoken, kind, options, &self.units));
        let found: Vec<Discovery> = found
            .into_iter()
            .filter_map(Result::transpose)
            .collect::<Result<_>>()?;
        self.give(&found, &discovery_table(&found, spoken.len()))
    }

    /// Prints a table, and writes it.
    fn give(&self, values: &impl Serialize, table: &Table) -> anyhow::Result<()> {
        if let Some(prefix) = &self.out {
            ResultFiles::new(prefix, values, table)?.write()?;
        }
        output(format_args!("{table}"))?;
        Ok(())
    }
}

/// The phone of each step, up to the last phone's end; or to the end of the units, where that is less than a second behind:
/// most alignments leave silence out.
fn every_step<'a>(
    phones: &'a [TimedPhone<String>],
    end_s: f64,
    times: FrameTimes,
    outside: &'a str,
) -> Vec<&'a str> {
    const MOST_SILENCE_S: f64 = 1.0;
    let ends = phones.iter().map(|phone| phone.start + phone.duration);
    let last = ends.fold(0.0, f64::max);
    let silence = end_s - last;
    let end = match (0.05..MOST_SILENCE_S).contains(&silence) {
        true => end_s,
        false => last,
    };
    let steps = (1000.0 * end / times.shift_ms).round() as usize;
    let named: Vec<TimedPhone<&str>> = (phones.iter())
        .map(|phone| TimedPhone {
            start: phone.start,
            duration: phone.duration,
            phone: phone.phone.as_str(),
        })
        .collect();
    classes(&named, steps, times, outside)
}

fn discovery_table(found: &[Discovery], files: usize) -> Table {
    let mut table = Table::new(&["assignment", "PNMI", "PER %", "F1", "R-value", "files"]);
    let number =
        |number: Option<f64>| number.map_or("-".to_string(), |number| format!("{number:.3}"));
    for Discovery {
        kind,
        pnmi,
        per,
        f1,
        r_val,
        ..
    } in found
    {
        let kind = match kind {
            AssignmentKind::ManyToOne => "many-to-one",
            AssignmentKind::OneToOne => "one-to-one",
        };
        table.row(vec![
            kind.into(),
            number(Some(*pnmi)),
            format!("{:.2}", 100.0 * per),
            number(*f1),
            number(*r_val),
            files.to_string(),
        ]);
    }
    table
}

/// A list by its name, or as `scp:FILE`, or a table with lookups: utterances are looked up in it.
fn open_list(ali: &str) -> Result<ScpTable<Vec<i32>>> {
    match ReadSpecifier::of_place(ali).has_lookups() {
        true => ScpTable::open(ali),
        false => Err(Error::option("--ali", "a list, as scp:FILE", ali)),
    }
}

impl ScoreArgs {
    /// The phone of each of `frames` units.
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
                1 => format!("{frames} frames, as many as units (--subsampling)"),
                _ => {
                    format!("{every} times the {frames} units, by less than {every}")
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

/// What was counted of phones and, by option, of speakers.
fn table(phones: &UnitScores, speakers: Option<UnitScores>) -> Table {
    let mut cells = vec![
        ("frames", phones.frames.to_string()),
        ("phones", phones.phones.to_string()),
        ("units", phones.units.to_string()),
    ];
    let number = |number: f64| format!("{number:.3}");
    cells.extend([
        ("phone purity", number(phones.phone_purity)),
        ("purity 95%", interval(phones.phone_purity_interval, 3)),
        ("chance", number(phones.chance)),
        ("cluster purity", number(phones.cluster_purity)),
        ("bits", number(phones.bits)),
        ("of", number(phones.phone_entropy)),
        ("PNMI", phones.pnmi.map_or("-".into(), number)),
        ("PNMI 95%", interval(phones.pnmi_interval, 3)),
    ]);
    if let Some(speakers) = speakers {
        cells.extend([
            ("speaker bits", number(speakers.bits)),
            ("of", number(speakers.phone_entropy)),
        ]);
    }
    let (names, row): (Vec<&str>, Vec<String>) = cells.into_iter().unzip();
    let mut table = Table::new(&names);
    table.row(row);
    table
}
