//! `unbraid image evaluate`: a trained image method to its numbers.

use std::path::PathBuf;

use clap::Args;

use super::source::{FORMS, parse_named_source};
use crate::cli::models::ModelArgs;
use crate::cli::result_files::ResultFiles;
use crate::dataset::images::{ImageSource, Images};
use crate::error::{Error, Result};
use crate::eval::images::evaluate::Evaluation;
use crate::eval::score::Score;
use crate::io::message::output;
use crate::method::image::train::load_images;
use crate::report::scores::ScoreReport;
use crate::report::table::Table;
use crate::train::experiment::Experiment;

/// Evaluate a method trained on images, beside chance and baselines.
///
/// InfoGAN: mutual information of generated images with their category; agreement of categories and classes. VAE-GAN:
/// reconstruction error. BiGAN and autoencoder: reconstruction error, against that of other images; class accuracy from
/// codes. Triple GAN and classifier: accuracy. DANN: accuracy per set; accuracy of a fresh domain probe. Known factors (as
/// of sprites): MIG, SAP and DCI. With --lenet: distance of generated images from the test set.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid train --conf conf/lenet.toml --exp exp/lenet
  unbraid train --conf conf/infogan.toml --exp exp/infogan
  unbraid image evaluate --exp exp/infogan \\
    --test idx:t10k-images-idx3-ubyte.gz,t10k-labels-idx1-ubyte.gz \\
    --lenet exp/lenet --out exp/infogan/scores

Frechet-LeNet is the Frechet distance between Gaussians fitted to features of
10000 generated images and of the test set. The features are those of an
experiment of method \"classifier\". The same distance for training images is the
lower bound. It is not FID, whose features are of another network, and values of
different classifiers are not comparable.

The first --test is the one that generated images are compared to. For DANN give
the target domain first, then the source domain.")]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[arg(long = "test", value_name = "SET", required = true, value_parser = parse_named_source, help = format!("Images to test on; may be repeated: {FORMS}"))]
    tests: Vec<(String, ImageSource)>,
    /// Experiment of method "classifier", for the distance of generated images
    #[arg(long, value_name = "DIR")]
    lenet: Option<PathBuf>,
    /// Write PREFIX.json and PREFIX.tsv
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: EvaluateArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let (device, experiment) = args.model.open()?;
    let (model, config, inventory) =
        load_images(&experiment, &args.model.checkpoint.checkpoint, device)?;
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
