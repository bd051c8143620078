//! `unbraid eval abx`: how well a representation separates phones or words, without any training.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::arguments::{ThreadArgs, TierArgs};
use crate::cli::failures::left_out;
use crate::cli::named_files::NamedFiles;
use crate::cli::progress;
use crate::cli::result_files::ResultFiles;
use crate::dataset::alignment::SILENCE;
use crate::eval::abx::items::{PhoneOptions, Representation, Units, read_items};
use crate::eval::abx::{AbxOptions, AbxResult, AbxScore, Item, abx};
use crate::io::message::output;
use crate::report::table::{Table, interval};

/// Measure how well codes separate phones or words: ABX errors within and across speakers.
///
/// Items a and x have the same label, b has another one. It is an error if x is nearer to b than to a, and half an error at
/// a tie. Chance is 50 %. Within: a, b and x have one speaker. Across: x has another speaker. The distance is the angle
/// between frames, averaged along the path of dynamic time warping. Nothing is trained.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  words, as whole utterances with the same line in text:
    unbraid eval abx data/test --representation log-mel=data/test/feats.scp \\
      --representation phonetic=exp/a/phonetic_test.scp
  phones with the same neighbours, from codes every 40 ms:
    unbraid eval abx data/test --alignments phones.ctm --frame-shift-ms 40 \\
      --representation phonetic=exp/a/phonetic_test.scp
  the items of libri-light or ZeroSpeech, of features and of units:
    unbraid eval abx --item dev-clean.item --frame-shift-ms 20 \\
      --representation hubert=hubert.scp --units kmeans=units.jsonl
  speakers, which phonetic codes should not separate (near 50 %):
    unbraid eval abx data/test --discriminate speaker \\
      --representation phonetic=exp/a/phonetic_test.scp

Intervals are 95 % bootstrap intervals over the speakers of a and b (with
--discriminate speaker, over words or phones).

Errors are averaged over contexts (and speakers of x), then speakers of a, then
ordered pairs of labels. With --discriminate speaker, labels are speakers;
within: one word, across: x is another word.

The frames of a phone are those whose centres lie in it: from
ceil(on/shift - 1/2) to floor(off/shift - 1/2), inclusive. libri-light drops the
last frame, so its errors differ; fastabx has an option for both. Phones without
a frame are left out and counted. Utterances without phones are left out and
listed.

Alignments are a CTM, TextGrids or an .item file, as for 'unbraid data
alignment'. An item of --item has its own context and speaker, and --skip does
not apply.

Units are one per frame, as 'unbraid units apply --frames' or a .jsonl file of
it has them. Their distance is 0 or 1 (fastabx: identical), which gives the
errors of one-hot vectors.

A group is all items with the same label, context and speaker. --max-items and
--max-speakers limit the work; what they leave out is reported.")]
pub(super) struct AbxArgs {
    /// Data directory with utt2spk, and text for words
    #[arg(required_unless_present = "item")]
    data: Option<PathBuf>,
    /// Representation: name and feature list (matrices, or vectors as one frame) or npy:DIR; may be repeated
    #[arg(long = "representation", alias = "strand", value_name = "NAME=SCP", required_unless_present = "units", value_parser = NamedFiles::parse_one)]
    representations: Vec<(String, PathBuf)>,
    /// Discrete units: name and JSON lines, scp:FILE or ark:FILE; may be repeated
    #[arg(long, value_name = "NAME=FILE", value_parser = NamedFiles::parse_one)]
    units: Vec<(String, PathBuf)>,
    /// Take time-aligned phones as items
    #[arg(long, alias = "ctm", value_name = "FILE", group = "phones")]
    alignments: Option<PathBuf>,
    /// Take the items of an .item file, with its contexts and speakers
    #[arg(long, value_name = "FILE", group = "phones")]
    item: Option<PathBuf>,
    #[command(flatten)]
    tier: TierArgs,
    /// Compare phones with any neighbours
    #[arg(long, requires = "phones")]
    without_context: bool,
    /// Phones that are not items but may be neighbours; 'sil' matches any case
    #[arg(long, value_name = "PHONE", requires = "alignments", default_value = SILENCE)]
    skip: Vec<String>,
    /// Frame shift of the representations in milliseconds
    #[arg(long, value_name = "MS", requires = "phones", default_value_t = PhoneOptions::default().frame_shift_ms)]
    frame_shift_ms: f64,
    /// Centre of the first frame in milliseconds; half a shift by default
    #[arg(long, value_name = "MS", requires = "phones")]
    first_frame_ms: Option<f64>,
    /// Labels to separate
    #[arg(long, alias = "on", value_name = "WHAT", default_value = "text")]
    discriminate: On,
    /// Maximum number of items per group; 0 for all
    #[arg(long, alias = "most-items", value_name = "N", default_value_t = AbxOptions::default().max_items)]
    max_items: usize,
    /// Maximum number of other speakers of x per group of a; 0 for all
    #[arg(long, alias = "most-voices", value_name = "N", default_value_t = AbxOptions::default().max_speakers)]
    max_speakers: usize,
    /// Seed of the subsampling under --max-items and --max-speakers
    #[arg(long, default_value_t = AbxOptions::default().seed)]
    seed: u64,
    #[command(flatten)]
    threads: ThreadArgs,
    /// Write PREFIX.json (with every pair of labels) and PREFIX.tsv
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

/// What the labels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum On {
    /// Phones or words, within and across speakers.
    Text,
    /// Speakers, within and across phones or words.
    Speaker,
}

/// A representation's result and how it came about.
#[derive(Debug, Serialize)]
struct Report {
    representation: String,
    on: On,
    options: AbxOptions,
    phones: Option<PhoneOptions>,
    too_short: usize,
    /// Utterances that the alignments lack
    without_phones: Vec<String>,
    #[serde(flatten)]
    result: AbxResult,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: AbxArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let threads = args.threads.pool()?;
    let phones = args.alignments.as_ref().or(args.item.as_ref());
    let phones = phones.map(|path| PhoneOptions {
        alignments: path.clone(),
        tier: args.tier.tier.clone(),
        frame_shift_ms: args.frame_shift_ms,
        first_frame_ms: args.first_frame_ms,
        in_context: !args.without_context,
        skip: args.skip.clone(),
    });
    let feats = args.representations.iter();
    let feats = feats.map(|(name, path)| (name, Representation::Feats(path.clone())));
    let units = args.units.iter();
    let units = units.map(|(name, path)| (name, Representation::Units(path.clone())));
    let reports = feats
        .chain(units)
        .map(|(name, representation)| {
            threads.install(|| one_report(name, &representation, &args, phones.as_ref()))
        })
        .collect::<crate::Result<Vec<Report>>>()?;
    let table = table(&reports);
    if let Some(prefix) = &args.out {
        ResultFiles::new(prefix, &reports, &table)?.write()?;
    }
    output(format_args!("{table}"))?;
    // The alignments are the same for all.
    if let (Some(alignments), Some(report)) = (&args.alignments, reports.first()) {
        left_out(alignments, &report.without_phones);
    }
    reports.iter().try_for_each(print_cuts)
}

fn one_report(
    name: &str,
    representation: &Representation,
    args: &AbxArgs,
    phones: Option<&PhoneOptions>,
) -> crate::Result<Report> {
    // clap requires it where it is read.
    let data = args.data.as_deref().unwrap_or(Path::new("."));
    let units = match phones {
        None => Units::Utterances(data),
        Some(options) if args.item.is_some() => Units::Listed(options),
        Some(options) => Units::Phones(data, options),
    };
    let read = read_items(representation, units)?;
    let mut items = read.items;
    if args.discriminate == On::Speaker {
        for Item { label, speaker, .. } in &mut items {
            std::mem::swap(label, speaker);
        }
    }
    let options = AbxOptions {
        max_items: args.max_items,
        max_speakers: args.max_speakers,
        seed: args.seed,
        distance: representation.distance(),
    };
    let bar = progress::bar(0, "groups");
    let result = abx(&items, options, representation.path(), |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    Ok(Report {
        representation: name.to_string(),
        on: args.discriminate,
        options,
        phones: phones.cloned(),
        too_short: read.too_short,
        without_phones: read.without_phones,
        result,
    })
}

fn table(reports: &[Report]) -> Table {
    let percent = |score: &AbxScore| format!("{:.2}", 100.0 * score.error);
    let ends = |score: &AbxScore| {
        let percent = score
            .interval
            .map(|(low, high)| (100.0 * low, 100.0 * high));
        interval(percent, 2)
    };
    let mut table = Table::new(&[
        "representation",
        "on",
        "within %",
        "within 95%",
        "across %",
        "across 95%",
        "items",
        "too short",
        "cells within",
        "triples within",
        "cells across",
        "triples across",
    ]);
    for report in reports {
        let of = |score: &Option<AbxScore>, value: fn(&AbxScore) -> String| {
            score.as_ref().map_or("-".to_string(), value)
        };
        let (within, across) = (&report.result.within, &report.result.across);
        table.row(vec![
            report.representation.clone(),
            format!("{:?}", report.on).to_lowercase(),
            of(within, percent),
            of(within, ends),
            of(across, percent),
            of(across, ends),
            report.result.items.to_string(),
            report.too_short.to_string(),
            of(within, |score| score.cells.to_string()),
            of(within, |score| score.triples.to_string()),
            of(across, |score| score.cells.to_string()),
            of(across, |score| score.triples.to_string()),
        ]);
    }
    table
}

/// Prints a line per representation of which not everything was compared.
fn print_cuts(report: &Report) -> anyhow::Result<()> {
    let (result, options) = (&report.result, &report.options);
    if result.groups_cut + result.voices_cut > 0 {
        output(format_args!(
            "{}: a part only: {} of {} groups cut to {} items, x from {} others for {} groups, by seed {}\n",
            report.representation,
            result.groups_cut,
            result.groups,
            options.max_items,
            options.max_speakers,
            result.voices_cut,
            options.seed
        ))?;
    }
    Ok(())
}
