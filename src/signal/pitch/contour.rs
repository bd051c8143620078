//! A pitch contour: for each frame the fundamental frequency (F0) and whether the frame is voiced, for resynthesis and for
//! voice conversion.
//!
//! A frame is voiced where its correlation is above 0.5, as Praat decides (Boersma 1993, section 3: the candidate without
//! voice has a constant strength, the voicing threshold). pYIN agrees on 88 % of the frames of three corpora. A half of
//! [`super::probability_of_voicing`], a correlation of 0.81, would call much less voiced.

use ndarray::{Array2, ArrayView2};

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

/// What a matrix of pitch holds.
const COLUMNS: &str =
    "two columns: correlation, and pitch from 10 to 5000 Hz ('unbraid feats pitch' without --post)";
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
/// Pitch and features may differ by so many frames, as in Kaldi's recipes (`steps/make_fbank_pitch.sh`,
/// `paste_length_tolerance`).
const TOLERATED_FRAMES: usize = 2;

impl F0Contour {
    /// Of correlation and pitch in Hz `[frames, 2]`, as [`super::PitchComputer`] and `unbraid feats pitch` give them.
    ///
    /// # Errors
    /// [`Error::Option`] `pitch` for other columns, a correlation that is no number and a pitch that no voice has.
    pub fn new(pitch: ArrayView2<f32>) -> Result<Self> {
        Self::check_columns(pitch.ncols())?;
        let bad = |row: &ndarray::ArrayView1<f32>| {
            !(row[0].abs() <= MOST_CORRELATION && (LEAST_HZ..=MOST_HZ).contains(&row[1]))
        };
        if let Some((frame, row)) = pitch
            .rows()
            .into_iter()
            .enumerate()
            .find(|(_, row)| bad(row))
        {
            let found = format!("{} and {} in frame {frame}", row[0], row[1]);
            return Err(Error::option("pitch", COLUMNS, found));
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

    /// [`F0Contour::new`] for features of so many frames. Pitch may have two frames more or less, as in Kaldi's recipes.
    ///
    /// # Errors
    /// As [`F0Contour::new`]; [`Error::Option`] `pitch` for another length.
    pub fn of_frames(pitch: ArrayView2<f32>, frames: usize) -> Result<Self> {
        Self::check_shape(pitch.dim(), frames)?;
        Ok(Self::new(pitch)?.at((0..frames).map(|frame| frame as f64)))
    }

    /// Refuses a shape that no pitch for features of so many frames has.
    ///
    /// # Errors
    /// As [`F0Contour::of_frames`].
    pub fn check_shape((rows, columns): (usize, usize), frames: usize) -> Result<()> {
        Self::check_columns(columns)?;
        match rows.abs_diff(frames) <= TOLERATED_FRAMES {
            true => Ok(()),
            false => {
                let expected = format!(
                    "{frames} frames, as the features have (by their frame_shift and snip_edges)"
                );
                Err(Error::option("pitch", expected, rows.to_string()))
            }
        }
    }

    fn check_columns(columns: usize) -> Result<()> {
        match columns {
            2 => Ok(()),
            _ => Err(Error::option(
                "pitch",
                COLUMNS,
                format!("{columns} columns"),
            )),
        }
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

    /// What a network reads, `[frames, 2]`. First ln F0, on a line through frames without voice, minus its mean over the
    /// voiced frames and divided by their deviation, so that nothing is left of how high or lively the voice is. Then voicing, 0
    /// or 1. Zeros where no frame is voiced.
    pub fn standardised(&self) -> Array2<f32> {
        let mut columns = Array2::zeros((self.frames(), 2));
        let Some(LogF0Statistics { mean, deviation }) = self.statistics() else {
            return columns;
        };
        let voiced: Vec<usize> = (0..self.frames()).filter(|&f| self.voiced[f]).collect();
        for (frame, mut row) in columns.rows_mut().into_iter().enumerate() {
            let next = voiced.partition_point(|&other| other < frame);
            let [before, after] =
                [next.saturating_sub(1), next.min(voiced.len() - 1)].map(|place| voiced[place]);
            let log_hz = match after - before {
                0 => self.log_hz[after],
                gap => {
                    let way = (frame - before) as f64 / gap as f64;
                    self.log_hz[before] * (1.0 - way) + self.log_hz[after] * way
                }
            };
            row[0] = ((log_hz - mean) / deviation.max(LEAST_DEVIATION)) as f32;
            row[1] = f32::from(u8::from(self.voiced[frame]));
        }
        columns
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
    fn networks_read_a_contour_without_its_height() {
        let hz = [300.0f32, 100.0, 300.0, 300.0, 400.0, 50.0];
        let correlation = [0.1f32, 0.9, 0.2, 0.2, 0.9, 0.0];
        let of = |factor: f32| {
            let pitch = Array2::from_shape_fn((6, 2), |(frame, column)| match column {
                0 => correlation[frame],
                _ => hz[frame] * factor,
            });
            F0Contour::new(pitch.view()).unwrap().standardised()
        };
        let expected = [-1.0, -1.0, -1.0 / 3.0, 1.0 / 3.0, 1.0, 1.0];
        for columns in [of(1.0), of(1.7)] {
            assert_eq!(columns.column(1).to_vec(), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
            for (found, expected) in columns.column(0).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{columns}");
            }
        }
        let held = array![[0.9f32, 100.0], [0.9, 100.0]];
        let held = F0Contour::new(held.view()).unwrap().standardised();
        assert_eq!(held, array![[0.0, 1.0], [0.0, 1.0]]);
        let none = F0Contour::unvoiced(3).standardised();
        assert_eq!(none, Array2::<f32>::zeros((3, 2)));
    }

    #[test]
    fn pitch_of_nearly_as_many_frames_is_taken() {
        let pitch = array![[0.9f32, 100.0], [0.1, 120.0], [0.9, 140.0]];
        let of = |frames| F0Contour::of_frames(pitch.view(), frames);
        assert_eq!(of(1).unwrap().voiced(), [true]);
        assert_eq!(of(5).unwrap().voiced(), [true, false, true, true, true]);
        assert_eq!(
            of(6).unwrap_err().to_string(),
            "pitch: expected 6 frames, as the features have (by their frame_shift and snip_edges), found 3"
        );
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
