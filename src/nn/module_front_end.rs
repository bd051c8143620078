//! A module of the user's own as a front-end, held against what its options say on signals of several lengths.

use ndarray::Array2;
use tch::{Device, Kind, Tensor};

use super::network_shape::{Shape, check_checksum};
use super::outside_module::OutsideModule;
use crate::error::{Error, Result, check_within};
use crate::signal::ModuleOptions;

/// Frames of the shortest and of the longest test signal.
const TESTED: [usize; 2] = [20, 41];

/// A module from waveforms to features.
pub(super) struct ModuleFrontEnd {
    module: OutsideModule,
    shape: Shape,
}

impl ModuleFrontEnd {
    /// Loads a module, whose options come back with its absolute place and its checksum.
    ///
    /// # Errors
    /// [`Error::Option`] for sizes out of their range; as [`OutsideModule::open`]; [`Error::Key`] for another checksum, and for
    /// a module that gives other frames or columns than the options say.
    pub(super) fn open(options: &ModuleOptions, device: Device) -> Result<(Self, ModuleOptions)> {
        check(options)?;
        let module = OutsideModule::open(&options.file, device)?;
        check_checksum(options.checksum.as_ref(), module.checksum(), &options.file)?;
        let checksum = module.checksum().to_string();
        let front_end = Self {
            module,
            shape: Shape {
                rate_hz: f64::from(options.sample_rate_hz),
                frame_shift: options.frame_shift,
                frame_length: options.frame_length,
                dim: options.dim,
            },
        };
        front_end.test()?;
        let file = std::path::absolute(&options.file).map_err(Error::io(&options.file))?;
        let recorded = ModuleOptions {
            file,
            checksum: Some(checksum),
            ..options.clone()
        };
        Ok((front_end, recorded))
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Runs the module on noise that gives so many frames, and nearly one more, and twice on the same.
    fn test(&self) -> Result<()> {
        let Shape {
            frame_shift,
            frame_length,
            ..
        } = self.shape;
        for frames in TESTED {
            let least = frame_length + (frames - 1) * frame_shift;
            for samples in [least, least + frame_shift / 2, least + frame_shift - 1] {
                self.compute(&noise(samples))?;
            }
        }
        let samples = noise(frame_length + frame_shift);
        match self.compute(&samples)? == self.compute(&samples)? {
            true => Ok(()),
            false => {
                let found = "others the second time (is dropout on?)";
                Err(Error::key(
                    self.module.path(),
                    "output",
                    "the same features of the same samples",
                    found,
                ))
            }
        }
    }

    /// Features `[frames, dim]`.
    ///
    /// # Errors
    /// [`Error::Key`] for samples that the module refuses, and for an output that is not what the options say.
    pub(super) fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        let input = Tensor::from_slice(samples).view([1, -1]);
        let odd = |found: String| {
            let expected = format!(
                "[1, {}, {}] f32 for [1, {}] f32, as the front-end's frame_length, frame_shift and dim say",
                self.shape.frames(samples.len()),
                self.shape.dim,
                samples.len()
            );
            Error::key(self.module.path(), "output", expected, found)
        };
        let output = self.module.forward(&input).map_err(odd)?;
        let (frames, dim) = (self.shape.frames(samples.len()), self.shape.dim);
        if output.size() != [1, frames as i64, dim as i64] || output.kind() != Kind::Float {
            return Err(odd(format!("{:?} {:?}", output.size(), output.kind())));
        }
        let values: Vec<f32> = Vec::try_from(output.reshape([-1]))?;
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(odd(format!("{value} in it")));
        }
        Array2::from_shape_vec((frames, dim), values).map_err(|error| odd(error.to_string()))
    }
}

/// Sizes that a module can have.
fn check(options: &ModuleOptions) -> Result<()> {
    let key = |name: &str| format!("front_end.{name}");
    check_within(
        key("sample_rate_hz"),
        options.sample_rate_hz,
        100..=1_000_000,
    )?;
    check_within(key("frame_shift"), options.frame_shift, 1..=1 << 20)?;
    check_within(key("frame_length"), options.frame_length, 0..=1 << 20)?;
    check_within(key("dim"), options.dim, 1..=1 << 16)
}

/// Noise of a fifth of full scale, the same always.
fn noise(samples: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..samples).map(|_| next() * 0.2).collect()
}
