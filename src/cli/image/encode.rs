//! `unbraid image encode`: images to vectors in Kaldi archives.

use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::{Array1, Axis};

use super::source::{FORMS, parse_named_source};
use crate::cli::models::ModelArgs;
use crate::dataset::images::{ImageSource, Images};
use crate::eval::images::forward::{numbers, of_images, settle};
use crate::io::atomic;
use crate::io::kaldi::TableWriter;
use crate::method::image::train::{ImageModel, load_images};

/// Encode images as vectors in Kaldi archives.
///
/// The vectors are codes (VAE-GAN, BiGAN, autoencoder), the codes that the discriminator infers (InfoGAN), or the features
/// below the classifier (other methods). Image 12 of the set mnist has the key mnist-000012. --tables also writes utt2set
/// and, where labels are known, text: tables for 'plot map', 'eval probe' and 'eval factors'.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid image encode --exp exp/bigan --tables exp/bigan \\
    --test mnist=idx:t10k-images-idx3-ubyte.gz,t10k-labels-idx1-ubyte.gz \\
    ark,scp:exp/bigan/codes.ark,exp/bigan/codes.scp
  unbraid plot map exp/bigan/codes.scp --labels exp/bigan/text \\
    --out exp/bigan/map.svg")]
pub(super) struct EncodeArgs {
    /// Archive to write, as ark,scp:codes.ark,codes.scp
    #[arg(value_name = "WSPECIFIER")]
    target: String,
    #[command(flatten)]
    model: ModelArgs,
    #[arg(long = "test", value_name = "SET", required = true, value_parser = parse_named_source, help = format!("Images to encode; may be repeated: {FORMS}"))]
    sets: Vec<(String, ImageSource)>,
    /// Folder for utt2set and text
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: EncodeArgs) -> anyhow::Result<()> {
    if let Some(folder) = &args.tables {
        atomic::try_place(folder.join("utt2set"))?;
    }
    let (device, experiment) = args.model.open()?;
    let (model, config, inventory) =
        load_images(&experiment, &args.model.checkpoint.checkpoint, device)?;
    let mut sets = Vec::new();
    for (name, source) in &args.sets {
        let images = source.open(&config.view)?;
        inventory.check_shape(&format!("--test {name}"), &images)?;
        sets.push((name, images));
    }
    if let ImageModel::InfoGan(method) = &model {
        settle(method, &config.data.train.open(&config.view)?, device);
    }
    let mut writer = TableWriter::<Array1<f32>>::create(&args.target)?;
    for (name, images) in &sets {
        let vectors = numbers(&of_images(images, device, |batch| model.encode(batch)))?;
        for (number, vector) in vectors.axis_iter(Axis(0)).enumerate() {
            writer.write(&key(name, number), &vector.to_owned())?;
        }
    }
    writer.finish()?;
    match &args.tables {
        None => Ok(()),
        Some(folder) => write_tables(folder, &sets),
    }
}

fn key(set: &str, number: usize) -> String {
    format!("{set}-{number:06}")
}

fn write_tables(folder: &Path, sets: &[(&String, Images)]) -> anyhow::Result<()> {
    let (mut of_sets, mut of_labels) = (String::new(), String::new());
    for (name, images) in sets {
        for number in 0..images.len() {
            of_sets += &format!("{} {name}\n", key(name, number));
        }
        for (number, label) in images.labels.iter().flatten().enumerate() {
            of_labels += &format!("{} {label}\n", key(name, number));
        }
    }
    atomic::write(folder.join("utt2set"), of_sets)?;
    Ok(atomic::write(folder.join("text"), of_labels)?)
}
