//! `unbraid image sample`: a trained image method to pictures.

use std::path::PathBuf;

use clap::Args;

use super::source::{FORMS, parse_named_source};
use crate::cli::models::ModelArgs;
use crate::dataset::images::ImageSource;
use crate::eval::images::gallery::{Gallery, gallery};
use crate::io::atomic;
use crate::io::message::output;
use crate::method::image::train::load_images;
use crate::report::grid::ImageGrid;

/// Draw images that a trained method generates, as PNG files.
///
/// InfoGAN: samples with one column per category, and each code from -2 to 2 with the others fixed. VAE-GAN, BiGAN,
/// autoencoder: real images above their reconstructions, and interpolations between codes. Triple GAN: samples with one
/// column per class.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid image sample --exp exp/infogan --out exp/infogan/pictures
  unbraid image sample --exp exp/bigan --test idx:t10k-images-idx3-ubyte.gz \\
    --out exp/bigan/pictures")]
pub(super) struct SampleArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[arg(long = "test", value_name = "SET", value_parser = parse_named_source, help = format!("Images to reconstruct; the training images by default: {FORMS}"))]
    test: Option<(String, ImageSource)>,
    /// Folder of the pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of the codes
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: SampleArgs) -> anyhow::Result<()> {
    let (device, experiment) = args.model.open()?;
    let (model, config, inventory) =
        load_images(&experiment, &args.model.checkpoint.checkpoint, device)?;
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
