//! `unbraid image encode`: images to vectors in Kaldi archives.

use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::{Array1, Axis};

use super::source::{FORMS, parse_named_source};
use crate::dataset::images::{ImageSource, Images};
use crate::eval::images::forward::{numbers, of_images, settle};
use crate::io::atomic;
use crate::io::kaldi::TableWriter;
use crate::method::image::train::{ImageModel, load_images};
use crate::nn::device::DeviceChoice;
use crate::train::experiment::Experiment;

/// Encode images as vectors in Kaldi archives.
///
/// Codes of VAE-GAN, BiGAN and autoencoder; what InfoGAN's discriminator reads of its codes; of the others the features
/// from which classes are named. Image 12 of the set mnist has the key mnist-000012. Beside the list, --tables writes
/// utt2set and, where labels are known, text: two columns, as `unbraid plot map`, `eval probe` and `eval factors` take them.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid image encode --exp exp/bigan --test mnist=idx:t10k-images-idx3-ubyte.gz,t10k-labels-idx1-ubyte.gz \\
    --tables exp/bigan ark,scp:exp/bigan/codes.ark,exp/bigan/codes.scp
  unbraid plot map exp/bigan/codes.scp --labels exp/bigan/text --out exp/bigan/map.svg")]
pub struct EncodeArgs {
    /// Where vectors go
    #[arg(value_name = "WSPECIFIER")]
    target: String,
    /// Folder of the experiment
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// Sets of images
    #[arg(long = "test", value_name = "SET", required = true, value_parser = parse_named_source, help = format!("Sets of images: {FORMS}"))]
    sets: Vec<(String, ImageSource)>,
    /// Folder of utt2set and text
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
    /// Checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Where tensors live
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: EncodeArgs) -> anyhow::Result<()> {
    if let Some(folder) = &args.tables {
        atomic::try_place(folder.join("utt2set"))?;
    }
    let device = args.device.resolve()?;
    let experiment = Experiment::open(&args.exp)?;
    let (model, config, inventory) = load_images(&experiment, &args.checkpoint, device)?;
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
