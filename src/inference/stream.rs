//! Streaming extraction of codes: a front-end's stream, the normalisation, a causal encoder's stream.

use ndarray::Array2;
use tch::{Device, no_grad};

use super::extract::{check_finite, pad, rows};
use crate::dataset::normalisation::Normalisation;
use crate::error::{Error, Result};
use crate::method::DisentangledModel;
use crate::nn::PhoneticStream;
use crate::signal::{FrontEnd, FrontEndStream};

/// A stream of codes. For any division of the samples into blocks, the codes are those of extraction from the whole, within
/// 1e-5 of the largest value: matrix products of other sizes are rounded differently.
#[derive(Debug)]
pub struct CodeStream<'a> {
    front_end: FrontEnd,
    frames: FrontEndStream,
    normalisation: &'a Normalisation,
    codes: PhoneticStream<'a>,
    device: Device,
    samples: usize,
}

/// The algorithmic latency, without the time of computation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Length of a frame in seconds, all of whose samples are needed.
    pub window_s: f64,
    /// Seconds between the first and the last frame of a code: a code is computed from its first frame and those before.
    pub subsampling_s: f64,
}

impl Latency {
    /// The sum of both.
    pub fn total_s(self) -> f64 {
        self.window_s + self.subsampling_s
    }
}

impl<'a> CodeStream<'a> {
    /// A stream of `model` on `device`, with features normalised by `normalisation`.
    ///
    /// # Errors
    /// [`Error::Option`] naming the option of encoder, normalisation or front-end that depends on later input.
    pub fn new(
        model: &'a dyn DisentangledModel,
        normalisation: &'a Normalisation,
        front_end: &FrontEnd,
        device: Device,
    ) -> Result<Self> {
        let codes = model.stream()?;
        normalisation.check_streams()?;
        if let Some(option) = front_end.options().waits_for() {
            let expected = "a front-end that can stream";
            let found = "one that needs the whole recording";
            return Err(Error::option(
                format!("front_end.{option}"),
                expected,
                found,
            ));
        }
        Ok(Self {
            frames: front_end.stream(),
            front_end: front_end.clone(),
            normalisation,
            codes,
            device,
            samples: 0,
        })
    }

    /// Takes the next samples, full scale at 1; returns the codes `[codes, code_dim]` that are complete now, perhaps none.
    ///
    /// # Errors
    /// [`Error::Option`] `samples` for one that is NaN, infinite or beyond 1e9, naming the first.
    pub fn accept(&mut self, samples: &[f32]) -> Result<Array2<f32>> {
        let feats = self.frames.accept(samples)?;
        self.samples += samples.len();
        self.encode(feats)
    }

    /// Ends the stream; returns the last codes.
    ///
    /// # Errors
    /// [`Error::Option`] `audio` for too few samples for one frame.
    pub fn finish(mut self) -> Result<Array2<f32>> {
        self.front_end.check_length(self.samples)?;
        let ended = std::mem::replace(&mut self.frames, self.front_end.stream());
        let feats = ended.finish()?;
        self.encode(feats)
    }

    /// Seconds from one code to the next. Code `i` stands for the frames from `i` times that on.
    pub fn code_shift_s(&self) -> f64 {
        self.front_end.frame_shift_s() * self.codes.subsampling() as f64
    }

    /// The algorithmic latency.
    pub fn latency(&self) -> Latency {
        Latency {
            window_s: self.front_end.frame_length_s(),
            subsampling_s: self.code_shift_s() - self.front_end.frame_shift_s(),
        }
    }

    /// Whether memory grows with the stream, as attention's does.
    pub fn grows(&self) -> bool {
        self.codes.grows()
    }

    fn encode(&mut self, feats: Array2<f32>) -> Result<Array2<f32>> {
        let frames = feats.nrows() as i64;
        let seen = self.normalisation.apply(feats);
        let codes = no_grad(|| {
            let seen = pad(&[&seen], frames).to(self.device);
            let codes = self.codes.push(&seen);
            let count = codes.size()[2];
            rows(&codes, &[count]).remove(0)
        });
        check_finite("the stream", &codes)?;
        Ok(codes)
    }
}
