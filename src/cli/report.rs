//! `unbraid report`: all results of experiments as one page.

use std::path::{Path, PathBuf};

use clap::Args;

use super::models::DeviceArgs;
use super::progress;
use super::recordings::PipeArgs;
use crate::error::{Error, Result};
use crate::eval::map::{Draw, LEAST_ITEMS, MOST_ITEMS};
use crate::inference::Model;
use crate::io::atomic;
use crate::io::message::{message, output};
use crate::report::experiment::{ExpFolder, Field, ListenOptions, MapsOptions, Report, TestSet};

/// Write all results of an experiment as one HTML page.
///
/// The page contains its pictures and sound and loads nothing: it can be sent, kept and printed. Its numbers come from
/// the files that 'eval probe', 'eval abx', 'verify score' and 'image evaluate' left in the experiment folder. The command
/// that makes each number again is printed below it. Results without a file are left out and listed at the end.
///
/// Standard error has, for each experiment, whether its training looks right by its log, as at the end of 'unbraid train'.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid report --exp exp/default_0 --data data/test
  unbraid report --exp exp/a_0 --exp exp/b_0 --data data/test \\
    --out exp/side_by_side.html

Files that are read, in DIR as recipes leave them: conf.toml, inventory.json,
last/state.json, log.jsonl, probe*.json, attack*.json, eer_*.json, abx.tsv,
scores.json, scores_* (of 'unbraid verify score --scores'), phonetic_SET.scp,
speaker_SET.scp (SET is the name of DATADIR), codes.scp and text of images,
pictures/*.png, front_end.toml. Beside DIR: log-mel_0 (raw features under the
same probes) and results.json. A file that exists but is broken is an error.

Paths in scp files are relative to the working folder: run the command where
the recipe runs.")]
pub(super) struct ReportArgs {
    /// Experiment folder; repeat for several experiments side by side
    #[arg(long = "exp", value_name = "DIR", required = true)]
    exps: Vec<PathBuf>,
    /// Test data directory, for maps, sound and DET curves
    #[arg(long, value_name = "DATADIR")]
    data: Option<PathBuf>,
    /// Page to write; by default report.html in the first experiment folder
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Number of utterances to listen to, of two speakers; 0 for none
    ///
    /// Sound takes most of the page's size.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=20))]
    utterances: u8,
    /// Maximum number of points per map; more are subsampled evenly
    #[arg(long, value_name = "N", default_value_t = 1000)]
    points: usize,
    /// Seed of the choice of points and of t-SNE
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Make sound by so many iterations of the Griffin-Lim algorithm, without pitch
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    pipes: PipeArgs,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: ReportArgs) -> anyhow::Result<()> {
    args.check()?;
    let exps = args.exps.iter().map(|path| ExpFolder::open(path));
    let exps = exps.collect::<Result<Vec<_>>>()?;
    atomic::try_place(args.out())?;
    let data = args.data.as_deref().map(TestSet::open).transpose()?;
    let models = exps.iter().map(|exp| args.model(exp));
    let models = models.collect::<Result<Vec<_>>>()?;
    if let (Some(path), true) = (&args.data, exps.iter().all(|e| e.field() == Field::Images)) {
        let option = format!("--data {}", path.display());
        let expected = "an experiment on speech beside it";
        return Err(Error::option(option, expected, "images alone").into());
    }
    let report = Report {
        exps: &exps,
        data: data.as_ref(),
        models: &models,
        listen: ListenOptions {
            utterances: args.utterances.into(),
            griffin_lim: args.iterations,
            pipes: args.pipes.pipes(),
        },
        maps: MapsOptions {
            draw: Draw {
                most: args.points,
                seed: args.seed,
            },
        },
    };
    let bar = progress::bar(report.len() as u64, "parts");
    let page = report.page(|part| {
        bar.set_message(part.to_string());
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    let html = page.html();
    let out = args.out();
    atomic::write(&out, &html)?;
    let sections: usize = page.chapters.iter().map(|c| c.sections.len()).sum();
    let size = html.len() as f64 / 1e6;
    let out = out.display();
    output(format_args!("{out}: {sections} sections, {size:.1} MB\n"))?;
    for exp in &exps {
        for line in exp.verdict()? {
            message(format_args!("unbraid: {}: {line}", exp.path().display()));
        }
    }
    for reason in &page.left_out {
        output(format_args!("left out: {reason}\n"))?;
    }
    Ok(())
}

impl ReportArgs {
    fn check(&self) -> Result<()> {
        if self.iterations == Some(0) {
            return Err(Error::option("--iterations", "at least 1", "0"));
        }
        if !(LEAST_ITEMS..=MOST_ITEMS).contains(&self.points) {
            let expected = format!("{LEAST_ITEMS} to {MOST_ITEMS}");
            return Err(Error::option("--points", expected, self.points.to_string()));
        }
        let out = self.out();
        let ending = out.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("html" | "htm") => Ok(()),
            _ => {
                let found = format!("'{}'", out.display());
                Err(Error::option("--out", "a name that ends in .html", found))
            }
        }
    }

    fn out(&self) -> PathBuf {
        let first = self.exps.first().map_or(Path::new("."), |exp| exp);
        self.out
            .clone()
            .unwrap_or_else(|| first.join("report.html"))
    }

    /// What converts an experiment's recordings, or what that would need.
    fn model(&self, exp: &ExpFolder) -> Result<Result<Model, String>> {
        let need = |file: &str, from: &str| Ok(Err(format!("needs {file}, {from}")));
        if exp.field() == Field::Images || self.data.is_none() || self.utterances == 0 {
            return Ok(Err("needs --data with wav.scp".into()));
        }
        if exp.file("front_end.toml").is_none() {
            return need("front_end.toml", "which runs with data.front_end keep");
        }
        if exp.file("last/state.json").is_none() {
            return need("last/", "a checkpoint");
        }
        let device = self.device.device.resolve()?;
        Model::of(exp.experiment(), "last", device).map(Ok)
    }
}
