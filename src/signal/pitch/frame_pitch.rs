//! Pitch at the frames of a front-end, whatever their shift and place: audio to an [`F0Contour`].

use super::{F0Contour, PitchComputer, PitchOptions};
use crate::error::Result;
use crate::signal::AnyFrontEndOptions;
use crate::signal::front_end::frames::FrameGrid;

/// Finds F0 and voicing of recordings, one value for each frame that a front-end makes of them.
#[derive(Debug, Clone)]
pub struct FramePitch {
    computer: PitchComputer,
    grid: FrameGrid,
    /// Samples that the front-end puts behind a recording.
    padding: usize,
}

impl FramePitch {
    /// For the frames of a front-end.
    ///
    /// # Errors
    /// [`crate::Error::Option`] for a front-end that is a network, whose frames have no known place, and for a sample rate that
    /// pitch is not found at; what the front-end's options are refused for.
    pub fn of(front_end: &AnyFrontEndOptions) -> Result<Self> {
        let plan = front_end
            .spectral("for method.model.pitch = true")?
            .plan()?;
        Self::of_grid(plan.rate_hz, plan.grid, plan.padding)
    }

    /// For frames of a grid over recordings of a rate, with `padding` samples behind them.
    pub(in crate::signal) fn of_grid(
        rate_hz: f64,
        grid: FrameGrid,
        padding: usize,
    ) -> Result<Self> {
        let options = PitchOptions {
            sample_frequency: rate_hz,
            snip_edges: false,
            ..PitchOptions::default()
        };
        Ok(Self {
            computer: PitchComputer::new(&options)?,
            grid,
            padding,
        })
    }

    /// The contour of samples at the front-end's rate. Audio too short for pitch has no voice.
    ///
    /// # Errors
    /// As [`PitchComputer::compute`].
    pub fn contour(&self, samples: &[f32]) -> Result<F0Contour> {
        let pitch = self.computer.compute(samples)?;
        let PitchOptions {
            frame_shift,
            sample_frequency,
            ..
        } = self.computer.options();
        let (grid, step) = (self.grid, 0.001 * frame_shift * sample_frequency);
        let middle = grid.first as f64 + grid.length as f64 / 2.0;
        // Pitch has the middle of frame 0 half a shift from the beginning.
        let place = |frame: usize| (middle + (frame * grid.shift) as f64) / step - 0.5;
        let frames = grid.frames(samples.len() + self.padding);
        Ok(F0Contour::new(pitch.view())?.at((0..frames).map(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::harmonics;
    use super::*;

    fn of(text: &str) -> Result<FramePitch> {
        FramePitch::of(&toml::from_str(text).unwrap())
    }

    /// Frames of any shift and place have the pitch of their middles.
    #[test]
    fn frames_of_any_front_end_have_their_pitch() {
        let glide = |t: f64| 100.0 * 2.5f64.powf(t);
        for (front_end, frames, first_s, shift_s) in [
            ("kind = 'fbank'", 98, 0.0125, 0.01),
            ("kind = 'fbank'\nsnip_edges = false", 100, 0.005, 0.01),
            ("kind = 'fbank'\nframe_shift = 20.0", 49, 0.0125, 0.02),
            (
                "kind = 'mel'\nsr = 16000.0\nhop_length = 200",
                81,
                0.0,
                0.0125,
            ),
        ] {
            let contour = of(front_end).unwrap().contour(&harmonics(glide, 16000));
            let contour = contour.unwrap();
            assert_eq!(contour.frames(), frames, "{front_end}");
            for frame in frames / 10..frames - frames / 10 {
                let hz = glide(first_s + shift_s * frame as f64);
                let apart = contour.hz(frame) / hz - 1.0;
                assert!(apart.abs() < 0.02, "{front_end} {frame}: {apart}");
            }
        }
    }

    #[test]
    fn networks_are_refused() {
        let error = of("kind = 'hubert'\nmodel = 'm'").unwrap_err().to_string();
        let expected = "front_end.kind: expected a spectral front-end for method.model.pitch = true, found \"hubert\", a network";
        assert_eq!(error, expected);
    }
}
