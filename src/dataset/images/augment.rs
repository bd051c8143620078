//! Augmentation of images.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ImageShape;
use crate::error::{Error, Result};

/// Largest shift in pixels, above any image size: an invalid number must not overflow.
const MOST_SHIFT: usize = 4096;

/// Random augmentation, drawn evenly between bounds for each image; none by default. Geometry comes first, then
/// contrast, then inversion.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageAugment {
    /// Largest shift to either side and up or down, in whole pixels.
    pub shift: usize,
    /// Mirror half of the images left to right.
    pub flip: bool,
    /// Largest rotation around the centre in either direction, in degrees.
    pub rotate: f64,
    /// Largest relative change of size.
    pub scale: f64,
    /// Exchange black and white in half of the images.
    pub invert: bool,
    /// Largest relative change of contrast: of the distances from the image's mean.
    pub contrast: f64,
}

/// Where a pixel's value is taken from.
struct Placement {
    middle: (f64, f64),
    shift: (f64, f64),
    flip: f64,
    /// Sine and cosine of the rotation, divided by the scale.
    turn: (f64, f64),
}

impl ImageAugment {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] for a shift beyond 4096 pixels, a rotation outside 0 to 180 degrees, a scale outside 0 to 0.9,
    /// a contrast outside 0 to 1.
    pub fn check(&self) -> Result<()> {
        within("augment.shift", self.shift as f64, MOST_SHIFT as f64)?;
        within("augment.rotate", self.rotate, 180.0)?;
        within("augment.scale", self.scale, 0.9)?;
        within("augment.contrast", self.contrast, 1.0)
    }

    /// Augments an image `[channels, height, width]` in place, all channels in the same way. Between pixels values are
    /// bilinear; outside the image they are black.
    pub fn apply(&self, pixels: &mut [u8], shape: ImageShape, rng: &mut ChaCha8Rng) {
        if self.shift > 0 || self.flip || self.rotate > 0.0 || self.scale > 0.0 {
            let placement = self.place(shape, rng);
            for plane in pixels.chunks_exact_mut(shape.height * shape.width) {
                placement.move_plane(plane, shape.width);
            }
        }
        if self.contrast > 0.0 {
            change_contrast(pixels, 1.0 + self.contrast * around_zero(rng));
        }
        if self.invert && rng.random() {
            for pixel in pixels {
                *pixel = 255 - *pixel;
            }
        }
    }

    fn place(&self, shape: ImageShape, rng: &mut ChaCha8Rng) -> Placement {
        let most = self.shift as i64;
        let shift = [(); 2].map(|()| rng.random_range(-most..=most) as f64);
        let flip = if self.flip && rng.random() { -1.0 } else { 1.0 };
        let angle = (self.rotate * around_zero(rng)).to_radians();
        let scale = 1.0 + self.scale * around_zero(rng);
        let middle = |side: usize| (side as f64 - 1.0) / 2.0;
        Placement {
            middle: (middle(shape.height), middle(shape.width)),
            shift: (shift[0], shift[1]),
            flip,
            turn: (angle.sin() / scale, angle.cos() / scale),
        }
    }
}

impl Placement {
    fn move_plane(&self, plane: &mut [u8], width: usize) {
        let still = plane.to_vec();
        for (at, pixel) in plane.iter_mut().enumerate() {
            let (row, column) = self.source((at / width) as f64, (at % width) as f64);
            *pixel = between(&still, width, row, column);
        }
    }

    /// Row and column in the original image.
    fn source(&self, row: f64, column: f64) -> (f64, f64) {
        let down = row - self.middle.0 - self.shift.0;
        let right = column - self.middle.1 - self.shift.1;
        let (sine, cosine) = self.turn;
        (
            self.middle.0 + cosine * down - sine * right,
            self.middle.1 + self.flip * (cosine * right + sine * down),
        )
    }
}

/// The bilinear value at a position between pixels.
fn between(plane: &[u8], width: usize, row: f64, column: f64) -> u8 {
    let (top, left) = (row.floor(), column.floor());
    let value = |row: f64, column: f64| {
        let height = plane.len() / width;
        let inside = row >= 0.0 && column >= 0.0 && row < height as f64 && column < width as f64;
        match inside {
            true => f64::from(plane[row as usize * width + column as usize]),
            false => 0.0,
        }
    };
    let mix = |a: f64, b: f64, share: f64| a + share * (b - a);
    let along = |row: f64| mix(value(row, left), value(row, left + 1.0), column - left);
    (mix(along(top), along(top + 1.0), row - top) + 0.5) as u8
}

fn change_contrast(pixels: &mut [u8], factor: f64) {
    let sum: u64 = pixels.iter().map(|&pixel| u64::from(pixel)).sum();
    let mean = sum as f64 / pixels.len().max(1) as f64;
    for pixel in pixels {
        // Casts saturate at 0 and 255.
        *pixel = (mean + factor * (f64::from(*pixel) - mean)).round() as u8;
    }
}

/// A random number from -1 to 1.
fn around_zero(rng: &mut impl Rng) -> f64 {
    2.0 * rng.random::<f64>() - 1.0
}

fn within(option: &str, value: f64, most: f64) -> Result<()> {
    match (0.0..=most).contains(&value) {
        true => Ok(()),
        false => {
            let expected = format!("a number from 0 to {most}");
            Err(Error::option(option, expected, value.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const SHAPE: ImageShape = ImageShape {
        channels: 2,
        height: 5,
        width: 7,
    };
    const NONE: ImageAugment = ImageAugment {
        shift: 0,
        flip: false,
        rotate: 0.0,
        scale: 0.0,
        invert: false,
        contrast: 0.0,
    };

    fn image() -> Vec<u8> {
        (0..SHAPE.values()).map(|i| (10 + i * 3) as u8).collect()
    }

    /// The results of 50 seeds on the image.
    fn varied(options: ImageAugment) -> Vec<Vec<u8>> {
        let vary = |seed| {
            let mut pixels = image();
            options.apply(&mut pixels, SHAPE, &mut ChaCha8Rng::seed_from_u64(seed));
            pixels
        };
        (0..50).map(vary).collect()
    }

    fn placed(options: ImageAugment, change: fn(&mut Placement)) -> Vec<u8> {
        let mut placement = options.place(SHAPE, &mut ChaCha8Rng::seed_from_u64(0));
        change(&mut placement);
        let mut plane = image()[..35].to_vec();
        placement.move_plane(&mut plane, 7);
        plane
    }

    #[test]
    fn the_default_changes_nothing() {
        assert_eq!(ImageAugment::default(), NONE);
        assert!(varied(NONE).iter().all(|pixels| *pixels == image()));
    }

    #[test]
    fn shifts_are_whole_pixels_and_fill_with_black() {
        let shifted = placed(NONE, |placement| placement.shift = (1.0, -2.0));
        for (at, pixel) in shifted.iter().enumerate() {
            let (row, column) = (at / 7, at % 7);
            let expected = match row >= 1 && column + 2 < 7 {
                true => image()[(row - 1) * 7 + column + 2],
                false => 0,
            };
            assert_eq!(*pixel, expected);
        }
        let all = varied(ImageAugment { shift: 1, ..NONE });
        let distinct: std::collections::HashSet<_> = all.into_iter().collect();
        assert_eq!(distinct.len(), 9);
    }

    #[test]
    fn half_the_images_are_flipped_or_inverted() {
        let flipped: Vec<u8> = image()
            .chunks(7)
            .flat_map(|row| row.iter().rev().copied())
            .collect();
        let inverted: Vec<u8> = image().iter().map(|pixel| 255 - pixel).collect();
        for (options, other) in [
            (ImageAugment { flip: true, ..NONE }, flipped),
            (
                ImageAugment {
                    invert: true,
                    ..NONE
                },
                inverted,
            ),
        ] {
            let all = varied(options);
            let kept = all.iter().filter(|pixels| **pixels == image()).count();
            let changed = all.iter().filter(|pixels| **pixels == other).count();
            assert_eq!(kept + changed, 50);
            assert!((15..35).contains(&kept), "{kept}");
        }
    }

    #[test]
    fn a_quarter_turn_and_half_the_size_move_pixels_as_expected() {
        let turned = placed(NONE, |placement| placement.turn = (0.0, -1.0));
        let mut expected = image()[..35].to_vec();
        expected.reverse();
        assert_eq!(turned, expected);
        // After a quarter turn, pixels from the right of the centre are above or below it.
        let quarter = placed(NONE, |placement| placement.turn = (1.0, 0.0));
        assert_eq!(quarter[2 * 7 + 4], image()[7 + 3]);
        let half = placed(NONE, |placement| placement.turn = (0.0, 2.0));
        assert_eq!(half[2 * 7 + 3], image()[2 * 7 + 3]);
        assert_eq!(half[2 * 7 + 4], image()[2 * 7 + 5]);
        assert_eq!(half[0], 0);
    }

    #[test]
    fn contrast_keeps_the_mean() {
        // As much as is possible without clipping.
        for pixels in varied(ImageAugment {
            contrast: 0.09,
            ..NONE
        }) {
            let sum = |pixels: &[u8]| pixels.iter().map(|&p| i64::from(p)).sum::<i64>();
            assert!((sum(&pixels) - sum(&image())).abs() <= 35);
            assert!(pixels.is_sorted());
        }
        let mut pixels = [0, 255];
        change_contrast(&mut pixels, 2.0);
        assert_eq!(pixels, [0, 255]);
    }

    #[test]
    fn all_augmentations_together_keep_the_range() {
        let all = ImageAugment {
            shift: 2,
            flip: true,
            rotate: 180.0,
            scale: 0.9,
            invert: true,
            contrast: 1.0,
        };
        all.check().unwrap();
        assert_eq!(varied(all), varied(all));
    }

    #[test]
    fn invalid_options_are_refused() {
        let wrong = [
            ImageAugment {
                shift: 5000,
                ..NONE
            },
            ImageAugment {
                rotate: -1.0,
                ..NONE
            },
            ImageAugment { scale: 1.0, ..NONE },
            ImageAugment {
                contrast: f64::NAN,
                ..NONE
            },
        ];
        assert!(wrong.iter().all(|options| options.check().is_err()));
        let text = wrong[2].check().unwrap_err().to_string();
        assert_eq!(
            text,
            "augment.scale: expected a number from 0 to 0.9, found 1"
        );
    }
}
