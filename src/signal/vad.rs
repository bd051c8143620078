//! Voice activity by energy: features `[frames, dim]` with the log energy in column 0 to 1 or 0 per frame, as
//! Kaldi's `compute-vad`, and the frames that it keeps, as `select-voiced-frames`.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::stream::check_finite;
use crate::error::{Error, Result};

/// Kaldi's options by Kaldi's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VadOptions {
    /// Constant part of the threshold on the log energy.
    pub vad_energy_threshold: f64,
    /// What part of the utterance's mean log energy is added to it; 0 for none.
    pub vad_energy_mean_scale: f64,
    /// Frames of context on each side.
    pub vad_frames_context: usize,
    /// Which share of these frames has to be above the threshold; between 0 and 1.
    pub vad_proportion_threshold: f64,
}

impl Default for VadOptions {
    fn default() -> Self {
        Self {
            vad_energy_threshold: 5.0,
            vad_energy_mean_scale: 0.5,
            vad_frames_context: 0,
            vad_proportion_threshold: 0.6,
        }
    }
}

/// Detects voiced frames by their energy; built once, used for every utterance.
///
/// A frame is voiced when enough frames around it lie above `vad_energy_threshold + vad_energy_mean_scale * mean`
/// (Kaldi, `voice-activity-detection.cc`); at the edges there are fewer frames around it. The mean is the whole
/// utterance's: there is no result before its end, so it cannot stream.
///
/// ```
/// use ndarray::array;
/// use unbraid::signal::vad::{EnergyVad, VadOptions};
///
/// let vad = EnergyVad::new(VadOptions::default())?;
/// let voiced = vad.voiced(array![[4.0, 0.0], [15.0, 1.0], [16.0, 0.0], [3.0, 2.0]].view())?;
/// assert_eq!(voiced, array![0.0, 1.0, 1.0, 0.0]);
/// # Ok::<(), unbraid::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnergyVad {
    options: VadOptions,
}

impl EnergyVad {
    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Option`] for a threshold that is no number, a scale below 0, and a share that is not between 0 and 1.
    pub fn new(options: VadOptions) -> Result<Self> {
        let threshold = options.vad_energy_threshold;
        let scale = options.vad_energy_mean_scale;
        let share = options.vad_proportion_threshold;
        let refuse = |name: &str, expected: &str, found: f64| {
            Err(Error::option(name, expected, found.to_string()))
        };
        if !threshold.is_finite() {
            return refuse("vad_energy_threshold", "a number", threshold);
        }
        if !(scale >= 0.0 && scale.is_finite()) {
            return refuse("vad_energy_mean_scale", "a number from 0", scale);
        }
        if !(share > 0.0 && share < 1.0) {
            return refuse(
                "vad_proportion_threshold",
                "a number between 0 and 1",
                share,
            );
        }
        Ok(Self { options })
    }

    /// 1 for each voiced frame of `feats` `[frames, dim]`, 0 for the others.
    ///
    /// # Errors
    /// [`Error::Option`] `vad` for features without frames or columns and for values that are not finite.
    pub fn voiced(&self, feats: ArrayView2<'_, f32>) -> Result<Array1<f32>> {
        if feats.is_empty() {
            return Err(Error::option("vad", "features of a frame or more", "none"));
        }
        check_finite("vad", feats)?;
        let energy = feats.column(0);
        let mean = energy.iter().map(|&x| f64::from(x)).sum::<f64>() / energy.len() as f64;
        let threshold =
            self.options.vad_energy_threshold + self.options.vad_energy_mean_scale * mean;
        // How many of the frames before each are above, so that any context is one subtraction.
        let mut above = Vec::with_capacity(energy.len() + 1);
        above.push(0usize);
        for (at, &value) in energy.iter().enumerate() {
            above.push(above[at] + usize::from(f64::from(value) > threshold));
        }
        let context = self.options.vad_frames_context;
        Ok((0..energy.len())
            .map(|frame| {
                let first = frame.saturating_sub(context);
                let end = frame.saturating_add(context + 1).min(energy.len());
                // In f32, as Kaldi: of 5 frames, 3 are 0.6.
                let needed = (end - first) as f32 * self.options.vad_proportion_threshold as f32;
                f32::from(u8::from((above[end] - above[first]) as f32 >= needed))
            })
            .collect())
    }
}

/// The frames of `feats` `[frames, dim]` whose entry in `voiced` `[frames]` is 1.
///
/// # Errors
/// [`Error::Option`] `vad` when the lengths differ, an entry is neither 0 nor 1, or none is 1.
pub fn select_voiced(
    feats: ArrayView2<'_, f32>,
    voiced: ArrayView1<'_, f32>,
) -> Result<Array2<f32>> {
    if feats.nrows() != voiced.len() {
        let expected = format!("{} entries, one for each frame", feats.nrows());
        return Err(Error::option("vad", expected, voiced.len().to_string()));
    }
    if let Some(odd) = voiced.iter().find(|value| **value != 0.0 && **value != 1.0) {
        return Err(Error::option(
            "vad",
            "0 or 1 for each frame",
            odd.to_string(),
        ));
    }
    let kept: Vec<usize> = (0..voiced.len()).filter(|&at| voiced[at] == 1.0).collect();
    if kept.is_empty() {
        return Err(Error::option("vad", "a voiced frame or more", "none"));
    }
    Ok(feats.select(Axis(0), &kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn voiced(energies: &[f32], options: VadOptions) -> Vec<f32> {
        let feats = Array2::from_shape_fn((energies.len(), 2), |(frame, column)| match column {
            0 => energies[frame],
            _ => -1e30,
        });
        let vad = EnergyVad::new(options).unwrap();
        vad.voiced(feats.view()).unwrap().to_vec()
    }

    #[test]
    fn context_lets_neighbours_vote() {
        let options = VadOptions {
            vad_energy_threshold: 0.0,
            vad_energy_mean_scale: 0.0,
            vad_frames_context: 2,
            vad_proportion_threshold: 0.6,
        };
        let energies = [1.0, -1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0];
        // Shares: 2/3, 3/4, 3/5, 2/5, 2/5, 2/5, 1/4, 1/3.
        assert_eq!(voiced(&energies, options), [1., 1., 1., 0., 0., 0., 0., 0.]);
        let alone = VadOptions {
            vad_frames_context: 0,
            ..options
        };
        assert_eq!(voiced(&energies, alone), [1., 0., 1., 1., 0., 0., 0., 1.]);
        let everywhere = VadOptions {
            vad_frames_context: usize::MAX - 1,
            vad_proportion_threshold: 0.5,
            ..options
        };
        assert_eq!(voiced(&energies, everywhere), [1.0; 8]);
    }

    #[test]
    fn the_mean_moves_the_threshold() {
        let energies = [10.0, 12.0, 20.0];
        // 5 + 0.5 * 14.
        assert_eq!(voiced(&energies, VadOptions::default()), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn options_and_features_without_sense_are_named() {
        let options = VadOptions::default();
        for (options, message) in [
            (
                VadOptions {
                    vad_energy_threshold: f64::NAN,
                    ..options
                },
                "vad_energy_threshold: expected a number, found NaN",
            ),
            (
                VadOptions {
                    vad_energy_mean_scale: -0.5,
                    ..options
                },
                "vad_energy_mean_scale: expected a number from 0, found -0.5",
            ),
            (
                VadOptions {
                    vad_proportion_threshold: 1.0,
                    ..options
                },
                "vad_proportion_threshold: expected a number between 0 and 1, found 1",
            ),
        ] {
            assert_eq!(EnergyVad::new(options).unwrap_err().to_string(), message);
        }
        let vad = EnergyVad::new(options).unwrap();
        assert!(vad.voiced(Array2::zeros((0, 0)).view()).is_err());
        assert!(vad.voiced(Array2::zeros((3, 0)).view()).is_err());
        let error = vad.voiced(array![[f32::NAN]].view()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("vad: expected finite features")
        );
    }

    #[test]
    fn only_voiced_frames_are_left() {
        let feats = array![[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let kept = select_voiced(feats.view(), array![1.0, 0.0, 1.0].view()).unwrap();
        assert_eq!(kept, array![[1.0, 2.0], [5.0, 6.0]]);
        for (voiced, message) in [
            (
                array![1.0, 1.0],
                "vad: expected 3 entries, one for each frame, found 2",
            ),
            (
                array![0.0, 0.5, 1.0],
                "vad: expected 0 or 1 for each frame, found 0.5",
            ),
            (
                array![0.0, 0.0, 0.0],
                "vad: expected a voiced frame or more, found none",
            ),
        ] {
            let error = select_voiced(feats.view(), voiced.view()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
