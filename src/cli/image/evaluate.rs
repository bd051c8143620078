//! `unbraid image evaluate`: a trained image method to its numbers.

use std::path::PathBuf;

use clap::Args;

use super::source::{FORMS, parse_named_source};
use crate::cli::result_files::ResultFiles;
use crate::dataset::images::{ImageSource, Images};
use crate::error::{Error, Result};
use crate::eval::images::evaluate::Evaluation;
use crate::eval::images::score::Score;
use crate::io::message::output;
use crate::method::image::train::load_images;
use crate::nn::device::DeviceChoice;
use crate::report::scores::ScoreReport;
use crate::report::table::Table;
use crate::train::experiment::Experiment;

/// Evaluate a method trained on images, beside chance and baselines.
///
/// InfoGAN: what its images tell of the category they were made from, how the categories answer to classes. VAE-GAN:
/// errors of reconstructions. BiGAN and autoencoder: errors of reconstructions against those of other images, what codes
/// tell of classes. Triple GAN and classifier: accuracy. DANN: accuracy of every set, and whether a fresh probe tells the
/// features of the first two apart. Known factors, as sprites have them: MIG, SAP and DCI. With --lenet, how far generated
/// images are from the test set.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid train --conf conf/lenet.toml --exp exp/lenet
  unbraid train --conf conf/infogan.toml --exp exp/infogan
  unbraid image evaluate --exp exp/infogan --test idx:t10k-images-idx3-ubyte.gz,t10k-labels-idx1-ubyte.gz \\
    --lenet exp/lenet --out exp/infogan/scores

Frechet-LeNet is the Frechet distance between Gaussians fitted to the features of 10000 generated images and of the test
set, as an experiment of method \"classifier\" sees them; beside it stands that of training images, its floor. It is not FID,
whose features are another network's. Numbers of different classifiers do not compare.

Sets: --test may be given several times; the first is the one that generated images are measured against. For DANN: first
the target domain, then the source.")]
pub struct EvaluateArgs {
    /// Folder of the experiment
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// Images to test on
    #[arg(long = "test", value_name = "SET", required = true, value_parser = parse_named_source, help = format!("Images to test on: {FORMS}"))]
    tests: Vec<(String, ImageSource)>,
    /// An experiment of method "classifier", whose features measure generated images
    #[arg(long, value_name = "DIR")]
    lenet: Option<PathBuf>,
    /// Checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Where tensors live
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// Write PREFIX.json and PREFIX.tsv
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: EvaluateArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let device = args.device.resolve()?;
    let experiment = Experiment::open(&args.exp)?;
    let (model, config, inventory) = load_images(&experiment, &args.checkpoint, device)?;
    let lenet = match &args.lenet {
        None => None,
        Some(path) => {
            let (lenet, _, of) = load_images(&Experiment::open(path)?, "last", device)?;
            if of.shape != inventory.shape {
                let expected = format!(
                    "a classifier of images of {:?} (channels, height, width)",
                    inventory.shape
                );
                let found = format!("{:?}", of.shape);
                return Err(Error::option("--lenet", expected, found).into());
            }
            Some(lenet)
        }
    };
    let tests = args
        .tests
        .iter()
        .map(|(name, source)| Ok((name.clone(), source.open(&config.view)?)))
        .collect::<Result<Vec<(String, Images)>>>()?;
    let train = config.data.train.open(&config.view)?;
    let scores = Evaluation {
        model: &model,
        run: (&config, &inventory),
        train: &train,
        tests: &tests,
        lenet: lenet.as_ref(),
        device,
    }
    .scores()?;
    let table = table(&scores);
    if let Some(prefix) = &args.out {
        let report = ScoreReport {
            method: config.method.name().to_string(),
            seed: config.seed,
            scores,
        };
        ResultFiles::new(prefix, &report, &table)?.write()?;
    }
    Ok(output(format_args!("{table}"))?)
}

fn table(scores: &[Score]) -> Table {
    let mut table = Table::new(&["set", "score", "value", "beside"]);
    for score in scores {
        let beside = score.beside.iter();
        let beside: Vec<String> = beside
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect();
        table.row(vec![
            score.set.clone(),
            score.name.clone(),
            format!("{:.4}", score.value),
            beside.join(", "),
        ]);
    }
    table
}
