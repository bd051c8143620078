//! Forward passes of images through networks, in batches, without gradients.

use ndarray::Array2;
use tch::{Device, Kind, Tensor, no_grad};

use crate::dataset::images::Images;
use crate::error::{Error, Result};
use crate::method::image::infogan::InfoGan;

/// Images per batch.
const BATCH: usize = 500;

/// Images `first..first + count` as `[count, channels, height, width]` in 0..1.
pub fn tensor_of(images: &Images, first: usize, count: usize, device: Device) -> Tensor {
    let shape = images.shape;
    let values = shape.channels * shape.height * shape.width;
    let pixels = &images.pixels[first * values..][..count * values];
    let sides = [count, shape.channels, shape.height, shape.width].map(|side| side as i64);
    let bytes = Tensor::from_slice(pixels).view(&sides[..]).to(device);
    bytes.to_kind(Kind::Float) / 255.0
}

/// The output of `network` for every image, `[images, ..]` on the CPU.
pub fn of_images(
    images: &Images,
    device: Device,
    mut network: impl FnMut(&Tensor) -> Tensor,
) -> Tensor {
    let parts: Vec<Tensor> = (0..images.len())
        .step_by(BATCH)
        .map(|first| {
            let count = BATCH.min(images.len() - first);
            let batch = tensor_of(images, first, count, device);
            no_grad(|| network(&batch)).to(Device::Cpu)
        })
        .collect();
    Tensor::cat(&parts, 0)
}

/// The output of `make`, called per batch with the number of images, `count` in all: `[count, ..]` on the CPU.
pub fn of_draws(count: usize, mut make: impl FnMut(i64) -> Tensor) -> Tensor {
    let parts: Vec<Tensor> = (0..count)
        .step_by(BATCH)
        .map(|first| no_grad(|| make(BATCH.min(count - first) as i64)).to(Device::Cpu))
        .collect();
    Tensor::cat(&parts, 0)
}

/// Sets the running statistics of InfoGAN's discriminator, which are of real and generated images together, to those of real
/// images: `train`.
pub fn settle(method: &InfoGan, train: &Images, device: Device) {
    const BATCHES: usize = 50;
    let size = BATCH.min(train.len());
    for number in 0..BATCHES {
        let first = (number * size) % (train.len() - size + 1);
        let images = tensor_of(train, first, size, device);
        no_grad(|| method.discriminate(&images, true));
    }
}

/// The values of a tensor `[items, dims]`.
///
/// # Errors
/// [`Error::Torch`] for a tensor of another shape; [`Error::Option`] for numbers that are not finite.
pub fn numbers(tensor: &Tensor) -> Result<Array2<f32>> {
    let tensor = tensor.to_kind(Kind::Float).contiguous();
    let (rows, columns) = tensor.size2().map_err(Error::from)?;
    let values: Vec<f32> = tensor.flatten(0, -1).try_into().map_err(Error::from)?;
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        let item = format!("item {}", place / columns as usize);
        let found = values[place].to_string();
        return Err(Error::option(item, "finite numbers of the network", found));
    }
    Array2::from_shape_vec((rows as usize, columns as usize), values)
        .map_err(|error| Error::Torch(error.to_string()))
}

/// Classes `[items]` of logits `[items, classes]`.
///
/// # Errors
/// [`Error::Torch`] for a tensor of another shape.
pub fn classes_of(logits: &Tensor) -> Result<Vec<usize>> {
    let named: Vec<i64> = logits.argmax(1, false).try_into().map_err(Error::from)?;
    Ok(named.into_iter().map(|class| class as usize).collect())
}
