//! Image sets: their sources, sampling and augmentation. All images are in memory, as bytes.

pub mod augment;
mod fit;
pub mod labelled;
pub mod resize;
pub mod sampler;
pub mod source;
pub mod sprites;

pub use augment::ImageAugment;
pub use fit::{ImageOptions, MOST_SIDE};
pub use labelled::draw_labelled;
pub use sampler::ImageSampler;
pub use source::ImageSource;
pub use sprites::Ground;

use crate::error::{Error, Result};

/// The shape of all images of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// 1 is grey, 3 is red, green and blue.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl ImageShape {
    /// Values of an image.
    pub fn values(self) -> usize {
        self.channels * self.height * self.width
    }
}

/// A known factor of each image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFactor {
    /// As `shade`.
    pub name: String,
    /// One class per image.
    pub classes: Vec<usize>,
}

/// Images of one shape, with their labels and factors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The shape of every image.
    pub shape: ImageShape,
    /// `[images, channels, height, width]`, 0 is black.
    pub pixels: Vec<u8>,
    /// One class per image, if known.
    pub labels: Option<Vec<usize>>,
    /// Number of classes: the largest label plus one, or the number of classes of the source; 0 without labels.
    pub classes: usize,
    /// Known factors.
    pub factors: Vec<KnownFactor>,
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.shape.values().max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Image `number`, `[channels, height, width]`.
    pub fn image(&self, number: usize) -> &[u8] {
        let values = self.shape.values();
        &self.pixels[number * values..][..values]
    }

    /// The given images, in that order, with their labels and factors; the number of classes stays.
    pub fn select(&self, numbers: &[usize]) -> Images {
        let of = |classes: &[usize]| numbers.iter().map(|&number| classes[number]).collect();
        Images {
            shape: self.shape,
            pixels: (numbers.iter())
                .flat_map(|&number| self.image(number))
                .copied()
                .collect(),
            labels: self.labels.as_deref().map(of),
            classes: self.classes,
            factors: (self.factors.iter())
                .map(|KnownFactor { name, classes }| KnownFactor {
                    name: name.clone(),
                    classes: of(classes),
                })
                .collect(),
        }
    }

    /// Refuses labels without an output in a network of so many classes.
    ///
    /// # Errors
    /// [`Error::Option`] naming the first such image.
    pub fn check_labels(&self, classes: usize) -> Result<()> {
        let mut labels = self.labels.iter().flatten().enumerate();
        match labels.find(|(_, label)| **label >= classes) {
            None => Ok(()),
            Some((number, label)) => {
                let expected = format!("a class below {classes}");
                let option = format!("label of image {number}");
                Err(Error::option(option, expected, label.to_string()))
            }
        }
    }

    /// Refuses labels of a single class.
    ///
    /// # Errors
    /// [`Error::Option`] if all labels are equal.
    pub fn check_classes(&self) -> Result<()> {
        let Some([first, rest @ ..]) = self.labels.as_deref() else {
            return Ok(());
        };
        if rest.iter().any(|label| label != first) {
            return Ok(());
        }
        let found = format!("class {first} alone");
        Err(Error::option("labels", "at least 2 classes", found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four() -> Images {
        Images {
            shape: ImageShape {
                channels: 1,
                height: 1,
                width: 2,
            },
            pixels: (0..8).collect(),
            labels: Some(vec![0, 2, 1, 2]),
            classes: 3,
            factors: vec![KnownFactor {
                name: "shade".into(),
                classes: vec![3, 2, 1, 0],
            }],
        }
    }

    #[test]
    fn selected_images_keep_labels_and_factors() {
        let images = four();
        assert_eq!((images.len(), images.image(2)), (4, &[4, 5][..]));
        let two = images.select(&[3, 1]);
        assert_eq!(two.pixels, [6, 7, 2, 3]);
        assert_eq!(two.labels, Some(vec![2, 2]));
        assert_eq!(two.factors[0].classes, [0, 2]);
        assert_eq!((two.len(), two.classes), (2, 3));
        assert!(images.select(&[]).is_empty());
    }

    #[test]
    fn labels_are_checked() {
        let images = four();
        images.check_labels(3).unwrap();
        images.check_classes().unwrap();
        assert_eq!(
            images.check_labels(2).unwrap_err().to_string(),
            "label of image 1: expected a class below 2, found 2"
        );
        assert_eq!(
            images
                .select(&[1, 3])
                .check_classes()
                .unwrap_err()
                .to_string(),
            "labels: expected at least 2 classes, found class 2 alone"
        );
        let unknown = Images {
            labels: None,
            ..images
        };
        unknown.check_labels(0).unwrap();
        unknown.check_classes().unwrap();
    }
}
