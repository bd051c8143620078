//! Resizing of images, bilinear and without aliasing: smaller images are means over all pixels that they cover. Equal
//! to Pillow's `Image.resize(size, Image.BILINEAR)`, including its fixed-point arithmetic (`src/libImaging/Resample.c`
//! of Pillow).

/// Weights are integers in units of 2^-22, as in Pillow for 8 bits: 32 bits minus 8 of the pixel minus 2 for sums.
const PRECISION: u32 = 32 - 8 - 2;

/// The conversion of a plane from one size to another.
#[derive(Debug, Clone)]
pub struct Resizer {
    from: (usize, usize),
    rows: Vec<Taps>,
    columns: Vec<Taps>,
}

/// The weights of one output pixel, for the input pixels from `start` on.
#[derive(Debug, Clone)]
struct Taps {
    start: usize,
    weights: Vec<i32>,
}

impl Resizer {
    /// From one height and width, each at least 1, to another.
    pub fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        Self {
            from,
            rows: taps(from.0, to.0),
            columns: taps(from.1, to.1),
        }
    }

    /// A plane `[height, width]` in its new size.
    pub fn apply(&self, plane: &[u8]) -> Vec<u8> {
        let (width, new_width) = (self.from.1, self.columns.len());
        let wide: Vec<u8> = (plane.chunks_exact(width))
            .flat_map(|row| self.columns.iter().map(|taps| taps.of(row, 1)))
            .collect();
        (self.rows.iter())
            .flat_map(|taps| {
                let wide = &wide;
                (0..new_width).map(move |column| taps.of(&wide[column..], new_width))
            })
            .collect()
    }
}

impl Taps {
    /// The weighted sum of pixels at a distance of `stride`.
    fn of(&self, pixels: &[u8], stride: usize) -> u8 {
        let pixels = pixels.iter().step_by(stride).skip(self.start);
        let sum: i32 = (pixels.zip(&self.weights))
            .map(|(&pixel, &weight)| i32::from(pixel) * weight)
            .sum();
        ((sum + (1 << (PRECISION - 1))) >> PRECISION).clamp(0, 255) as u8
    }
}

/// A triangle around the centre of each output pixel, as wide as two input or two output pixels, whichever is wider.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let ratio = from as f64 / to as f64;
    let reach = ratio.max(1.0);
    let tap = |index: usize| {
        let centre = (index as f64 + 0.5) * ratio;
        let start = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let triangle = |pixel: usize| {
            let away = (pixel as f64 - centre + 0.5) / reach;
            (1.0 - away.abs()).max(0.0)
        };
        let weights: Vec<f64> = (start..end).map(triangle).collect();
        let sum: f64 = weights.iter().sum();
        let unit = f64::from(1 << PRECISION);
        let weights = weights.iter().map(|w| (w / sum * unit + 0.5) as i32);
        Taps {
            start,
            weights: weights.collect(),
        }
    };
    (0..to).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// A case of `tests/references/pillow_resize.py`, which says how to run it again. Sides are height and width.
    #[derive(Deserialize)]
    struct Case {
        from: (usize, usize),
        to: (usize, usize),
        pixels: Vec<u8>,
    }

    /// As the oracle draws them.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 1u32;
        let next = |_| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 24) as u8
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn results_equal_pillows() {
        let golden = include_str!("../../../tests/golden/pillow_resize.json");
        let cases: Vec<Case> = serde_json::from_str(golden).unwrap();
        assert_eq!(cases.len(), 7);
        for Case { from, to, pixels } in cases {
            let plane = noise(from.0 * from.1);
            assert_eq!(
                Resizer::new(from, to).apply(&plane),
                pixels,
                "{from:?} {to:?}"
            );
        }
    }

    #[test]
    fn a_uniform_image_stays_uniform() {
        for from in 1..20 {
            let white =
                Resizer::new((from, 20 - from), (7, 9)).apply(&vec![255; from * (20 - from)]);
            assert_eq!(white, [255; 63]);
        }
    }
}
