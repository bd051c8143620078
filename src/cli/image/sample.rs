//! `unbraid image sample`: a trained image method to pictures.

use std::path::PathBuf;

use clap::Args;

use super::source::{FORMS, parse_named_source};
use crate::dataset::images::ImageSource;
use crate::eval::images::gallery::{Gallery, gallery};
use crate::io::atomic;
use crate::io::message::output;
use crate::method::image::train::load_images;
use crate::nn::device::DeviceChoice;
use crate::report::grid::ImageGrid;
use crate::train::experiment::Experiment;

/// Draw the images that a trained method makes, as PNG files.
///
/// InfoGAN: samples, a column a category; each code from -2 to 2, all else held. VAE-GAN, BiGAN, autoencoder: real images
/// above what comes back from their codes, and the way from one code to another. Triple GAN: samples, a column a class.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid image sample --exp exp/infogan --out exp/infogan/pictures
  unbraid image sample --exp exp/bigan --test idx:t10k-images-idx3-ubyte.gz --out exp/bigan/pictures")]
pub struct SampleArgs {
    /// Folder of the experiment
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// Images to encode and decode
    #[arg(long = "test", value_name = "SET", value_parser = parse_named_source, help = format!("Images to encode and decode; those that were learned from when left out: {FORMS}"))]
    test: Option<(String, ImageSource)>,
    /// Folder of the pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Seed of the codes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where tensors live
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: SampleArgs) -> anyhow::Result<()> {
    let device = args.device.resolve()?;
    let experiment = Experiment::open(&args.exp)?;
    let (model, config, inventory) = load_images(&experiment, &args.checkpoint, device)?;
    let images = match &args.test {
        Some((name, source)) => {
            let images = source.open(&config.view)?;
            inventory.check_shape(&format!("--test {name}"), &images)?;
            images
        }
        None => config.data.train.open(&config.view)?,
    };
    atomic::create_dir_all(&args.out)?;
    tch::manual_seed(args.seed as i64);
    for Gallery {
        name,
        columns,
        images,
    } in gallery(&model, &images, device)?
    {
        let path = args.out.join(name).with_extension("png");
        ImageGrid {
            images: images.view(),
            columns,
            zoom: None,
        }
        .write(&path)?;
        output(format_args!("{}\n", path.display()))?;
    }
    Ok(())
}
