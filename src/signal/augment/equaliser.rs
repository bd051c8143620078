//! A random equaliser: a low shelf, peaks and a high shelf, of frequencies evenly spaced by their logarithm (NANSY, Choi et al.
//! 2021; the filters are those of Bristow-Johnson's Audio EQ Cookbook).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::within;
use crate::error::{Error, Result};

/// The highest frequency of a filter, as a share of the sample rate.
const MOST_OF_RATE: f64 = 0.475;

/// What equalisers are drawn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EqualiserOptions {
    /// The chance that an utterance goes through one.
    pub probability: f64,
    /// Number of filters.
    pub bands: usize,
    /// The frequency of the low shelf, in Hz.
    pub low_hz: f64,
    /// The frequency of the high shelf, in Hz; lower where the sample rate ends before.
    pub high_hz: f64,
    /// The largest gain or loss of a filter, in dB.
    pub gain_db: f64,
    /// The least quality of a filter: the wider, the smaller.
    pub min_q: f64,
    /// The greatest.
    pub max_q: f64,
}

impl Default for EqualiserOptions {
    fn default() -> Self {
        Self {
            probability: 1.0,
            bands: 10,
            low_hz: 60.0,
            high_hz: 7600.0,
            gain_db: 12.0,
            min_q: 2.0,
            max_q: 5.0,
        }
    }
}

/// Gain in dB and quality of each filter, the low shelf first.
pub type Bands = Vec<(f64, f64)>;

impl EqualiserOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Option`] for a value out of range, or bounds in the wrong order.
    pub fn check(&self) -> Result<()> {
        within("equaliser.probability", self.probability, 0.0, 1.0)?;
        within("equaliser.bands", self.bands as f64, 2.0, 100.0)?;
        within("equaliser.gain_db", self.gain_db, 0.0, 60.0)?;
        within("equaliser.low_hz", self.low_hz, 1.0, 1e6)?;
        within("equaliser.high_hz", self.high_hz, 1.0, 1e6)?;
        within("equaliser.min_q", self.min_q, 0.1, 100.0)?;
        within("equaliser.max_q", self.max_q, 0.1, 100.0)?;
        for (keys, least, most) in [
            (["low_hz", "high_hz"], self.low_hz, self.high_hz),
            (["min_q", "max_q"], self.min_q, self.max_q),
        ] {
            let [low, high] = keys.map(|key| format!("equaliser.{key}"));
            if least > most {
                let expected = format!("at most {high}, {most}");
                return Err(Error::option(low, expected, least.to_string()));
            }
        }
        Ok(())
    }

    /// Draws filters: gains evenly, qualities evenly by their logarithm.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Bands {
        (0..self.bands)
            .map(|_| {
                let gain = self.gain_db * (2.0 * rng.random::<f64>() - 1.0);
                let q = self.min_q * (self.max_q / self.min_q).powf(rng.random::<f64>());
                (gain, q)
            })
            .collect()
    }

    /// The speech through an equaliser.
    pub fn apply(&self, speech: &mut [f32], sample_rate_hz: u32, bands: &Bands) {
        let rate = f64::from(sample_rate_hz);
        let high = self.high_hz.min(MOST_OF_RATE * rate);
        let low = self.low_hz.min(high);
        let last = bands.len().saturating_sub(1);
        for (place, &(gain_db, q)) in bands.iter().enumerate() {
            let hz = low * (high / low).powf(place as f64 / last.max(1) as f64);
            let shape = match place {
                0 => Shape::LowShelf,
                place if place == last => Shape::HighShelf,
                _ => Shape::Peak,
            };
            Biquad::new(shape, gain_db, std::f64::consts::TAU * hz / rate, q).apply(speech);
        }
    }
}

/// What a filter raises.
#[derive(Debug, Clone, Copy)]
enum Shape {
    LowShelf,
    Peak,
    HighShelf,
}

/// A filter of second order.
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    /// With a gain at a frequency of `turn` radians a sample.
    fn new(shape: Shape, gain_db: f64, turn: f64, q: f64) -> Self {
        let size = 10f64.powf(gain_db / 40.0);
        let (cos, alpha) = (turn.cos(), turn.sin() / (2.0 * q));
        let (b, a) = match shape {
            Shape::Peak => (
                [1.0 + alpha * size, -2.0 * cos, 1.0 - alpha * size],
                [1.0 + alpha / size, -2.0 * cos, 1.0 - alpha / size],
            ),
            Shape::LowShelf | Shape::HighShelf => {
                // A high shelf is a low one seen from the other end of the frequencies.
                let side = match shape {
                    Shape::HighShelf => -1.0,
                    _ => 1.0,
                };
                let (up, down, cos) = (size + 1.0, size - 1.0, side * cos);
                let slope = 2.0 * size.sqrt() * alpha;
                (
                    [
                        size * (up - down * cos + slope),
                        side * 2.0 * size * (down - up * cos),
                        size * (up - down * cos - slope),
                    ],
                    [
                        up + down * cos + slope,
                        side * -2.0 * (down + up * cos),
                        up + down * cos - slope,
                    ],
                )
            }
        };
        Self {
            b: b.map(|x| x / a[0]),
            a: [a[1] / a[0], a[2] / a[0]],
        }
    }

    /// Filters in place (transposed direct form II).
    fn apply(&self, samples: &mut [f32]) {
        let [b0, b1, b2] = self.b;
        let [a1, a2] = self.a;
        let (mut first, mut second) = (0.0, 0.0);
        for sample in samples {
            let x = f64::from(*sample);
            let y = b0 * x + first;
            first = b1 * x - a1 * y + second;
            second = b2 * x - a2 * y;
            *sample = y as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::power;
    use super::*;

    fn gain_db(options: &EqualiserOptions, bands: &Bands, hz: f64) -> f64 {
        let tone: Vec<f32> = (0..16_000)
            .map(|n| (0.1 * (std::f64::consts::TAU * hz * f64::from(n) / 16e3).sin()) as f32)
            .collect();
        let mut heard = tone.clone();
        options.apply(&mut heard, 16_000, bands);
        10.0 * (power(&heard[8000..]) / power(&tone[8000..])).log10()
    }

    /// Each filter has its gain where it stands, and none far away.
    #[test]
    fn filters_raise_what_they_should() {
        let options = EqualiserOptions {
            bands: 3,
            low_hz: 100.0,
            high_hz: 6400.0,
            ..EqualiserOptions::default()
        };
        let near = |bands: Bands, hz: f64, expected: f64| {
            let found = gain_db(&options, &bands, hz);
            assert!(
                (found - expected).abs() < 0.3,
                "{bands:?} at {hz} Hz: {found} dB"
            );
        };
        let peak = |gain| vec![(0.0, 2.0), (gain, 2.0), (0.0, 2.0)];
        near(peak(12.0), 800.0, 12.0);
        near(peak(-9.0), 800.0, -9.0);
        near(peak(12.0), 60.0, 0.0);
        near(peak(12.0), 7900.0, 0.0);
        let shelves = vec![(6.0, 0.7), (0.0, 2.0), (-6.0, 0.7)];
        near(shelves.clone(), 20.0, 6.0);
        near(shelves.clone(), 800.0, 0.0);
        near(shelves, 7990.0, -6.0);
    }

    #[test]
    fn low_rates_have_room_for_all_filters() {
        let options = EqualiserOptions::default();
        let bands = options.draw(&mut ChaCha8Rng::seed_from_u64(1));
        let mut noise: Vec<f32> = (0..8000).map(|n| ((n * n) % 17) as f32 / 100.0).collect();
        options.apply(&mut noise, 8000, &bands);
        assert!(noise.iter().all(|x| x.abs() < 10.0));
    }

    #[test]
    fn bounds_in_the_wrong_order_are_named() {
        let wrong = EqualiserOptions {
            min_q: 6.0,
            ..EqualiserOptions::default()
        };
        let message = wrong.check().unwrap_err().to_string();
        assert_eq!(
            message,
            "equaliser.min_q: expected at most equaliser.max_q, 5, found 6"
        );
    }
}
