//! Conversion of images to the shape of the options.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ImageShape;
use super::resize::Resizer;
use crate::error::{Error, Result};

/// Largest height and width.
pub const MOST_SIDE: usize = 4096;

/// Size and channels that all images are converted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageOptions {
    /// Height and width in pixels; the aspect ratio is not kept. 0 keeps the size.
    pub size: usize,
    /// 1 converts to grey (luma of ITU-R BT.601), 3 repeats grey in three channels, 0 keeps the channels.
    pub channels: usize,
    /// Use only this many images from the start of the source; 0 uses all.
    pub first: usize,
}

impl ImageOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] for a size beyond 4096 or channels other than 0, 1 and 3.
    pub fn check(&self) -> Result<()> {
        if self.size > MOST_SIDE {
            let expected = format!("at most {MOST_SIDE}");
            return Err(Error::option("view.size", expected, self.size.to_string()));
        }
        match self.channels {
            0 | 1 | 3 => Ok(()),
            other => Err(Error::option(
                "view.channels",
                "0, 1 or 3",
                other.to_string(),
            )),
        }
    }
}

/// A conversion from one image shape to another.
pub(super) struct Fit {
    from: ImageShape,
    to: ImageShape,
    resizer: Option<Resizer>,
}

impl Fit {
    pub(super) fn new(from: ImageShape, options: &ImageOptions) -> Self {
        let or = |requested: usize, own: usize| if requested > 0 { requested } else { own };
        let to = ImageShape {
            channels: or(options.channels, from.channels),
            height: or(options.size, from.height),
            width: or(options.size, from.width),
        };
        let (old, new) = ((from.height, from.width), (to.height, to.width));
        Self {
            from,
            to,
            resizer: (old != new).then(|| Resizer::new(old, new)),
        }
    }

    /// The target shape.
    pub(super) fn shape(&self) -> ImageShape {
        self.to
    }

    /// Whether `[images, height, width, channels]` need no conversion.
    pub(super) fn is_nothing(&self) -> bool {
        self.from == self.to && self.to.channels == 1
    }

    /// Writes an image `[height, width, channels]` as `[channels, height, width]`.
    pub(super) fn apply(&self, image: &[u8], fitted: &mut [u8]) {
        let channels = self.from.channels;
        let planes: Vec<Vec<u8>> = if channels == 3 && self.to.channels == 1 {
            vec![luma(image)]
        } else {
            let plane = |channel| image.iter().skip(channel).step_by(channels);
            (0..channels)
                .map(|channel| plane(channel).copied().collect())
                .collect()
        };
        let planes: Vec<Vec<u8>> = match &self.resizer {
            None => planes,
            Some(resizer) => planes.iter().map(|plane| resizer.apply(plane)).collect(),
        };
        // One plane is repeated if more are needed.
        let targets = fitted.chunks_exact_mut(self.to.height * self.to.width);
        for (target, plane) in targets.zip(planes.iter().cycle()) {
            target.copy_from_slice(plane);
        }
    }
}

/// Luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, in units of 2^-16 as Pillow computes it.
fn luma(image: &[u8]) -> Vec<u8> {
    let (pixels, _) = image.as_chunks::<3>();
    let weigh = |[r, g, b]: &[u8; 3]| {
        let sum = 19595 * u32::from(*r) + 38470 * u32::from(*g) + 7471 * u32::from(*b);
        ((sum + 0x8000) >> 16) as u8
    };
    pixels.iter().map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(channels: usize, image: &[u8], options: ImageOptions) -> Vec<u8> {
        let from = ImageShape {
            channels,
            height: 1,
            width: 2,
        };
        let fit = Fit::new(from, &options);
        let mut fitted = vec![0; fit.shape().values()];
        fit.apply(image, &mut fitted);
        fitted
    }

    #[test]
    fn channels_come_first_in_the_requested_number() {
        let kept = ImageOptions::default();
        let grey = ImageOptions {
            channels: 1,
            ..kept
        };
        let colours = ImageOptions {
            channels: 3,
            ..kept
        };
        let image = [255, 0, 0, 0, 255, 10];
        assert_eq!(fitted(3, &image, kept), [255, 0, 0, 255, 0, 10]);
        assert_eq!(fitted(3, &image, colours), [255, 0, 0, 255, 0, 10]);
        // 0.299 and 0.587 of 255, and 0.114 of it for blue.
        assert_eq!(fitted(3, &image, grey), [76, 151]);
        assert_eq!(fitted(1, &[4, 9], grey), [4, 9]);
        assert_eq!(fitted(1, &[4, 9], colours), [4, 9, 4, 9, 4, 9]);
    }

    #[test]
    fn white_stays_white() {
        let small = ImageOptions {
            size: 1,
            channels: 1,
            ..ImageOptions::default()
        };
        assert_eq!(fitted(3, &[255; 6], small), [255]);
    }
}
