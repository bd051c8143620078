//! Speech at another pitch and length with its formants, by pitch-synchronous overlap-add (TD-PSOLA, Moulines and Charpentier
//! 1990): two periods around each pulse of the voice, under a window, are laid at the distances of the new pitch.

use std::f64::consts::PI;

/// Seconds from one window to the next where there is no voice.
const UNVOICED_S: f64 = 0.01;
/// How far a pulse may lie from where the pitch puts it, in periods.
const REACH: f64 = 0.2;

/// A pulse of the voice, or a place without one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mark {
    /// In samples.
    place: f64,
    /// Samples to the next.
    period: f64,
    voiced: bool,
}

/// The samples in `length` samples. `period` tells the period at a place in samples, and none where there is no voice;
/// `new_period` the one that it becomes.
pub(super) fn overlap_add(
    samples: &[f32],
    sample_rate_hz: u32,
    length: usize,
    period: impl Fn(f64) -> Option<f64>,
    new_period: impl Fn(f64, f64) -> f64,
) -> Vec<f32> {
    let marks = marks(samples, UNVOICED_S * f64::from(sample_rate_hz), period);
    let (mut sum, mut weights) = (vec![0f64; length], vec![0f64; length]);
    let ratio = samples.len() as f64 / length.max(1) as f64;
    let (mut to, mut nearest) = (0.0, 0);
    while to < length as f64 && !marks.is_empty() {
        let at = to * ratio;
        let distance = |mark: usize| (marks[mark].place - at).abs();
        while nearest + 1 < marks.len() && distance(nearest + 1) <= distance(nearest) {
            nearest += 1;
        }
        let mark = marks[nearest];
        let (from, step) = match mark.voiced {
            true => (mark.place, new_period(mark.place, mark.period)),
            // Exactly here: the same noise twice would be a tone.
            false => (at, mark.period),
        };
        let half = mark.period as isize;
        for n in -half..=half {
            let target = usize::try_from(to as isize + n)
                .ok()
                .filter(|&at| at < length);
            if let Some(target) = target {
                let weight = 0.5 + 0.5 * (PI * n as f64 / mark.period).cos();
                sum[target] += weight * sample_at(samples, from as isize + n);
                weights[target] += weight;
            }
        }
        to += step.max(1.0);
    }
    // Where windows overlap by more than half they would add up.
    let even = |(sum, weight): (&f64, &f64)| (sum / weight.max(1.0)) as f32;
    sum.iter().zip(&weights).map(even).collect()
}

/// The pulses: the first of a voiced stretch is its largest sample, each other one where the signal is most like around the last.
fn marks(samples: &[f32], unvoiced: f64, period: impl Fn(f64) -> Option<f64>) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut at = 0.0;
    while at < samples.len() as f64 {
        let mark = match (period(at), marks.last()) {
            (None, _) => Mark {
                place: at,
                period: unvoiced,
                voiced: false,
            },
            (Some(period), Some(last)) if last.voiced => Mark {
                place: most_alike(samples, last.place, at, period),
                period,
                voiced: true,
            },
            (Some(period), _) => Mark {
                place: largest(samples, at, period),
                period,
                voiced: true,
            },
        };
        marks.push(mark);
        // A step back, however small, would never end.
        at = (mark.place + mark.period).max(at + 1.0);
    }
    marks
}

/// The place of the largest sample in a period.
fn largest(samples: &[f32], at: f64, period: f64) -> f64 {
    let from = at as usize;
    let to = ((at + period) as usize).min(samples.len());
    let places = from..to.max(from + 1);
    let size = |place: &usize| samples.get(*place).map_or(0.0, |x| x.abs());
    places
        .max_by(|a, b| size(a).total_cmp(&size(b)))
        .unwrap_or(from) as f64
}

/// The place near `at` around which a period is most like that around `last`, by their normalised correlation.
fn most_alike(samples: &[f32], last: f64, at: f64, period: f64) -> f64 {
    let (half, reach) = ((period / 2.0) as isize, (REACH * period) as isize);
    let around = |place: isize| (-half..=half).map(move |n| sample_at(samples, place + n));
    let alike = |place: isize| {
        let product: f64 = around(last as isize)
            .zip(around(place))
            .map(|(a, b)| a * b)
            .sum();
        let energy: f64 = around(place).map(|x| x * x).sum();
        product / energy.sqrt().max(1e-9)
    };
    let middle = at as isize;
    // The middle comes first, so that it is taken where nothing is better.
    let places = std::iter::once(middle).chain(middle - reach..=middle + reach);
    let best = places.fold((f64::NEG_INFINITY, middle), |best, place| {
        let found = alike(place);
        if found > best.0 { (found, place) } else { best }
    });
    best.1 as f64
}

/// A sample; 0 beyond the ends.
fn sample_at(samples: &[f32], at: isize) -> f64 {
    let at = usize::try_from(at).ok();
    at.and_then(|at| samples.get(at))
        .map_or(0.0, |&x| f64::from(x))
}

#[cfg(test)]
mod tests {
    use super::super::power;
    use super::*;

    #[test]
    fn pulses_are_found_and_laid_anew() {
        let pulses: Vec<f32> = (0..8000)
            .map(|n| f32::from(u8::from(n % 100 == 30)))
            .collect();
        let found = overlap_add(&pulses, 16_000, 12_000, |_| Some(97.0), |_, _| 150.0);
        let places: Vec<usize> = (0..12_000).filter(|&n| found[n] > 0.9).collect();
        assert_eq!(places.len(), 80, "{places:?}");
        assert!(
            places.windows(2).all(|two| two[1] - two[0] == 150),
            "{places:?}"
        );
    }

    #[test]
    fn noise_keeps_its_power_at_any_length() {
        let noise: Vec<f32> = (0..16_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 - 0.5)
            .collect();
        for length in [8000, 16_000, 30_000] {
            let found = overlap_add(&noise, 16_000, length, |_| None, |_, period| period);
            let ratio = power(&found[500..length - 500]) / power(&noise);
            // Of two windows over noise that is not the same, powers add: 3/4 on average.
            assert!((0.6..1.05).contains(&ratio), "{length}: {ratio}");
        }
        assert!(overlap_add(&[], 16_000, 0, |_| None, |_, period| period).is_empty());
    }
}
