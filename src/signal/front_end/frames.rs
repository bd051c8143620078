//! Where frames lie in a signal and what stands in for samples beyond its ends; every front-end cuts by this,
//! from a whole signal or from the part of a stream that is kept.

use crate::error::{Error, Result};

/// Frames of more samples than this are a slip of units (10 s at 48 kHz).
const MAX_FRAME: f64 = 480_000.0;
/// Samples beyond this (180 dB over full scale) would leave the range of single precision when squared.
const MAX_SAMPLE: f32 = 1e9;

/// What a frame finds beyond the ends of the signal `x` of `n` samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Nothing: only frames that lie inside are given.
    Snip,
    /// `x[-1-i] = x[i]`, the edge sample twice: Kaldi's `snip_edges=false`.
    Mirror,
    /// `x[-i] = x[i]`, the edge sample once: numpy's and PyTorch's `reflect`.
    Reflect,
    /// Zeros: numpy's `constant`.
    Zeros,
    /// The edge sample: numpy's `edge`.
    Edge,
}

/// A grid of frames. Frame `i` covers `length` samples from `first + i * shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameGrid {
    /// Samples in a frame; at least 2.
    pub length: usize,
    /// Samples from one frame to the next; at least 1.
    pub shift: usize,
    /// Where frame 0 begins: 0, or before the signal.
    pub first: isize,
    /// What lies beyond the ends.
    pub ends: Ends,
    /// Whether the last frame is left out, as Whisper does.
    pub drop_last: bool,
}

/// The part of a signal that is at hand: all of a whole one, the end of what a stream has brought so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch<'a> {
    pub samples: &'a [f32],
    /// Place of `samples[0]` in the signal.
    pub base: usize,
}

/// Converts the milliseconds of option `name` to samples, truncated to an integer as Kaldi does.
///
/// # Errors
/// [`Error::Option`] when that is fewer than `least` samples, beyond ten seconds or not a number.
pub fn ms_to_samples(name: &str, ms: f64, rate_hz: f64, least: usize) -> Result<usize> {
    let samples = (rate_hz * 0.001 * ms).floor();
    if samples >= least as f64 && samples <= MAX_FRAME {
        return Ok(samples as usize);
    }
    let expected = format!("milliseconds that hold {least} to {MAX_FRAME} samples at {rate_hz} Hz");
    Err(Error::option(name, expected, format!("{ms}")))
}

/// Refuses samples that no front-end can take. `base` is the place of the first in its signal.
///
/// # Errors
/// [`Error::Option`] `samples` for a NaN, an infinity or a value beyond 1e9, naming the first.
pub(super) fn check_samples(samples: &[f32], base: usize) -> Result<()> {
    // Without an early exit, so that it runs at the speed of memory; NaN compares as false.
    let sound = |ok: bool, x: &f32| ok & (x.abs() <= MAX_SAMPLE);
    if samples.iter().fold(true, sound) {
        return Ok(());
    }
    let bad = samples.iter().position(|x| !sound(true, x)).unwrap_or(0);
    let found = format!("{} at sample {}", samples[bad], base + bad);
    let expected = format!("finite numbers up to {MAX_SAMPLE:e} with full scale at 1");
    Err(Error::option("samples", expected, found))
}

impl FrameGrid {
    /// Kaldi's grid: whole frames from the first sample, or `samples/shift` of them, centred on the middle of
    /// their shift and mirrored at both ends (`feature-window.cc`, `FirstSampleOfFrame`).
    pub fn kaldi(length: usize, shift: usize, snip_edges: bool) -> Self {
        let centred = (shift / 2) as isize - (length / 2) as isize;
        Self {
            length,
            shift,
            first: if snip_edges { 0 } else { centred },
            ends: if snip_edges { Ends::Snip } else { Ends::Mirror },
            drop_last: false,
        }
    }

    /// The grid of librosa's and PyTorch's `stft` with `center`: frame `i` has its middle at sample `i * shift`.
    pub fn centred(length: usize, shift: usize, ends: Ends) -> Self {
        Self {
            length,
            shift,
            first: -((length / 2) as isize),
            ends,
            drop_last: false,
        }
    }

    /// Frames that `samples` samples give.
    pub fn frames(&self, samples: usize) -> usize {
        let frames = match self.ends {
            Ends::Snip if samples < self.length => 0,
            Ends::Snip => 1 + (samples - self.length) / self.shift,
            Ends::Mirror => (samples + self.shift / 2) / self.shift,
            _ if samples == 0 => 0,
            _ => 1 + samples / self.shift,
        };
        frames.saturating_sub(usize::from(self.drop_last))
    }

    /// Samples that give one frame at least.
    pub fn least_samples(&self) -> usize {
        match self.ends {
            Ends::Snip => self.length,
            Ends::Mirror => self.shift - self.shift / 2,
            _ if self.drop_last => self.shift,
            _ => 1,
        }
    }

    /// The number of frames that are complete after `received` samples, whatever follows.
    pub(super) fn complete(&self, received: usize) -> usize {
        // The mirror before the signal has to be there too.
        if self.first < 0 && received <= self.first.unsigned_abs() {
            return 0;
        }
        let reach = received as isize - self.first - self.length as isize;
        match reach < 0 {
            true => 0,
            false => (1 + reach as usize / self.shift).min(self.frames(received)),
        }
    }

    /// The first sample that frames from `next` on may still want, of `received`.
    pub(super) fn wanted_from(&self, next: usize, received: usize) -> usize {
        let start = self.start(next).max(0) as usize;
        // The mirror behind the signal reaches back by less than a frame.
        start.min(received.saturating_sub(self.length + 2))
    }

    fn start(&self, frame: usize) -> isize {
        self.first + (frame * self.shift) as isize
    }

    /// Frame `index` of a signal of `total` samples: where it lies in what is at hand, else put together in
    /// `buffer`, which has its length.
    pub(super) fn frame<'a>(
        &self,
        at_hand: Stretch<'a>,
        total: usize,
        index: usize,
        buffer: &'a mut [f32],
    ) -> &'a [f32] {
        let start = self.start(index);
        if start >= 0 && start as usize + self.length <= total {
            let from = start as usize - at_hand.base;
            return &at_hand.samples[from..from + self.length];
        }
        for (offset, x) in buffer.iter_mut().enumerate() {
            *x = match self.source(start + offset as isize, total as isize) {
                Some(at) => at_hand.samples[at - at_hand.base],
                None => 0.0,
            };
        }
        buffer
    }

    /// The sample that stands at place `at` of a signal of `total`; none for a zero. A signal shorter than its
    /// mirror is folded as often as it takes.
    fn source(&self, mut at: isize, total: isize) -> Option<usize> {
        let last = total - 1;
        while at < 0 || at > last {
            at = match self.ends {
                Ends::Zeros => return None,
                Ends::Edge => at.clamp(0, last),
                Ends::Reflect if total == 1 => 0,
                Ends::Reflect if at < 0 => -at,
                Ends::Reflect => 2 * last - at,
                Ends::Mirror | Ends::Snip if at < 0 => -at - 1,
                Ends::Mirror | Ends::Snip => 2 * last + 1 - at,
            };
        }
        Some(at as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(grid: &FrameGrid, total: usize, index: usize) -> Vec<f32> {
        let samples: Vec<f32> = (0..total).map(|i| i as f32).collect();
        let mut buffer = vec![0.0; grid.length];
        let at_hand = Stretch {
            samples: &samples,
            base: 0,
        };
        grid.frame(at_hand, total, index, &mut buffer).to_vec()
    }

    #[test]
    fn whole_frames_or_mirrored_ones() {
        let (snipped, mirrored) = (FrameGrid::kaldi(4, 2, true), FrameGrid::kaldi(4, 2, false));
        assert_eq!(frame(&snipped, 7, 1), [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(frame(&mirrored, 7, 0), [0.0, 0.0, 1.0, 2.0]);
        assert_eq!(frame(&mirrored, 7, 3), [5.0, 6.0, 6.0, 5.0]);
        let counts = |grid: FrameGrid| [0, 3, 4, 5, 6, 7].map(|n| grid.frames(n));
        assert_eq!(counts(snipped), [0, 0, 1, 1, 2, 2]);
        assert_eq!(counts(mirrored), [0, 2, 2, 3, 3, 4]);
    }

    #[test]
    fn centred_frames_are_padded_as_numpy_pads() {
        let first = |ends| frame(&FrameGrid::centred(4, 2, ends), 5, 0);
        assert_eq!(first(Ends::Reflect), [2.0, 1.0, 0.0, 1.0]);
        assert_eq!(first(Ends::Zeros), [0.0, 0.0, 0.0, 1.0]);
        let grid = FrameGrid::centred(4, 2, Ends::Edge);
        assert_eq!(frame(&grid, 5, 2), [2.0, 3.0, 4.0, 4.0]);
        assert_eq!((grid.frames(0), grid.frames(1), grid.frames(5)), (0, 1, 3));
        // numpy.pad(numpy.arange(3), 4, "reflect")
        let folded = frame(&FrameGrid::centred(8, 2, Ends::Reflect), 3, 0);
        assert_eq!(folded, [0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0]);
        let one = frame(&FrameGrid::centred(4, 2, Ends::Reflect), 1, 0);
        assert_eq!(one, [0.0; 4]);
    }

    #[test]
    fn a_signal_shorter_than_its_mirror_is_folded_again() {
        let grid = FrameGrid::kaldi(4, 2, false);
        let places = |total: isize| [-3, -1, 2, 4].map(|at| grid.source(at, total).unwrap());
        assert_eq!(places(1), [0; 4]);
        assert_eq!(places(2), [1, 0, 1, 0]);
    }

    /// A complete frame does not depend on later samples, and the samples that it needs are kept.
    #[test]
    fn settled_frames_do_not_change() {
        for ends in [
            Ends::Snip,
            Ends::Mirror,
            Ends::Reflect,
            Ends::Zeros,
            Ends::Edge,
        ] {
            for (length, shift) in [(4, 2), (5, 3), (3, 7), (8, 1)] {
                let grid = match ends {
                    Ends::Snip | Ends::Mirror => {
                        FrameGrid::kaldi(length, shift, ends == Ends::Snip)
                    }
                    _ => FrameGrid::centred(length, shift, ends),
                };
                for received in 0..40 {
                    for index in 0..grid.complete(received) {
                        assert!(index < grid.frames(received));
                        assert_eq!(frame(&grid, received, index), frame(&grid, 60, index));
                    }
                }
            }
        }
    }

    #[test]
    fn milliseconds_and_samples_are_checked() {
        assert_eq!(ms_to_samples("x", 25.0, 11025.0, 2).unwrap(), 275);
        for ms in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            let error = ms_to_samples("frame_shift", ms, 8000.0, 1).unwrap_err();
            assert!(error.to_string().starts_with("frame_shift: expected"));
        }
        assert!(check_samples(&[0.0, -1e9, 1e9], 0).is_ok());
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2e9] {
            let error = check_samples(&[0.0, bad], 5).unwrap_err().to_string();
            assert!(
                error.ends_with(&format!("found {bad} at sample 6")),
                "{error}"
            );
        }
    }
}
