//! Scales from values to pixels, and round values for ticks.

/// Seconds to pixels from the left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TimeAxis {
    /// The whole sound; above 0.
    pub seconds: f64,
    /// The pixels of its start and end.
    pub pixels: (f64, f64),
}

impl TimeAxis {
    pub(super) fn new(seconds: f64, pixels: (f64, f64)) -> Self {
        Self { seconds, pixels }
    }

    /// The pixel of a time; times outside are clamped.
    pub(super) fn at(&self, seconds: f64) -> f64 {
        let part = (seconds / self.seconds).clamp(0.0, 1.0);
        self.pixels.0 + part * self.width()
    }

    /// The time at a pixel.
    pub(super) fn moment(&self, pixel: f64) -> f64 {
        (pixel - self.pixels.0) / self.width() * self.seconds
    }

    pub(super) fn width(&self) -> f64 {
        self.pixels.1 - self.pixels.0
    }
}

/// Round values from `low` to `high`, at most about `most` of them, with their texts.
pub(crate) fn ticks(low: f64, high: f64, most: f64) -> Vec<(f64, String)> {
    let span = high - low;
    if !(span > 0.0 && most >= 1.0) {
        return Vec::new();
    }
    let rough = span / most;
    let unit = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * unit)
        .into_iter()
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * unit);
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last)
        .map(|index| {
            let value = index as f64 * step;
            (value, format!("{value:.decimals$}"))
        })
        .collect()
}

/// The next number of one digit or one and a half that is not below `value`; 1 for 0.
pub(super) fn round_up(value: f64) -> f64 {
    if !(value > 0.0 && value.is_finite()) {
        return 1.0;
    }
    let unit = 10f64.powf(value.log10().floor());
    let round = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0].map(|factor| factor * unit);
    round
        .into_iter()
        .find(|round| *round >= value * 0.999_999)
        .unwrap_or(10.0 * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let texts = |low, high, most| -> Vec<String> {
            ticks(low, high, most)
                .into_iter()
                .map(|(_, text)| text)
                .collect()
        };
        assert_eq!(
            texts(0.0, 1.07, 6.0),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(texts(50.0, 400.0, 4.0), ["100", "200", "300", "400"]);
        assert_eq!(texts(-0.5, 0.5, 3.0), ["-0.5", "0.0", "0.5"]);
        assert_eq!(texts(3.0, 3.0, 3.0), [""; 0]);
        assert_eq!(texts(0.0, 0.004, 2.0), ["0.000", "0.002", "0.004"]);
    }

    #[test]
    fn limits_are_round() {
        for (value, round) in [
            (0.37, 0.4),
            (1.0, 1.0),
            (2.4, 3.0),
            (0.011, 0.015),
            (0.0, 1.0),
            (8.5, 10.0),
        ] {
            assert!((round_up(value) / round - 1.0).abs() < 1e-9, "{value}");
        }
    }
}
