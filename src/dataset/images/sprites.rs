//! Generated images with known factors, similar to dSprites (Matthey et al. 2017,
//! <https://github.com/google-deepmind/dsprites-dataset>): one bright shape on black, 28 by 28 pixels. Differences to
//! dSprites: edges are smooth, images are drawn at random rather than enumerated, and shapes have a shade. Angles are
//! eighths of the rotation after which a shape looks the same (90 degrees for a square, 180 for an ellipse, 360 for a
//! heart), so that different angles give different images.

use std::f64::consts::TAU;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ImageShape, Images, KnownFactor};

/// The shape of all images.
pub const SHAPE: ImageShape = ImageShape {
    channels: 1,
    height: SIDE,
    width: SIDE,
};
const SIDE: usize = 28;

/// Factors and their numbers of classes; all classes have the same probability, independent of other factors.
pub const FACTORS: [(&str, usize); 6] = [
    ("shape", SHAPES),
    ("size", 4),
    ("angle", ANGLES),
    ("x", 8),
    ("y", 8),
    ("shade", 3),
];
/// Square, ellipse, heart.
const SHAPES: usize = 3;
const ANGLES: usize = 8;

/// Radius of the circle around the shape, by size, in pixels.
const RADII: [f64; 4] = [4.0, 5.25, 6.5, 7.75];
/// Pixels between neighbouring positions; all shapes are completely inside the image.
const STEP: f64 = 1.5;
const SHADES: [f64; 3] = [95.0, 175.0, 255.0];
/// Largest value of the noise.
const NOISE: u8 = 80;
/// Number of rotations of a full turn after which a shape looks the same.
const SYMMETRIES: [f64; SHAPES] = [4.0, 2.0, 1.0];
/// Sample points per pixel, along each side.
const POINTS: usize = 4;

/// Background of the shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// Black.
    #[default]
    Black,
    /// Grey noise, darker than any shape: a second domain for domain adaptation.
    Noise,
}

/// Draws `count` images, each from `seed` and its index only; labels are shapes.
pub fn sprites(count: usize, seed: u64, ground: Ground) -> Images {
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let classes: Vec<_> = (0..count).map(|number| draw(&rng, number)).collect();
    let mut pixels = vec![0; count * SHAPE.values()];
    (pixels.par_chunks_exact_mut(SHAPE.values()))
        .zip(&classes)
        .enumerate()
        .for_each(|(number, (image, classes))| {
            render(classes, image);
            if ground == Ground::Noise {
                onto_noise(&rng, number, image);
            }
        });
    let of = |factor: usize| classes.iter().map(|classes| classes[factor]).collect();
    let factors = FACTORS.iter().enumerate();
    Images {
        shape: SHAPE,
        pixels,
        labels: Some(of(0)),
        classes: SHAPES,
        factors: factors
            .map(|(factor, (name, _))| KnownFactor {
                name: name.to_string(),
                classes: of(factor),
            })
            .collect(),
    }
}

/// A class per factor.
fn draw(rng: &ChaCha8Rng, number: usize) -> [usize; FACTORS.len()] {
    let mut rng = rng.clone();
    rng.set_stream(number as u64);
    FACTORS.map(|(_, classes)| rng.random_range(0..classes))
}

/// Draws a shape onto black.
fn render(classes: &[usize; FACTORS.len()], image: &mut [u8]) {
    let [shape, size, angle, x, y, shade] = *classes;
    let place = |class: usize| SIDE as f64 / 2.0 + STEP * (class as f64 - 3.5);
    let (radius, across, down) = (RADII[size], place(x), place(y));
    let turn = TAU / SYMMETRIES[shape] * angle as f64 / ANGLES as f64;
    let (sine, cosine) = turn.sin_cos();
    let pixels = |centre: f64| (centre - radius) as usize..(centre + radius).ceil() as usize;
    let point = |pixel: usize, part: usize| pixel as f64 + (part as f64 + 0.5) / POINTS as f64;
    for (row, column) in pixels(down).flat_map(|row| pixels(across).map(move |c| (row, c))) {
        let covered = (0..POINTS * POINTS).filter(|index| {
            let right = (point(column, index % POINTS) - across) / radius;
            let up = (down - point(row, index / POINTS)) / radius;
            inside(
                shape,
                cosine * right + sine * up,
                cosine * up - sine * right,
            )
        });
        let share = covered.count() as f64 / (POINTS * POINTS) as f64;
        image[row * SIDE + column] = (share * SHADES[shade] + 0.5) as u8;
    }
}

/// Replaces pixels that are darker than noise of up to [`NOISE`].
fn onto_noise(rng: &ChaCha8Rng, number: usize, image: &mut [u8]) {
    let mut rng = rng.clone();
    // The factors use the streams below.
    rng.set_stream(number as u64 | 1 << 63);
    for pixel in image {
        *pixel = (*pixel).max(rng.random_range(0..=NOISE));
    }
}

/// Whether a point is inside a shape. All shapes are in the unit circle, and cover about the same share of it.
fn inside(shape: usize, x: f64, y: f64) -> bool {
    match shape {
        0 => x.abs() <= 0.7 && y.abs() <= 0.7,
        1 => x * x + (y / 0.55).powi(2) <= 1.0,
        _ => {
            // The curve (x^2 + y^2 - 1)^3 = x^2 y^3, whose farthest points are 1.42 from its centre.
            let (x, y) = (1.43 * x, 1.43 * y);
            (x * x + y * y - 1.0).powi(3) <= x * x * y.powi(3)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_image_depends_only_on_seed_and_index() {
        let many = sprites(50, 3, Ground::Black);
        let few = sprites(20, 3, Ground::Black);
        assert_eq!(many.select(&(0..20).collect::<Vec<_>>()), few);
        assert_ne!(sprites(20, 4, Ground::Black), few);
        assert_eq!(many.labels.as_ref(), Some(&many.factors[0].classes));
    }

    #[test]
    fn noise_is_behind_the_shape() {
        let (black, noise) = (sprites(9, 3, Ground::Black), sprites(9, 3, Ground::Noise));
        assert_eq!(black.factors, noise.factors);
        assert_eq!(sprites(4, 3, Ground::Noise).pixels, noise.pixels[..4 * 784]);
        for (shape, pixel) in black.pixels.iter().zip(&noise.pixels) {
            assert!(pixel == shape || (shape < pixel && *pixel <= NOISE));
        }
        let lit = noise.pixels.iter().filter(|pixel| **pixel > 0).count();
        assert!(lit > noise.pixels.len() * 9 / 10);
    }

    #[test]
    fn different_factors_give_different_images_with_the_shape_inside() {
        let mut images = HashSet::new();
        let mut add = |classes: [usize; 6]| {
            let mut image = vec![0; SHAPE.values()];
            render(&classes, &mut image);
            let edge = |at: usize| at == 0 || at == SIDE - 1;
            for (at, pixel) in image.iter().enumerate() {
                assert!(
                    *pixel == 0 || !edge(at / SIDE) && !edge(at % SIDE),
                    "{classes:?}"
                );
            }
            assert!(
                image
                    .iter()
                    .any(|&pixel| f64::from(pixel) == SHADES[classes[5]])
            );
            assert!(images.insert(image), "{classes:?}");
        };
        for number in 0..SHAPES * 4 * ANGLES * 3 {
            let (shape, size) = (number % 3, number / 3 % 4);
            let (angle, shade) = (number / 12 % 8, number / 96);
            add([shape, size, angle, 0, 0, shade]);
            add([shape, size, angle, 7, 7, shade]);
            add([shape, size, angle, 3, 4, shade]);
        }
    }

    #[test]
    fn classes_have_the_same_probability() {
        const DRAWS: f64 = 4.0 * 8000.0;
        let sets: Vec<Images> = (0..4)
            .map(|seed| sprites(8000, seed, Ground::Black))
            .collect();
        for (factor, (name, classes)) in FACTORS.into_iter().enumerate() {
            assert!(sets.iter().all(|set| set.factors[factor].name == name));
            for class in 0..classes {
                let drawn = sets.iter().flat_map(|set| &set.factors[factor].classes);
                let found = drawn.filter(|&&c| c == class).count() as f64;
                // Within four standard deviations of a uniform draw.
                let chance = 1.0 / classes as f64;
                let deviation = (DRAWS * chance * (1.0 - chance)).sqrt();
                let off = (found - DRAWS * chance).abs();
                assert!(off < 4.0 * deviation, "{name} {class}: {found}");
            }
        }
    }
}
