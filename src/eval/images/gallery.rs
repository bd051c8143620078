//! Pictures of an image method: samples, traversals of codes, reconstructions, interpolations between codes.

use ndarray::Array4;
use tch::{Device, Kind, Tensor, no_grad};

use super::forward::tensor_of;
use crate::dataset::images::Images;
use crate::error::{Error, Result};
use crate::method::image::bigan::Coders;
use crate::method::image::infogan::{InfoGan, Latent};
use crate::method::image::train::ImageModel;

/// Images in rows.
#[derive(Debug)]
pub struct Gallery {
    /// The content, as a file's name.
    pub name: String,
    /// Images per row.
    pub columns: usize,
    /// The images, row by row, `[images, channels, height, width]`.
    pub images: Array4<u8>,
}

const ROWS: i64 = 10;
const COLUMNS: i64 = 10;

/// All galleries of a method. `real` are encoded and decoded where it has an encoder.
///
/// # Errors
/// [`Error::Option`] for a method that makes no images, and for fewer than two real ones.
pub fn gallery(model: &ImageModel, real: &Images, device: Device) -> Result<Vec<Gallery>> {
    if real.len() < 2 {
        let found = real.len().to_string();
        return Err(Error::option("--test", "at least 2 images", found));
    }
    let encoded = |encode: &dyn Fn(&Tensor) -> Tensor, decode: &dyn Fn(&Tensor) -> Tensor| {
        let count = real.len().min((ROWS * COLUMNS / 2) as usize);
        let real = tensor_of(real, 0, count, device);
        [
            reconstructions(&real, encode, decode),
            ways(&real, encode, decode),
        ]
    };
    no_grad(|| match model {
        ImageModel::InfoGan(method) => Ok(of_infogan(method, device)),
        ImageModel::VaeGan(method) => {
            let decode = |codes: &Tensor| method.decode(codes, false);
            let size = [ROWS * COLUMNS, method.options().code_dim];
            let samples = decode(&Tensor::randn(size, (Kind::Float, device)));
            let mut all = vec![shown("samples", COLUMNS, &samples)];
            all.extend(encoded(
                &|images| method.encode(images, false).mean,
                &decode,
            ));
            Ok(all)
        }
        ImageModel::BiGan(method) => {
            let coders = method.coders();
            let samples = coders.decode(&coders.draw(ROWS * COLUMNS), false);
            let mut all = vec![shown("samples", COLUMNS, &samples)];
            all.extend(of_coders(coders, &encoded));
            Ok(all)
        }
        ImageModel::Autoencoder(method) => Ok(of_coders(method.coders(), &encoded).into()),
        ImageModel::TripleGan(method) => {
            let classes = method.classes();
            let every = Tensor::arange(classes, (Kind::Int64, device)).repeat([ROWS]);
            let samples = method.generate(&every, false);
            Ok(vec![shown("samples", classes, &samples)])
        }
        ImageModel::Classifier(_) | ImageModel::Dann(_) => Err(Error::option(
            "--exp",
            "a method that generates images",
            "a classifier",
        )),
    })
}

type Encoded<'a> =
    dyn Fn(&dyn Fn(&Tensor) -> Tensor, &dyn Fn(&Tensor) -> Tensor) -> [Gallery; 2] + 'a;

fn of_coders(coders: &Coders, encoded: &Encoded) -> [Gallery; 2] {
    encoded(&|images| coders.encode(images, false), &|codes| {
        coders.decode(codes, false)
    })
}

/// Samples, one column per category; and every continuous code from -2 to 2 in steps, one row per category.
fn of_infogan(method: &InfoGan, device: Device) -> Vec<Gallery> {
    let categories = method.options().categories;
    let mut latent = method.draw(ROWS * categories);
    latent.categories = Tensor::arange(categories, (Kind::Int64, device)).repeat([ROWS]);
    let samples = method.generate(&latent, false);
    let mut all = vec![shown("samples", categories, &samples)];
    let row = method.draw(1);
    for code in 0..method.options().continuous {
        let values = Tensor::linspace(-2.0, 2.0, COLUMNS, (Kind::Float, device));
        let continuous = row.continuous.repeat([categories * COLUMNS, 1]);
        let continuous = continuous.index_copy(
            1,
            &Tensor::from_slice(&[code]).to(device),
            &values.repeat([categories]).unsqueeze(1),
        );
        let every = Tensor::arange(categories, (Kind::Int64, device));
        let latent = Latent {
            noise: row.noise.repeat([categories * COLUMNS, 1]),
            categories: every.repeat_interleave_self_int(COLUMNS, None, None),
            continuous,
        };
        let name = format!("code{code}");
        all.push(shown(&name, COLUMNS, &method.generate(&latent, false)));
    }
    all
}

/// Rows of real images, each above the row of their reconstructions.
fn reconstructions(
    real: &Tensor,
    encode: &dyn Fn(&Tensor) -> Tensor,
    decode: &dyn Fn(&Tensor) -> Tensor,
) -> Gallery {
    let back = decode(&encode(real));
    let rows: Vec<Tensor> = (real.split(COLUMNS, 0).into_iter())
        .zip(back.split(COLUMNS, 0))
        .flat_map(|(real, back)| [real, back])
        .collect();
    shown("reconstructions", COLUMNS, &Tensor::cat(&rows, 0))
}

/// Per row a real image, the linear interpolation from its code to another one's, and that image.
fn ways(
    real: &Tensor,
    encode: &dyn Fn(&Tensor) -> Tensor,
    decode: &dyn Fn(&Tensor) -> Tensor,
) -> Gallery {
    let rows = (real.size()[0] / 2).min(ROWS);
    let codes = encode(&real.narrow(0, 0, 2 * rows));
    let steps = COLUMNS - 2;
    let every: Vec<Tensor> = (0..rows)
        .flat_map(|row| {
            let (from, to) = (codes.narrow(0, 2 * row, 1), codes.narrow(0, 2 * row + 1, 1));
            let share = Tensor::linspace(0.0, 1.0, steps, (Kind::Float, codes.device()));
            let between = &from + (to - &from) * share.unsqueeze(1);
            [
                real.narrow(0, 2 * row, 1),
                decode(&between),
                real.narrow(0, 2 * row + 1, 1),
            ]
        })
        .collect();
    shown("interpolations", COLUMNS, &Tensor::cat(&every, 0))
}

/// `[images, channels, height, width]` in 0..1 as bytes.
fn shown(name: &str, columns: i64, images: &Tensor) -> Gallery {
    let sides: Vec<usize> = images.size().iter().map(|&side| side as usize).collect();
    let bytes = (images.clamp(0.0, 1.0) * 255.0).round();
    let bytes = bytes.to_kind(Kind::Uint8).to(Device::Cpu).contiguous();
    let mut pixels = Array4::zeros((sides[0], sides[1], sides[2], sides[3]));
    if let Some(slice) = pixels.as_slice_mut() {
        let count = slice.len();
        bytes.copy_data_u8(slice, count);
    }
    Gallery {
        name: name.to_string(),
        columns: columns as usize,
        images: pixels,
    }
}
