//! `unbraid probe`: what fresh probes read from frozen strands.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::eval::probe::{Family, ProbeData, ProbeOptions, ProbeResult, Target, probe};
use crate::io::atomic;
use crate::report::table::Table;

/// Train fresh probes on frozen strands, and tell what can be read from them.
///
/// For every strand and target a family of probes is trained: linear and MLP on mean and deviation over time,
/// and a convolutional one on the sequence, each with several seeds; the best moment of each is chosen on a
/// split of the training utterances. The strongest family on that split is reported, with its mean test
/// accuracy, a 95 % bootstrap interval over test utterances and chance (the most frequent test class). Give the
/// raw features as a strand too: a strand means little without them beside it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid probe data/train data/test --target speaker --target text \\
    --strand log-mel=data/train/feats.scp,data/test/feats.scp \\
    --strand phonetic=exp/a/train_z.scp,exp/a/test_z.scp --out exp/a/probe

The speaker comes from utt2spk, a word from text, frame classes from ali.scp of each data directory.
--out NAME writes NAME.json (every probe) and NAME.tsv (the table).")]
pub struct ProbeArgs {
    /// Data directory to learn from.
    train: PathBuf,
    /// Data directory to test on.
    test: PathBuf,
    /// A strand: its name, and the feature lists of both directories.
    #[arg(long = "strand", value_name = "NAME=TRAIN_SCP,TEST_SCP", required = true, value_parser = parse_strand)]
    strands: Vec<StrandFiles>,
    /// What to read from it.
    #[arg(long = "target", required = true)]
    targets: Vec<Target>,
    /// Only these families.
    #[arg(long = "family", value_name = "FAMILY")]
    families: Vec<Family>,
    /// Seeds of each family.
    #[arg(long, default_value_t = ProbeOptions::default().seeds)]
    seeds: u64,
    /// Passes over the training utterances (but at least 1000 steps).
    #[arg(long, default_value_t = ProbeOptions::default().epochs)]
    epochs: u64,
    /// Least number of training steps.
    #[arg(long, default_value_t = ProbeOptions::default().min_steps)]
    min_steps: u64,
    /// Train with masks and noise: for judging decoded features, which are smoother than real ones.
    #[arg(long)]
    robust: bool,
    /// Writes PREFIX.json and PREFIX.tsv.
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

/// `NAME=TRAIN_SCP,TEST_SCP`.
#[derive(Debug, Clone)]
struct StrandFiles {
    name: String,
    train: PathBuf,
    test: PathBuf,
}

fn parse_strand(text: &str) -> Result<StrandFiles, String> {
    let parsed = text
        .split_once('=')
        .and_then(|(name, files)| Some((name, files.split_once(',')?)));
    match parsed {
        Some((name, (train, test))) if !name.is_empty() => Ok(StrandFiles {
            name: name.to_string(),
            train: train.into(),
            test: test.into(),
        }),
        _ => Err("expected NAME=TRAIN_SCP,TEST_SCP".into()),
    }
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: ProbeArgs) -> anyhow::Result<()> {
    let mut options = ProbeOptions {
        seeds: args.seeds,
        epochs: args.epochs,
        min_steps: args.min_steps,
        robust: args.robust,
        ..ProbeOptions::default()
    };
    if !args.families.is_empty() {
        options.families = args.families;
    }
    if options.seeds == 0 {
        bail!("--seeds: expected at least 1, found 0");
    }
    let count = args.strands.len() * args.targets.len() * options.families.len();
    let bar = ProgressBar::new(count as u64 * options.seeds);
    bar.set_style(ProgressStyle::with_template(
        "{bar:24} {pos}/{len} probes  {eta} left  {msg}",
    )?);
    let mut results = Vec::new();
    for strand in &args.strands {
        for &target in &args.targets {
            let data = ProbeData {
                train: (&args.train, &strand.train),
                test: (&args.test, &strand.test),
            };
            results.push(probe(&strand.name, target, data, &options, |run| {
                bar.inc(1);
                bar.set_message(format!(
                    "{} {target:?}: {:?} {:.3}",
                    strand.name, run.family, run.test
                ));
            })?);
        }
    }
    bar.finish_and_clear();
    let table = table(&results);
    if let Some(out) = &args.out {
        let json = serde_json::to_string_pretty(&results)?;
        atomic::write(with_extension(out, "json"), json + "\n")?;
        atomic::write(with_extension(out, "tsv"), table.to_tsv())?;
    }
    write!(io::stdout(), "{table}")?;
    Ok(())
}

fn with_extension(prefix: &Path, extension: &str) -> PathBuf {
    PathBuf::from(format!("{}.{extension}", prefix.display()))
}

fn table(results: &[ProbeResult]) -> Table {
    let mut table = Table::new(&[
        "strand",
        "target",
        "accuracy",
        "seeds",
        "95% interval",
        "chance",
        "classes",
        "probe",
        "train",
        "test",
    ]);
    for result in results {
        table.row(vec![
            result.strand.clone(),
            format!("{:?}", result.target).to_lowercase(),
            format!("{:.3}", result.accuracy),
            format!("{:.3}..{:.3}", result.range.0, result.range.1),
            format!("{:.3}..{:.3}", result.interval.0, result.interval.1),
            format!("{:.3}", result.chance),
            result.classes.to_string(),
            format!("{:?}", result.probe).to_lowercase(),
            result.utterances.0.to_string(),
            result.utterances.1.to_string(),
        ]);
    }
    table
}
