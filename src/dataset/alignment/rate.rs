//! Whether a frame shift fits the times of phones.

use super::{FrameTimes, TimedPhone};
use crate::error::{Error, Result};

/// By how much a shift may be off. Silence at the end, as a share of utterances at several speeds, was taken for 3 %; phones of another
/// speed differ by 9 %.
pub(crate) const TOLERANCE: f64 = 0.05;

/// Fewer pairs of a short and a long utterance could all be off by chance.
const MIN_PAIRS: usize = 6;

/// Frames of utterances and the ends of their last phones.
#[derive(Debug, Default)]
pub struct Lengths(Vec<(usize, f64)>);

impl Lengths {
    /// Adds an utterance of so many frames; one without phones says nothing.
    pub fn add<P>(&mut self, frames: usize, phones: &[TimedPhone<P>]) {
        let ends = phones.iter().map(|phone| phone.start + phone.duration);
        self.0
            .extend(ends.reduce(f64::max).map(|end| (frames, end)));
    }

    /// Refuses a frame shift by which features and phones differ by more than 5 %. How many seconds phones last per frame is
    /// taken from how much later they end in long utterances than in short ones: silence at the end, which alignments may
    /// lack, is not counted then. The shift is outside of the 95 % interval of that too. Few utterances tell nothing, nor those of
    /// one length, nor phones that end at any time.
    ///
    /// # Errors
    /// [`Error::Option`] with both rates.
    pub fn check(mut self, times: FrameTimes, source: &str) -> Result<()> {
        self.0.sort_by_key(|(frames, _)| *frames);
        let (short, long) = self.0.split_at(self.0.len() / 2);
        let pairs = short
            .iter()
            .zip(long)
            .filter(|(short, long)| short.0 < long.0);
        let mut shifts: Vec<f64> = pairs
            .map(|(short, long)| 1000.0 * (long.1 - short.1) / (long.0 - short.0) as f64)
            .collect();
        shifts.sort_by(f64::total_cmp);
        let last = match shifts.len() {
            0..MIN_PAIRS => return Ok(()),
            count => count - 1,
        };
        if !(0.1..10.0).contains(&(shifts[last / 2] / times.shift_ms)) {
            return Ok(());
        }
        // The ranks that hold a median in 95 % of samples, as the binomial distribution is about normal.
        let half = shifts.len() as f64 / 2.0;
        let rank = (half - half.sqrt() * 1.39).max(0.0) as usize;
        let off = |shift: f64| shift / times.shift_ms - 1.0;
        match off(shifts[last - rank]) < -TOLERANCE || off(shifts[rank]) > TOLERANCE {
            true => Err(other_shift(shifts[last / 2], times, source)),
            false => Ok(()),
        }
    }
}

/// The error of a frame shift where features are as long as `source` by another one.
pub fn other_shift(shift_ms: f64, times: FrameTimes, source: &str) -> Error {
    let expected = format!(
        "about {shift_ms:.2} ms ({:.2} frames per second), by which features are as long as {source}",
        1000.0 / shift_ms,
    );
    let given = format!(
        "{} ms ({:.2} frames per second)",
        times.shift_ms,
        1000.0 / times.shift_ms
    );
    Error::option("--frame-shift-ms", expected, given)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Utterances of 10 ms per frame, whose phones end up to 0.3 s before.
    fn utterances() -> Lengths {
        let mut lengths = Lengths::default();
        for number in 0..40usize {
            let frames = 100 + 37 * number % 400;
            let end = frames as f64 / 100.0 - [0.05, 0.3, 0.1, 0.2][number % 4];
            let phone = |start| TimedPhone {
                start,
                duration: 0.1,
                phone: "a",
            };
            lengths.add(frames, &[phone(end - 0.1), phone(0.0)]);
        }
        lengths.add::<&str>(7, &[]);
        lengths
    }

    fn times(shift_ms: f64) -> FrameTimes {
        FrameTimes {
            shift_ms,
            first_ms: shift_ms / 2.0,
        }
    }

    #[test]
    fn silence_at_the_end_does_not_count() {
        for right in [9.9, 10.0, 10.1] {
            utterances().check(times(right), "a.ctm").unwrap();
        }
    }

    #[test]
    fn silence_of_slow_copies_is_longer() {
        let mut lengths = Lengths::default();
        for number in 0..300usize {
            let speed = [0.9, 1.0, 1.1][number % 3];
            let spoken = 1.5 + 0.02 * (37 * number % 100) as f64;
            let silence = [0.6, 0.8, 1.0][number / 3 % 3];
            let phone = TimedPhone {
                start: 0.0,
                duration: spoken / speed,
                phone: "a",
            };
            lengths.add((100.0 * (spoken + silence) / speed) as usize, &[phone]);
        }
        lengths.check(times(10.0), "a.ctm").unwrap();
    }

    #[test]
    fn another_shift_is_named() {
        for wrong in [5.0, 8.0, 12.5, 20.0] {
            let error = utterances().check(times(wrong), "a.ctm").unwrap_err();
            let error = error.to_string();
            assert!(error.contains("as long as a.ctm"), "{error}");
            let found = error
                .split(" ms")
                .next()
                .and_then(|text| text.split(' ').next_back());
            let found: f64 = found.unwrap().parse().unwrap();
            assert!((found - 10.0).abs() < 0.3, "{error}");
        }
    }

    #[test]
    fn phones_of_the_first_second_tell_nothing() {
        let mut lengths = Lengths::default();
        for number in 0..40 {
            let phone = TimedPhone {
                start: 0.5,
                duration: 0.5,
                phone: 1,
            };
            lengths.add(100 + 10 * number, &[phone]);
        }
        lengths.check(times(10.0), "a.ctm").unwrap();
    }

    #[test]
    fn one_length_tells_nothing() {
        let mut lengths = Lengths::default();
        for _ in 0..9 {
            lengths.add(
                100,
                &[TimedPhone {
                    start: 0.0,
                    duration: 0.2,
                    phone: 1,
                }],
            );
        }
        lengths.check(times(10.0), "a.ctm").unwrap();
        Lengths::default().check(times(10.0), "a.ctm").unwrap();
    }
}
