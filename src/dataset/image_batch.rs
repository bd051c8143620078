//! Batches of images, with the labels that training may use.

use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::images::{ImageAugment, Images};
use super::labels::NO_LABEL;
use crate::error::{Error, Result};

/// A batch of images.
#[derive(Debug)]
pub struct ImageBatch {
    /// `[batch, channels, height, width]`, f32 from 0 (black) to 1.
    pub images: Tensor,
    /// Classes `[batch]`, int64; [`NO_LABEL`] where the label is not used.
    pub labels: Tensor,
    /// The domain of each image, `[batch]`, int64.
    pub domains: Tensor,
}

/// Images of one domain, and which of their labels are used.
#[derive(Debug)]
pub struct ImageSet {
    images: Images,
    labelled: Vec<bool>,
    domain: i64,
}

impl ImageBatch {
    /// The batch on a device.
    pub fn to(&self, device: Device) -> Self {
        Self {
            images: self.images.to_device(device),
            labels: self.labels.to_device(device),
            domains: self.domains.to_device(device),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.size()[0] as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Concatenates batches, at least one and all of images of the same shape.
    pub fn cat(batches: &[Self]) -> Self {
        let join = |of: fn(&Self) -> &Tensor| {
            let parts: Vec<&Tensor> = batches.iter().map(of).collect();
            Tensor::cat(&parts, 0)
        };
        Self {
            images: join(|batch| &batch.images),
            labels: join(|batch| &batch.labels),
            domains: join(|batch| &batch.domains),
        }
    }
}

impl ImageSet {
    /// Images of domain number `domain`; `labelled` is, for each image, whether its label is used.
    ///
    /// # Errors
    /// [`Error::Option`] if `labelled` has another length than there are images.
    pub fn new(images: Images, labelled: Vec<bool>, domain: i64) -> Result<Self> {
        if labelled.len() != images.len() {
            let expected = format!("{}, one per image", images.len());
            return Err(Error::option(
                "labelled images",
                expected,
                labelled.len().to_string(),
            ));
        }
        Ok(Self {
            images,
            labelled,
            domain,
        })
    }

    /// All images with all labels, for evaluation.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// For each image, whether its label is used.
    pub fn labelled(&self) -> &[bool] {
        &self.labelled
    }

    /// The domain number.
    pub fn domain(&self) -> i64 {
        self.domain
    }

    /// A batch of the given images, augmented by `augment` with a seed, if there is one.
    pub fn batch(&self, indices: &[usize], augment: Option<(&ImageAugment, u64)>) -> ImageBatch {
        self.part_of_batch(indices, 0..indices.len(), augment)
    }

    /// The images at `places` of a batch, augmented as in the whole batch.
    pub fn part_of_batch(
        &self,
        indices: &[usize],
        places: Range<usize>,
        augment: Option<(&ImageAugment, u64)>,
    ) -> ImageBatch {
        let (first, indices) = (places.start, &indices[places]);
        let shape = self.images.shape;
        let mut pixels = Vec::with_capacity(indices.len() * shape.values());
        for &index in indices {
            pixels.extend_from_slice(self.images.image(index));
        }
        if let Some((augment, seed)) = augment {
            let rng = ChaCha8Rng::seed_from_u64(seed);
            let images = pixels.chunks_exact_mut(shape.values());
            for (place, image) in images.enumerate() {
                let mut rng = rng.clone();
                rng.set_stream((first + place) as u64);
                augment.apply(image, shape, &mut rng);
            }
        }
        let sides = [indices.len(), shape.channels, shape.height, shape.width];
        let labels: Vec<i64> = indices.iter().map(|&index| self.label(index)).collect();
        ImageBatch {
            images: Tensor::from_slice(&pixels)
                .to_kind(Kind::Float)
                .divide_scalar(255.0)
                .view(sides.map(|side| side as i64)),
            labels: Tensor::from_slice(&labels),
            domains: Tensor::full(
                [indices.len() as i64],
                self.domain,
                (Kind::Int64, Device::Cpu),
            ),
        }
    }

    fn label(&self, index: usize) -> i64 {
        match &self.images.labels {
            Some(labels) if self.labelled[index] => labels[index] as i64,
            _ => NO_LABEL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::images::ImageShape;
    use super::*;

    fn set(domain: i64) -> ImageSet {
        let images = Images {
            shape: ImageShape {
                channels: 3,
                height: 1,
                width: 2,
            },
            pixels: (0..24).map(|i| i * 10).collect(),
            labels: Some(vec![2, 0, 1, 1]),
            classes: 3,
            factors: Vec::new(),
        };
        ImageSet::new(images, vec![true, false, true, false], domain).unwrap()
    }

    fn numbers(tensor: &Tensor) -> Vec<i64> {
        tensor.try_into().unwrap()
    }

    #[test]
    fn images_become_one_tensor() {
        let batch = set(1).batch(&[2, 1, 2], None);
        assert_eq!((batch.len(), batch.is_empty()), (3, false));
        assert_eq!(batch.images.size(), [3, 3, 1, 2]);
        assert_eq!(batch.images.kind(), Kind::Float);
        let first: Vec<f32> = (&batch.images.get(0).flatten(0, -1)).try_into().unwrap();
        let expected: Vec<f32> = (12..18).map(|i| (i * 10) as f32 / 255.0).collect();
        assert_eq!(first, expected);
        assert_eq!(numbers(&batch.labels), [1, NO_LABEL, 1]);
        assert_eq!(numbers(&batch.domains), [1, 1, 1]);
    }

    #[test]
    fn unused_labels_are_missing_in_batches() {
        let mut unknown = set(0);
        unknown.images.labels = None;
        assert_eq!(numbers(&unknown.batch(&[0, 1], None).labels), [NO_LABEL; 2]);
        let images = set(0).images;
        assert_eq!(
            ImageSet::new(images, vec![true], 0)
                .unwrap_err()
                .to_string(),
            "labelled images: expected 4, one per image, found 1"
        );
    }

    #[test]
    fn augmentation_depends_on_seed_and_place() {
        let set = set(0);
        let augment = ImageAugment {
            invert: true,
            ..ImageAugment::default()
        };
        let drawn = |seed| set.batch(&[1; 40], Some((&augment, seed))).images;
        assert_eq!(drawn(3), drawn(3));
        assert_ne!(drawn(3), drawn(4));
        let (first, all) = (drawn(3).get(0), drawn(3));
        let same = (0..40).filter(|&place| all.get(place) == first).count();
        assert!((5..36).contains(&same), "{same}");
    }

    #[test]
    fn batches_are_concatenated_in_order() {
        let parts = [set(0).batch(&[0, 1], None), set(1).batch(&[2], None)];
        let joined = ImageBatch::cat(&parts).to(Device::Cpu);
        assert_eq!(joined.images.size(), [3, 3, 1, 2]);
        assert_eq!(numbers(&joined.labels), [2, NO_LABEL, 1]);
        assert_eq!(numbers(&joined.domains), [0, 0, 1]);
    }
}
