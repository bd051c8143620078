//! `unbraid data make`: a data directory of a folder of recordings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::progress::counter;
use crate::dataset::make::{
    Layout, Made, MakeOptions, Pattern, Source, TableOptions, Transcripts, make,
};
use crate::dataset::shares::Shares;
use crate::error::{Error, Result};
use crate::io::message::{message, output};

/// Make a data directory of a folder of recordings.
///
/// The speaker of a recording is the folder that it lies in, or a part of its path (--pattern, --layout), or a column of a
/// table (--table). Transcripts are NAME.txt or NAME.lab beside NAME.wav, or a column of the table. Ids become ASCII, are
/// unique and begin with the speaker. The header of each recording is read. What is changed or left out is listed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data make recordings data/my
  unbraid data make --split train=0.8,dev=0.1,test=0.1 recordings data/my
  unbraid data make --pattern '{speaker}/{session}/{utterance}.wav' talk data/my
  unbraid data make --pattern '{digit}_{speaker}_{take}.wav' fsdd data/digits
  unbraid data make --table list.csv --columns speaker=name,text=words \\
    clips data/my
  unbraid data make --layout librispeech LibriSpeech/dev-clean data/dev
  unbraid data make --layout lhotse cuts_train.jsonl.gz data/train
  unbraid data make --speakers unknown recordings data/my

A pattern is compared with the path below FOLDER: {NAME} is part of a file or
folder name (as short as possible), * any part of one, **/ any number of
folders. {speaker} is needed. The utterance is named by the other fields, or by
{utterance} alone if it begins with the speaker. Two folders of one name are two
speakers; with --pattern '**/{speaker}/{utterance}' they are one.

A table is CSV (commas or semicolons) or TSV, with names of columns in its first
line. Usual names are found: path, file or audio; speaker, speaker_id or
client_id; text, sentence or transcript. Files are relative to FOLDER.

spk2gender is written where the gender of all speakers is known: by the column
gender or sex of a table, LibriSpeech's SPEAKERS.TXT or VCTK's speaker-info.txt.

Layouts: librispeech (SPEAKER/CHAPTER/*.flac and *.trans.txt), vctk (0.80 and
0.92, first microphone), voxceleb (SPEAKER/VIDEO/*), commonvoice (clips/ and
validated.tsv, or another --table), shards (tar files of WeNet and WeSpeaker:
KEY.wav, KEY.txt and KEY.spk), lhotse (FOLDER is a file of cuts, .jsonl or
.jsonl.gz; each supervision is an utterance).

With --speakers unknown every utterance is a speaker of its own. --split makes
TARGET/train and so on, with no speaker in two of them, and trials in the part
'test' ('unbraid data trials' makes more). wav.scp has paths as FOLDER is given.
'unbraid data validate --deep' decodes all recordings.")]
pub(super) struct MakeArgs {
    /// Folder of recordings, or a file of cuts or shards
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Data directory to make; with --split, the folder of the parts
    #[arg(value_name = "TARGET")]
    target: PathBuf,

    /// Pattern of the paths, as {speaker}/{utterance}.wav
    #[arg(long, value_name = "PATTERN", conflicts_with_all = ["table", "layout"])]
    pattern: Option<String>,

    /// CSV or TSV file that lists recordings
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,

    /// Columns of the table, as audio=NAME,speaker=NAME,text=NAME
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Vec<String>,

    /// Layout of a corpus
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<LayoutName>,

    /// Whether speakers are known
    #[arg(long, value_name = "WHAT", default_value = "known")]
    speakers: Speakers,

    /// Parts with shares of the speakers, as train=0.8,dev=0.1,test=0.1
    #[arg(long, value_name = "SHARES")]
    split: Option<Shares>,

    /// Seed of --split and its trials
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Speakers {
    /// By folder, pattern, table or layout.
    Known,
    /// Every utterance is a speaker of its own.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
enum LayoutName {
    LibriSpeech,
    Vctk,
    VoxCeleb,
    CommonVoice,
    Shards,
    Lhotse,
}

impl From<LayoutName> for Layout {
    fn from(name: LayoutName) -> Self {
        match name {
            LayoutName::LibriSpeech => Self::LibriSpeech,
            LayoutName::Vctk => Self::Vctk,
            LayoutName::VoxCeleb => Self::VoxCeleb,
            LayoutName::CommonVoice => Self::CommonVoice,
            LayoutName::Shards => Self::Shards,
            LayoutName::Lhotse => Self::Lhotse,
        }
    }
}

impl MakeArgs {
    fn source(&self) -> Result<Source> {
        let source = match (&self.pattern, self.layout) {
            (Some(text), _) => {
                let pattern = Pattern::parse("--pattern", text)?;
                if self.speakers == Speakers::Known && !pattern.has("speaker") {
                    let expected = "{speaker} in it (or --speakers unknown)";
                    return Err(Error::option("--pattern", expected, format!("'{text}'")));
                }
                Source::Patterns(vec![pattern], Transcripts::Beside)
            }
            (None, Some(layout)) => Layout::from(layout).source(&self.folder),
            (None, None) => Source::Folders,
        };
        let source = match (&self.table, source) {
            (None, source) => source,
            (Some(path), Source::Folders | Source::Table(_)) => Source::Table(TableOptions {
                path: path.clone(),
                ..TableOptions::default()
            }),
            (Some(_), Source::Patterns(..) | Source::Shards | Source::Cuts) => {
                return Err(Error::option(
                    "--table",
                    "no layout but commonvoice beside it",
                    "another",
                ));
            }
        };
        self.with_columns(source)
    }

    fn with_columns(&self, mut source: Source) -> Result<Source> {
        for column in &self.columns {
            let Source::Table(table) = &mut source else {
                return Err(Error::option("--columns", "--table beside it", "none"));
            };
            let place = match column.split_once('=') {
                Some(("audio", name)) => (&mut table.audio, name),
                Some(("speaker", name)) => (&mut table.speaker, name),
                Some(("text", name)) => (&mut table.text, name),
                _ => {
                    let expected = "audio=NAME, speaker=NAME or text=NAME";
                    return Err(Error::option("--columns", expected, format!("'{column}'")));
                }
            };
            *place.0 = Some(place.1.to_string());
        }
        Ok(source)
    }
}

/// Runs the command.
///
/// # Errors
/// As [`make`].
pub(super) fn run(args: MakeArgs) -> anyhow::Result<()> {
    let source = args.source()?;
    let options = MakeOptions {
        source,
        speakers: args.speakers == Speakers::Known,
        split: args.split,
        seed: args.seed,
    };
    let progress = counter("recordings");
    let made = make(&args.folder, &args.target, &options, || progress.inc(1));
    progress.finish_and_clear();
    let made = made?;
    for part in &made.parts {
        let trials = match &part.trials {
            Some(Ok(trials)) => format!(
                ", {} target and {} nontarget trials",
                trials.targets, trials.nontargets
            ),
            _ => String::new(),
        };
        let (folder, utterances, speakers) =
            (part.folder.display(), part.utterances, part.speakers);
        output(format_args!(
            "{folder}: {utterances} utterances of {speakers} speakers{trials}\n"
        ))?;
    }
    report(&made);
    Ok(())
}

/// Tells on standard error what there is to know.
fn report(made: &Made) {
    let tell = |what: String| message(format_args!("unbraid: {what}"));
    let trials = made.parts.iter().filter_map(|part| part.trials.as_ref());
    for error in trials.filter_map(|trials| trials.as_ref().err()) {
        tell(format!("no trials: {}", error.reason()));
    }
    let rates = made.rates.iter();
    let mut rates: Vec<String> = rates
        .map(|(hz, count)| format!("{count} at {hz} Hz"))
        .collect();
    rates.extend(
        made.seconds
            .map(|seconds| format!("{:.1} minutes in all", seconds / 60.0)),
    );
    tell(format!("recordings: {}", rates.join(", ")));
    for (reason, files) in by_reason(&made.left_out) {
        tell(listed(&format!("recordings left out, {reason}"), &files));
    }
    for (reason, files) in by_reason(&made.unread_texts) {
        tell(listed(&format!("transcripts not read, {reason}"), &files));
    }
    let renamed = |pairs: &[(String, String)]| -> Vec<String> {
        let one = |(name, id): &(String, String)| format!("'{name}' -> {id}");
        pairs.iter().map(one).collect()
    };
    for (what, list) in [
        ("speakers with another id", &renamed(&made.renamed_speakers)),
        (
            "utterances with another id",
            &renamed(&made.renamed_utterances),
        ),
        (
            "utterances without a transcript, which is empty in text",
            &made.without_text,
        ),
        (
            "speakers without a gender, so that there is no spk2gender",
            &made.without_gender,
        ),
        (
            "recordings of several channels (commands have --channel)",
            &made.several_channels,
        ),
    ] {
        if !list.is_empty() {
            tell(listed(what, list));
        }
    }
    if made
        .renamed_speakers
        .iter()
        .any(|(name, _)| name.contains('/'))
    {
        tell("folders of one name are different speakers; --pattern '**/{speaker}/{utterance}' makes them one".into());
    }
    if made.others > 0 {
        tell(format!("audio files with other paths: {}", made.others));
    }
}

/// The files of each reason.
fn by_reason(list: &[(String, String)]) -> BTreeMap<&str, Vec<String>> {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (file, reason) in list {
        reasons.entry(reason).or_default().push(file.clone());
    }
    reasons
}

/// What, how many, and the first of them.
fn listed(what: &str, list: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = list[..list.len().min(SHOWN)].join(", ");
    match list.len().saturating_sub(SHOWN) {
        0 => format!("{what} ({}): {shown}", list.len()),
        more => format!("{what} ({}): {shown} and {more} more", list.len()),
    }
}
