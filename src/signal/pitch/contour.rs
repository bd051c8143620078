//! A pitch contour: for each frame the fundamental frequency (F0) and whether the frame is voiced, for resynthesis and for
//! voice conversion.
//!
//! A frame is voiced where its correlation is above 0.5, as Praat decides (Boersma 1993, section 3: the candidate without
//! voice has a constant strength, the voicing threshold). pYIN agrees on 88 % of the frames of three corpora. A half of
//! [`super::probability_of_voicing`], a correlation of 0.81, would call much less voiced.

use ndarray::ArrayView2;

use crate::error::{Error, Result};

/// F0 and voicing, one value per frame.
#[derive(Debug, Clone, PartialEq)]
pub struct F0Contour {
    /// Natural logarithms of Hz, also where nothing is voiced.
    log_hz: Vec<f64>,
    voiced: Vec<bool>,
}

/// Mean and standard deviation of log F0 over voiced frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogF0Statistics {
    /// Mean of ln Hz.
    pub mean: f64,
    /// Deviation of ln Hz.
    pub deviation: f64,
}

/// Correlation above which a frame is voiced.
const VOICED_CORRELATION: f32 = 0.5;
/// Interpolation between lags overshoots 1 a little.
const MOST_CORRELATION: f32 = 1.5;
/// Pitch beyond these is no voice's, in Hz.
const LEAST_HZ: f32 = 10.0;
const MOST_HZ: f32 = 5000.0;
/// F0 of a frame before which and behind which there is none: it is not voiced, so that the value does not matter.
const ANY_HZ: f64 = 100.0;
/// Deviations of ln F0 below this (a sixth of a semitone) are those of a voice that is held: ratios of them mean nothing.
const LEAST_DEVIATION: f64 = 0.01;

impl F0Contour {
    /// Of correlation and pitch in Hz `[frames, 2]`, as [`super::PitchComputer`] and `unbraid feats pitch` give them.
    ///
    /// # Errors
    /// [`Error::Option`] `pitch` for other columns, a correlation that is no number and a pitch that no voice has.
    pub fn new(pitch: ArrayView2<f32>) -> Result<Self> {
        let refuse = |found: String| {
            let expected = "two columns: correlation, and pitch from 10 to 5000 Hz ('unbraid feats pitch' without --post)";
            Err(Error::option("pitch", expected, found))
        };
        if pitch.ncols() != 2 {
            return refuse(format!("{} columns", pitch.ncols()));
        }
        let bad = |row: &ndarray::ArrayView1<f32>| {
            !(row[0].abs() <= MOST_CORRELATION && (LEAST_HZ..=MOST_HZ).contains(&row[1]))
        };
        if let Some((frame, row)) = pitch
            .rows()
            .into_iter()
            .enumerate()
            .find(|(_, row)| bad(row))
        {
            return refuse(format!("{} and {} in frame {frame}", row[0], row[1]));
        }
        let voiced = |&correlation: &f32| correlation > VOICED_CORRELATION;
        Ok(Self {
            log_hz: pitch
                .column(1)
                .iter()
                .map(|&hz| f64::from(hz).ln())
                .collect(),
            voiced: pitch.column(0).iter().map(voiced).collect(),
        })
    }

    /// A contour without a voiced frame.
    pub fn unvoiced(frames: usize) -> Self {
        Self {
            log_hz: vec![ANY_HZ.ln(); frames],
            voiced: vec![false; frames],
        }
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.voiced.len()
    }

    /// Whether each frame is voiced.
    pub fn voiced(&self) -> &[bool] {
        &self.voiced
    }

    /// F0 of a frame in Hz.
    pub fn hz(&self, frame: usize) -> f64 {
        self.log_hz[frame].exp()
    }

    /// The contour at other places, in frames of this one: ln F0 on a line between frames, voicing of the nearest frame. An
    /// empty contour gives frames without voice.
    pub fn at(&self, places: impl ExactSizeIterator<Item = f64>) -> Self {
        if self.voiced.is_empty() {
            return Self::unvoiced(places.len());
        }
        let last = self.frames() - 1;
        let (log_hz, voiced) = places
            .map(|place| {
                let nearest = place.round().clamp(0.0, last as f64) as usize;
                (self.log_hz_at(place), self.voiced[nearest])
            })
            .unzip();
        Self { log_hz, voiced }
    }

    /// ln F0 at a place between frames of a contour that has some.
    pub(in crate::signal) fn log_hz_at(&self, place: f64) -> f64 {
        between(place, self.frames(), |frame| self.log_hz[frame])
    }

    /// Voicing at a place between frames, from 0 to 1.
    pub(in crate::signal) fn voicing_at(&self, place: f64) -> f64 {
        between(place, self.frames(), |frame| {
            f64::from(u8::from(self.voiced[frame]))
        })
    }

    /// Statistics of the voiced frames; none where no frame is voiced.
    pub fn statistics(&self) -> Option<LogF0Statistics> {
        let voiced = || {
            let frames = self.log_hz.iter().zip(&self.voiced);
            frames.filter_map(|(log_hz, voiced)| voiced.then_some(*log_hz))
        };
        let count = voiced().count() as f64;
        (count > 0.0).then(|| {
            let mean = voiced().sum::<f64>() / count;
            let variance = voiced().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            LogF0Statistics {
                mean,
                deviation: variance.sqrt(),
            }
        })
    }

    /// The contour with ln F0 moved from the mean and deviation of `from` to those of `to`:
    /// `(x - mean_from) deviation_to / deviation_from + mean_to` (Toda, Black and Tokuda 2007, section II). Where one of the two
    /// is a voice that is held (or one frame), only the mean moves.
    #[must_use]
    pub fn moved(&self, from: LogF0Statistics, to: LogF0Statistics) -> Self {
        let factor = match from.deviation.min(to.deviation) < LEAST_DEVIATION {
            true => 1.0,
            false => to.deviation / from.deviation,
        };
        let moved = |x: &f64| (x - from.mean) * factor + to.mean;
        Self {
            log_hz: self.log_hz.iter().map(moved).collect(),
            voiced: self.voiced.clone(),
        }
    }
}

/// A value on the line between two of `count` frames; beyond the first and last, theirs.
fn between(place: f64, count: usize, value: impl Fn(usize) -> f64) -> f64 {
    let place = place.clamp(0.0, count as f64 - 1.0);
    let (before, share) = (place.floor() as usize, place.fract());
    match share > 0.0 {
        true => value(before) * (1.0 - share) + value(before + 1) * share,
        false => value(before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn statistics_are_of_voiced_frames_and_move() {
        let pitch = array![[0.9f32, 100.0], [0.95, 120.0], [0.3, 380.0], [0.99, 110.0]];
        let contour = F0Contour::new(pitch.view()).unwrap();
        assert_eq!(contour.voiced(), [true, true, false, true]);
        let from = contour.statistics().unwrap();
        let mean = [100f64, 120.0, 110.0].map(f64::ln).iter().sum::<f64>() / 3.0;
        assert!((from.mean - mean).abs() < 1e-6);
        let to = LogF0Statistics {
            mean: 5.3,
            deviation: 0.2,
        };
        let moved = contour.moved(from, to);
        let found = moved.statistics().unwrap();
        assert!((found.mean - 5.3).abs() < 1e-9 && (found.deviation - 0.2).abs() < 1e-9);
        assert_eq!(moved.voiced(), contour.voiced());
        let held = LogF0Statistics {
            deviation: 0.0,
            ..to
        };
        let shifted = contour.moved(from, held).statistics().unwrap();
        assert!((shifted.mean - 5.3).abs() < 1e-9);
        assert!((shifted.deviation - from.deviation).abs() < 1e-9);
        assert_eq!(F0Contour::unvoiced(3).statistics(), None);
    }

    #[test]
    fn places_between_frames() {
        let pitch = array![[0.9f32, 100.0], [0.1, 400.0]];
        let contour = F0Contour::new(pitch.view()).unwrap();
        let at = contour.at([-1.0, 0.0, 0.4, 0.5, 7.0].into_iter());
        assert_eq!(at.voiced(), [true, true, true, false, false]);
        assert!((at.hz(3) - 200.0).abs() < 1e-3 && (at.hz(4) - 400.0).abs() < 1e-3);
        assert!((contour.voicing_at(0.25) - 0.75).abs() < 1e-12);
        let none = F0Contour::new(Array2::zeros((0, 2)).view()).unwrap();
        assert_eq!(none.at([0.0, 1.0].into_iter()), F0Contour::unvoiced(2));
    }

    #[test]
    fn other_matrices_are_refused() {
        for (pitch, found) in [
            (array![[0.5f32, 100.0, 1.0]], "found 3 columns"),
            (array![[0.5f32, 0.0]], "found 0.5 and 0 in frame 0"),
            (
                array![[0.5f32, 90.0], [f32::NAN, 90.0]],
                "found NaN and 90 in frame 1",
            ),
            (array![[5.0f32, 90.0]], "found 5 and 90"),
        ] {
            let error = F0Contour::new(pitch.view()).unwrap_err().to_string();
            assert!(error.contains(found), "{error}");
        }
    }
}
