//! `unbraid eval probe`: accuracy of fresh probes on frozen representations.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::models::DeviceArgs;
use crate::cli::named_files::NamedFiles;
use crate::cli::progress;
use crate::cli::result_files::ResultFiles;
use crate::dataset::DataDir;
use crate::error::Error;
use crate::eval::grouping::Grouping;
use crate::eval::probe::{Family, ProbeData, ProbeOptions, ProbeResult, ProbeSets, Target, probe};
use crate::io::atomic::AtomicFile;
use crate::io::message::output;
use crate::report::table::{Table, interval};

/// Train probes on frozen codes and embeddings, and measure their accuracy.
///
/// For every representation and target, three families of probes are trained: linear and MLP on mean and deviation over
/// time, and a convolutional one on the sequence. Each has several seeds and early stopping on a split of the training
/// utterances. The table reports the family that is best on that split: mean test accuracy, a 95 % bootstrap interval over
/// test utterances, and chance (the most frequent test class).
///
/// Always include raw features as a representation: results mean little without them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid eval probe data/train data/test --target speaker --target text \\
    --representation log-mel=data/train/feats.scp,data/test/feats.scp \\
    --representation phonetic=exp/a/z_train.scp,exp/a/z_test.scp \\
    --out exp/a/probe
  speakers that training did not see, by cross-validation of their utterances:
    unbraid eval probe data/test --target speaker \\
      --representation phonetic=exp/a/z_test.scp

Targets: the speaker comes from utt2spk, the word from text, the class of each
frame from ali.scp of each data directory. Phone sequences (utt2phones) are
learned with CTC; their accuracy is one minus the phone error rate of the best
path.

The column 'bits' is the entropy of the test labels minus the cross-entropy of
the probe: a lower bound of the mutual information between representation and
target (Barber and Agakov 2003). The probabilities are calibrated by one
temperature on a split of their own.

--by adds accuracy per group of test utterances. Whole numbers below 130 are
taken for ages and grouped by decades, other numbers with more than ten values
by quartiles of the utterances. --curve shows whether longer training helps.")]
pub(super) struct ProbeArgs {
    /// Training data directory; without a test data directory, its utterances are cross-validated
    train: PathBuf,
    /// Test data directory
    test: Option<PathBuf>,
    /// Folds of the cross-validation
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "test")]
    folds: usize,
    /// Representation: name, and one feature list or npy:DIR per data directory; may be repeated
    #[arg(long = "representation", alias = "strand", value_name = "NAME=SCP[,TEST_SCP]", required = true, value_parser = NamedFiles::parse)]
    representations: Vec<NamedFiles>,
    /// Target to predict; may be repeated
    #[arg(long = "target", value_name = "TARGET", required = true)]
    targets: Vec<Target>,
    /// Restrict to this family of probes; may be repeated
    #[arg(long = "family", value_name = "FAMILY")]
    families: Vec<Family>,
    /// Seeds per family
    #[arg(long, value_name = "N", default_value_t = ProbeOptions::default().seeds)]
    seeds: u64,
    /// Passes over the training utterances
    #[arg(long, value_name = "N", default_value_t = ProbeOptions::default().epochs)]
    epochs: u64,
    /// Minimum number of training steps
    #[arg(long, value_name = "N", default_value_t = ProbeOptions::default().min_steps)]
    min_steps: u64,
    /// Train with masks and noise, for tests on decoded features, which are smoother than real ones
    #[arg(long)]
    robust: bool,
    /// Also report accuracy per group of test utterances; may be repeated
    ///
    /// Groups are speakers, lines of text, or the second column of a table keyed by speaker or utterance.
    #[arg(long, value_name = "speaker|text|FILE")]
    by: Vec<String>,
    /// Write accuracies during training: representation, target, step, family, seed, dev, test
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Write PREFIX.json (every probe) and PREFIX.tsv, with --by also PREFIX.by.tsv
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: ProbeArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let mut options = ProbeOptions {
        seeds: args.seeds,
        epochs: args.epochs,
        min_steps: args.min_steps,
        robust: args.robust,
        curve: args.curve.is_some(),
        device: args.device.device,
        ..ProbeOptions::default()
    };
    if !args.families.is_empty() {
        options.families = args.families.clone();
    }
    options.check()?;
    // Opened first: a folder that is not there should not cost a training.
    let curve = args.curve.as_ref().map(AtomicFile::create).transpose()?;
    let results = probe_all(&args, &options)?;
    let (table, by) = (table(&results), by_table(&results));
    if let Some(out) = &args.out {
        let files = ResultFiles::new(out, &results, &table)?;
        let files = match args.by[..] {
            [] => files,
            _ => files.with("by.tsv", by.to_tsv()),
        };
        files.write()?;
    }
    if let Some(mut curve) = curve {
        curve.write_all(curves(&results).to_tsv().as_bytes())?;
        curve.commit()?;
    }
    output(format_args!("{table}"))?;
    if !args.by.is_empty() {
        output(format_args!("\n{by}"))?;
    }
    Ok(())
}

impl ProbeArgs {
    /// As many lists as there are data directories.
    fn sets<'a>(&'a self, representation: &'a NamedFiles) -> crate::Result<ProbeSets<'a>> {
        match (&self.test, &representation.files[..]) {
            (None, [list]) => Ok(ProbeSets::Folds {
                of: (&self.train, list),
                folds: self.folds,
            }),
            (Some(test), [train_list, test_list]) => Ok(ProbeSets::Apart {
                train: (&self.train, train_list),
                test: (test, test_list),
            }),
            (test, lists) => {
                let option = format!("--representation {}", representation.name);
                let expected = match test {
                    None => "one feature list, as there is one data directory",
                    Some(_) => "two feature lists, as there are two data directories",
                };
                Err(Error::option(option, expected, lists.len().to_string()))
            }
        }
    }
}

fn probe_all(args: &ProbeArgs, options: &ProbeOptions) -> anyhow::Result<Vec<ProbeResult>> {
    let by = match args.by[..] {
        [] => Vec::new(),
        _ => {
            let dir = DataDir::open(args.test.as_ref().unwrap_or(&args.train))?;
            let read = |by: &String| Grouping::read(by, &dir);
            args.by.iter().map(read).collect::<crate::Result<_>>()?
        }
    };
    let count = args.representations.len() * args.targets.len() * options.families.len();
    let bar = progress::bar(count as u64 * options.seeds, "probes");
    let mut results = Vec::new();
    for representation in &args.representations {
        for &target in &args.targets {
            let sets = args.sets(representation)?;
            let data = ProbeData { sets, by: &by };
            results.push(probe(&representation.name, target, data, options, |run| {
                bar.inc(1);
                bar.set_message(format!(
                    "{} {target:?}: {:?} {:.3}",
                    representation.name, run.family, run.test
                ));
            })?);
        }
    }
    bar.finish_and_clear();
    Ok(results)
}

/// Phone sequences are no classes, and have no bits.
fn bits(result: &ProbeResult, bits: f64) -> String {
    match result.target {
        Target::Phones => "-".into(),
        _ => format!("{bits:.2}"),
    }
}

fn table(results: &[ProbeResult]) -> Table {
    let mut table = Table::new(&[
        "representation",
        "target",
        "accuracy",
        "seeds",
        "95% interval",
        "chance",
        "bits",
        "of",
        "classes",
        "probe",
        "train",
        "test",
    ]);
    for result in results {
        table.row(vec![
            result.representation.clone(),
            lower(result.target),
            format!("{:.3}", result.accuracy),
            interval(result.range, 3),
            interval(result.interval, 3),
            format!("{:.3}", result.chance),
            bits(result, result.bits),
            bits(result, result.entropy),
            result.classes.to_string(),
            lower(result.probe),
            result.utterances.0.to_string(),
            result.utterances.1.to_string(),
        ]);
    }
    table
}

fn by_table(results: &[ProbeResult]) -> Table {
    let mut table = Table::new(&[
        "representation",
        "target",
        "by",
        "group",
        "accuracy",
        "95% interval",
        "utterances",
    ]);
    for result in results {
        for group in &result.groups {
            table.row(vec![
                result.representation.clone(),
                lower(result.target),
                group.by.clone(),
                group.value.clone(),
                format!("{:.3}", group.accuracy),
                interval(group.interval, 3),
                group.utterances.to_string(),
            ]);
        }
    }
    table
}

fn curves(results: &[ProbeResult]) -> Table {
    let mut table = Table::new(&[
        "representation",
        "target",
        "step",
        "family",
        "seed",
        "dev",
        "test",
    ]);
    for result in results {
        for run in &result.runs {
            for point in &run.curve {
                table.row(vec![
                    result.representation.clone(),
                    lower(result.target),
                    point.step.to_string(),
                    lower(run.family),
                    run.seed.to_string(),
                    format!("{:.4}", point.dev),
                    format!("{:.4}", point.test),
                ]);
            }
        }
    }
    table
}

fn lower(name: impl std::fmt::Debug) -> String {
    format!("{name:?}").to_lowercase()
}
