//! An encoder, the experiment's view and, by option, its front-end traced into one module; and the proof that the module
//! gives at other lengths what the model gives.

use std::path::Path;

use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::{CModule, Device, Kind, Tensor, no_grad};

use super::archive::with_metadata;
use super::{FORMAT, Input, Metadata};
use crate::dataset::view::FeatureView;
use crate::error::{Error, Result};
use crate::eval::extract::Strand;
use crate::io::atomic;
use crate::method::Strands;
use crate::nn::Mask;
use crate::nn::front_end::TensorFrontEnd;
use crate::nn::view::TensorView;
use crate::signal::{FrontEnd, FrontEndOptions};

/// The largest gap to the model that a module may have, relative to the model's largest value.
const TOLERANCE: f64 = 1e-5;
/// The length that is traced, and those that are tried, in frames beyond the fewest.
const TRACED: usize = 57;
const TRIED: [usize; 6] = [0, 1, 8, 58, 100, 333];

/// What is exported.
#[derive(Debug)]
pub struct Export<'a> {
    /// The trained networks, on the CPU.
    pub model: &'a dyn Strands,
    /// How they see features.
    pub view: &'a FeatureView,
    /// [`Strand::Phonetic`] or [`Strand::Speaker`].
    pub strand: Strand,
    /// What made the features, where that is known.
    pub front_end: Option<&'a FrontEndOptions>,
    /// What the module is to take; a waveform asks for a front-end.
    pub input: Input,
}

/// What was written.
#[derive(Debug)]
pub struct Exported {
    /// What the module says of itself.
    pub metadata: Metadata,
    /// The largest gap to the model, relative to the model's largest value.
    pub gap: f64,
    /// The lengths that were tried, in frames or samples.
    pub lengths: Vec<usize>,
}

/// Front-end by option, view, encoder: what is traced.
struct Chain<'a> {
    front_end: Option<TensorFrontEnd>,
    view: TensorView,
    model: &'a dyn Strands,
    strand: Strand,
}

impl Export<'_> {
    /// Traces the module, checks what will be read back, and writes it, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Option`] for a strand that the method lacks or that no module gives, and for a front-end that cannot be
    /// exported; [`Error::Format`] naming the file for a module that strays from the model; [`Error::Torch`]; what the
    /// target's disk says.
    pub fn write(&self, target: &Path) -> Result<Exported> {
        let chain = self.chain()?;
        let (least, shift) = match &chain.front_end {
            None => (1, 1),
            Some(front_end) => (front_end.least_samples(), front_end.frame_shift_samples()),
        };
        let length = |frames| least + frames * shift;
        let traced = self.input_of(length(TRACED))?;
        let expected = chain.run(&traced)?;
        let metadata = self.metadata(least, expected.size().last().copied().unwrap_or(0))?;
        let folder = tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))?;
        let draft = folder.path().join("module.pt");
        trace(&chain, traced)?.save(&draft)?;
        let bytes = with_metadata(&draft, &metadata)?;
        let module = CModule::load_data(&mut &bytes[..])?;
        let lengths = TRIED.map(length).to_vec();
        let gap = self.stray(&module, &chain, &lengths)?;
        if gap > TOLERANCE {
            let expected = format!("a module within {TOLERANCE:e} of the model");
            return Err(Error::format(target, expected, format!("a gap of {gap:e}")));
        }
        atomic::write(target, bytes)?;
        Ok(Exported {
            metadata,
            gap,
            lengths,
        })
    }

    fn chain(&self) -> Result<Chain<'_>> {
        if !matches!(self.strand, Strand::Phonetic | Strand::Speaker) {
            let found = format!("{:?}", self.strand).to_lowercase();
            return Err(Error::option("--strand", "phonetic or speaker", found));
        }
        let front_end = match (self.input, self.front_end) {
            (Input::Features, _) => None,
            (Input::Waveform, Some(options)) => Some(TensorFrontEnd::new(options)?),
            (Input::Waveform, None) => {
                let expected = "an experiment whose data.front_end names one";
                return Err(Error::option("--front-end", expected, "none"));
            }
        };
        Ok(Chain {
            front_end,
            view: TensorView::new(self.view),
            model: self.model,
            strand: self.strand,
        })
    }

    fn metadata(&self, least: usize, dim: i64) -> Result<Metadata> {
        let front_end = self.front_end.map(FrontEndOptions::without_dither);
        let computer = match &front_end {
            None => None,
            Some(options) => Some(FrontEnd::new(options.clone())?),
        };
        // A module of features takes them as they are made for the experiment, dither included.
        let kept = match self.input {
            Input::Features => self.front_end.cloned(),
            Input::Waveform => front_end,
        };
        let text = kept.map(|options| toml::to_string(&options));
        let text = (text.transpose()).map_err(|error| {
            Error::option("front_end", "options TOML can hold", error.to_string())
        })?;
        Ok(Metadata {
            format: FORMAT,
            strand: self.strand,
            input: self.input,
            least,
            bins: self.view.bins(),
            dim: dim as usize,
            subsampling: (self.strand == Strand::Phonetic).then(|| self.model.subsampling()),
            sample_rate_hz: computer.as_ref().map(FrontEnd::sample_rate_hz),
            frame_shift_s: computer.as_ref().map(FrontEnd::frame_shift_s),
            front_end: text,
        })
    }

    /// An input of `length` without a pattern: the same always.
    fn input_of(&self, length: usize) -> Result<Tensor> {
        let mut rng = ChaCha8Rng::seed_from_u64(length as u64);
        let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
        if self.input == Input::Waveform {
            let samples: Vec<f32> = (0..length).map(|_| 0.1 * normal()).collect();
            return Ok(Tensor::from_slice(&samples).unsqueeze(0));
        }
        let (mean, std) = self.view.statistics();
        let feats: Vec<f32> = (0..length)
            .flat_map(|_| mean.iter().zip(std))
            .map(|(mean, std)| mean + std * normal())
            .collect();
        Ok(Tensor::from_slice(&feats).reshape([1, length as i64, -1]))
    }

    /// The largest gap of the module to the model over the lengths; infinite where shapes differ. Twice over, since the
    /// first runs of a module are not yet optimised.
    fn stray(&self, module: &CModule, chain: &Chain, lengths: &[usize]) -> Result<f64> {
        let mut largest = 0f64;
        for &length in lengths.iter().chain(lengths) {
            let input = self.input_of(length)?;
            let expected = chain.run(&input)?;
            let found = no_grad(|| module.forward_ts(&[&input]))?;
            largest = largest.max(gap(&found, &expected));
            if let (Some(front_end), Some(options)) = (&chain.front_end, self.front_end) {
                let ours = FrontEnd::new(options.without_dither())?;
                let ours = tensor(&ours.compute(&Vec::try_from(&input.squeeze_dim(0))?)?);
                largest = largest.max(gap(&front_end.forward(&input), &ours));
            }
        }
        Ok(largest)
    }
}

impl Chain<'_> {
    /// `[1, frames, bins]` or `[1, samples]` to `[1, codes, dim]` or `[1, dim]`.
    fn run(&self, input: &Tensor) -> Result<Tensor> {
        no_grad(|| {
            let feats = match &self.front_end {
                None => input.shallow_clone(),
                Some(front_end) => front_end.forward(input),
            };
            let seen = self.view.forward(&feats).transpose(1, 2);
            let mask = Mask::new(&[seen.size()[2]], Device::Cpu);
            Ok(match self.strand {
                Strand::Speaker => self.model.embeds(&seen, &mask)?.contiguous(),
                _ => self
                    .model
                    .codes(&seen, &mask)?
                    .0
                    .transpose(1, 2)
                    .contiguous(),
            })
        })
    }
}

fn trace(chain: &Chain, input: Tensor) -> Result<CModule> {
    let mut failed = None;
    let module = no_grad(|| {
        CModule::create_by_tracing(
            "Encoder",
            "forward",
            &[input],
            &mut |inputs: &[Tensor]| match chain.run(&inputs[0]) {
                Ok(found) => vec![found],
                Err(error) => {
                    failed = Some(error);
                    vec![inputs[0].shallow_clone()]
                }
            },
        )
    })?;
    match failed {
        None => Ok(module),
        Some(error) => Err(error),
    }
}

/// The largest difference, relative to the largest value that is expected.
fn gap(found: &Tensor, expected: &Tensor) -> f64 {
    if found.size() != expected.size() || found.kind() != expected.kind() {
        return f64::INFINITY;
    }
    let apart = (found - expected).abs().max().double_value(&[]);
    let scale = expected.abs().max().double_value(&[]);
    match apart == 0.0 {
        true => 0.0,
        false if apart.is_finite() => apart / scale,
        false => f64::INFINITY,
    }
}

/// `[1, frames, bins]`.
fn tensor(feats: &Array2<f32>) -> Tensor {
    let values: Vec<f32> = feats.iter().copied().collect();
    let shape = [1, feats.nrows() as i64, feats.ncols() as i64];
    Tensor::from_slice(&values)
        .to_kind(Kind::Float)
        .reshape(shape)
}
