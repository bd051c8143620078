//! `unbraid units score`: units against aligned phones, and against who speaks.

use std::path::{Path, PathBuf};

use clap::Args;

use super::speakers::Speakers;
use crate::cli::progress::counter;
use crate::error::{Error, Result};
use crate::eval::units::{JointCounts, UnitScores, middle_labels};
use crate::io::kaldi::{ReadFlags, ReadFrom, ReadSpecifier, ScpTable, TableReader};
use crate::io::message::output;
use crate::report::table::Table;

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
label of the middle one of N frames; lengths may differ by less than N.")]
pub struct ScoreArgs {
    /// Units to read, integer vectors with one unit per frame, as scp:FILE or ark:FILE
    #[arg(value_name = "RSPECIFIER")]
    units: String,

    /// Phones to read, integers from 0 with one phone per frame, as scp:FILE
    #[arg(long, value_name = "RSPECIFIER")]
    ali: String,

    /// Also measure the information on the speaker, by the speaker of each utterance
    #[arg(long, value_name = "FILE")]
    utt2spk: Option<PathBuf>,

    /// Alignment frames per unit
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    subsampling: u16,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library; an utterance without units, alignment or speaker, or with an alignment of another length.
pub fn run(args: &ScoreArgs) -> anyhow::Result<()> {
    let alignments = open_list(&args.ali)?;
    let mut speakers = args.utt2spk.as_deref().map(Speakers::read).transpose()?;
    let (mut of_phones, mut of_speakers) = (JointCounts::default(), JointCounts::default());
    let progress = counter("utterances");
    for entry in TableReader::<Vec<i32>>::open(&args.units)? {
        let (id, units) = entry?;
        check(&args.units, &id, &units)?;
        of_phones.add(&args.phones(&alignments, &id, units.len())?, &units);
        if let Some(speakers) = &mut speakers {
            // Numbers of speakers are far below the end of i32.
            let speaker = speakers.of(&id)? as i32;
            of_speakers.add(&vec![speaker; units.len()], &units);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let scores = of_phones.scores();
    let scores = scores.ok_or_else(|| Error::format(&args.units, "at least one unit", "none"))?;
    output(format_args!("{}", table(&scores, of_speakers.scores())))?;
    Ok(())
}

fn check(units: &str, id: &str, own: &[i32]) -> Result<()> {
    let wrong = |expected, found: String| Err(Error::key(Path::new(units), id, expected, found));
    if own.is_empty() {
        return wrong("at least one unit", "none".into());
    }
    match own.iter().find(|unit| **unit < 0) {
        Some(unit) => wrong("units from 0", unit.to_string()),
        None => Ok(()),
    }
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
        ("chance", number(phones.chance)),
        ("cluster purity", number(phones.cluster_purity)),
        ("bits", number(phones.bits)),
        ("of", number(phones.phone_entropy)),
        ("PNMI", phones.pnmi.map_or("-".into(), number)),
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
