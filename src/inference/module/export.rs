//! Export: traces an encoder, the experiment's normalisation and optionally its front-end into one module, and checks that
//! the module's output at other lengths is that of the model.

use std::io::Write;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
#[cfg(target_os = "linux")]
use rustix::fs::{MemfdFlags, memfd_create};
use tch::{CModule, Device, Kind, Tensor, no_grad};

use super::archive::with_metadata;
use super::{FORMAT, Input, Metadata};
use crate::dataset::normalisation::Normalisation;
use crate::error::{Error, Result};
use crate::inference::extract::{Representation, rows};
use crate::io::atomic::AtomicFile;
use crate::method::DisentangledModel;
use crate::nn::front_end::TensorFrontEnd;
use crate::nn::normalisation::TensorNormalisation;
use crate::nn::{Mask, as_traced};
use crate::signal::{AnyFrontEndOptions, FrontEnd};

/// The largest difference between module and model, relative to the model's largest value.
const TOLERANCE: f64 = 1e-5;
/// The length of the trace, and those of the check, in frames above the minimum.
const TRACED: usize = 57;
const TRIED: [usize; 6] = [0, 1, 8, 58, 100, 333];

/// An export.
#[derive(Debug)]
pub struct Export<'a> {
    /// The trained networks, on the CPU.
    pub model: &'a dyn DisentangledModel,
    /// Their normalisation of features.
    pub normalisation: &'a Normalisation,
    /// [`Representation::Phonetic`] or [`Representation::Speaker`].
    pub representation: Representation,
    /// The front-end of the features, where it is known.
    pub front_end: Option<&'a AnyFrontEndOptions>,
    /// The module's input; a waveform requires a front-end.
    pub input: Input,
}

/// The result of an export.
#[derive(Debug)]
pub struct Exported {
    /// The module's metadata.
    pub metadata: Metadata,
    /// The largest difference to the model, relative to the model's largest value.
    pub gap: f64,
    /// The checked lengths, in frames or samples.
    pub lengths: Vec<usize>,
}

/// The traced computation: front-end if any, normalisation, encoder.
struct Chain<'a> {
    front_end: Option<TensorFrontEnd>,
    normalisation: TensorNormalisation,
    model: &'a dyn DisentangledModel,
    representation: Representation,
}

impl Export<'_> {
    /// Traces the module, checks the file that will be written, and writes it atomically.
    ///
    /// # Errors
    /// [`Error::Option`] for a representation that the method lacks or that cannot be exported, and for a front-end that cannot
    /// be exported; [`Error::Format`] naming the file for a module that differs from the model; [`Error::Torch`]; errors of
    /// writing.
    pub fn write(&self, target: &Path) -> Result<Exported> {
        let chain = self.chain()?;
        let (least, shift) = match &chain.front_end {
            None => (1, 1),
            Some(front_end) => (front_end.least_samples(), front_end.frame_shift_samples()),
        };
        let length = |frames| least + frames * shift;
        let traced = self.input_of(length(TRACED))?;
        let expected = as_traced(|| chain.run(&traced))?;
        let metadata = self.metadata(least, expected.size().last().copied().unwrap_or(0))?;
        // Checked before the work, and before libtorch writes, which ends the process on a full disk.
        let mut file = AtomicFile::create(target)?;
        let bytes = with_metadata(saved(&trace(&chain, traced)?)?, target, &metadata)?;
        let module = CModule::load_data(&mut &bytes[..])?;
        let lengths = TRIED.map(length).to_vec();
        let gap = self.largest_gap(&module, &chain, &lengths)?;
        if gap > TOLERANCE {
            let expected = format!("a module within {TOLERANCE:e} of the model");
            return Err(Error::format(
                target,
                expected,
                format!("a difference of {gap:e}"),
            ));
        }
        file.write_all(&bytes).map_err(Error::io(target))?;
        file.commit()?;
        Ok(Exported {
            metadata,
            gap,
            lengths,
        })
    }

    fn chain(&self) -> Result<Chain<'_>> {
        if !matches!(
            self.representation,
            Representation::Phonetic | Representation::Speaker
        ) {
            let found = format!("{:?}", self.representation).to_lowercase();
            return Err(Error::option(
                "--representation",
                "phonetic or speaker",
                found,
            ));
        }
        let front_end = match (self.input, self.front_end) {
            (Input::Features, _) => None,
            (Input::Waveform, Some(options)) => {
                let spectral = options.spectral("to put into a module")?;
                Some(TensorFrontEnd::new(spectral)?)
            }
            (Input::Waveform, None) => {
                let expected = "an experiment whose data.front_end names one";
                return Err(Error::option("--front-end", expected, "none"));
            }
        };
        Ok(Chain {
            front_end,
            normalisation: TensorNormalisation::new(self.normalisation),
            model: self.model,
            representation: self.representation,
        })
    }

    fn metadata(&self, least: usize, dim: i64) -> Result<Metadata> {
        Metadata {
            format: FORMAT,
            representation: self.representation,
            input: self.input,
            least,
            bins: self.normalisation.bins(),
            dim: dim as usize,
            subsampling: (self.representation == Representation::Phonetic)
                .then(|| self.model.subsampling()),
            sample_rate_hz: None,
            frame_shift_s: None,
            front_end: None,
        }
        .of_front_end(self.front_end)
    }

    /// An input of `length`, pseudo-random and always the same.
    fn input_of(&self, length: usize) -> Result<Tensor> {
        let mut rng = ChaCha8Rng::seed_from_u64(length as u64);
        let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
        if self.input == Input::Waveform {
            let samples: Vec<f32> = (0..length).map(|_| 0.1 * normal()).collect();
            return Ok(Tensor::from_slice(&samples).unsqueeze(0));
        }
        let (mean, std) = self.normalisation.statistics();
        let feats: Vec<f32> = (0..length)
            .flat_map(|_| mean.iter().zip(std))
            .map(|(mean, std)| mean + std * normal())
            .collect();
        Ok(Tensor::from_slice(&feats).reshape([1, length as i64, -1]))
    }

    /// The largest difference over the lengths; infinite where shapes differ. Every length runs twice, since libtorch
    /// optimises a module after its first runs.
    fn largest_gap(&self, module: &CModule, chain: &Chain, lengths: &[usize]) -> Result<f64> {
        let mut largest = 0f64;
        for &length in lengths.iter().chain(lengths) {
            let input = self.input_of(length)?;
            let found = no_grad(|| module.forward_ts(&[&input]))?;
            largest = largest
                .max(gap(&found, &as_traced(|| chain.run(&input))?))
                .max(self.before(chain, &input)?);
        }
        Ok(largest)
    }

    /// The difference between the chain's front-end and normalisation and those of extraction. It is measured without the
    /// encoder, since quantised codes may change by a level where features differ by the last bit.
    fn before(&self, chain: &Chain, input: &Tensor) -> Result<f64> {
        let (mut feats, mut apart) = (input.shallow_clone(), 0.0);
        if let (Some(front_end), Some(options)) = (&chain.front_end, self.front_end) {
            let samples: Vec<f32> = Vec::try_from(&input.squeeze_dim(0))?;
            let options = options.spectral("to put into a module")?.without_dither();
            let ours = FrontEnd::new(options)?.compute(&samples)?;
            feats = front_end.forward(input);
            apart = gap(&feats, &tensor(&ours));
        }
        let ours = rows(&feats.transpose(1, 2), &feats.size()[1..2]).remove(0);
        let seen = chain.normalisation.forward(&feats);
        Ok(gap(&seen, &tensor(&self.normalisation.apply(ours))).max(apart))
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
            let seen = self.normalisation.forward(&feats).transpose(1, 2);
            let mask = Mask::new(&[seen.size()[2]], Device::Cpu);
            Ok(match self.representation {
                Representation::Speaker => self.model.embeds(&seen, &mask)?.contiguous(),
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

/// The bytes of a module. libtorch writes only to a path, and ends the process on a full disk: it gets a file in memory.
#[cfg(target_os = "linux")]
fn saved(module: &CModule) -> Result<Vec<u8>> {
    let file = memfd_create("module.pt", MemfdFlags::CLOEXEC);
    let file = file.map_err(|error| Error::io("memory")(error.into()))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    module.save(&path)?;
    std::fs::read(&path).map_err(Error::io(&path))
}

#[cfg(not(target_os = "linux"))]
fn saved(module: &CModule) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))?;
    let path = folder.path().join("module.pt");
    module.save(&path)?;
    std::fs::read(&path).map_err(Error::io(&path))
}

/// The largest difference, relative to the largest expected value.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::normalisation::{Cmvn, NormalisationOptions};
    use crate::inference::module::EncoderModule;
    use crate::method::disentangle::model::{Model, ModelOptions, ModelShape};
    use crate::method::fhvae::{Fhvae, FhvaeOptions};
    use crate::nn::baseline::BaselineOptions;
    use crate::nn::phonetic_encoder::Backbone;
    use crate::nn::speaker_encoder::SpeakerBackbone;
    use crate::nn::{
        BottleneckOptions, DecoderOptions, PhoneticEncoderOptions, SpeakerEncoderOptions,
    };
    use crate::train::OptimiserOptions;

    const BINS: i64 = 20;

    fn normalisation(options: NormalisationOptions) -> Normalisation {
        let feats =
            Array2::from_shape_fn((50, BINS as usize), |(t, b)| ((t * 7 + b * b) % 13) as f32);
        Normalisation::fit(&options, BINS as usize, std::iter::once(Ok(feats))).unwrap()
    }

    /// Exports, loads, and compares the module with extraction at a length that was not checked.
    fn exports(
        model: &dyn DisentangledModel,
        normalisation: &Normalisation,
        representation: Representation,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("encoder.pt");
        let export = Export {
            model,
            normalisation,
            representation,
            front_end: None,
            input: Input::Features,
        };
        let exported = export.write(&path).unwrap();
        let module = EncoderModule::load(&path, Device::Cpu).unwrap();
        assert_eq!(module.metadata(), &exported.metadata);
        let input = export.input_of(200).unwrap();
        let seen = normalisation.apply(rows(&input.transpose(1, 2), &[200]).remove(0));
        let seen = tensor(&seen).transpose(1, 2);
        let mask = Mask::new(&seen.size()[2..], Device::Cpu);
        let expected = no_grad(|| match representation {
            Representation::Speaker => model.embeds(&seen, &mask).unwrap(),
            _ => model.codes(&seen, &mask).unwrap().0.transpose(1, 2),
        });
        let found = no_grad(|| module.run(&input)).unwrap();
        assert!(gap(&found, &expected) < 1e-5, "{}", gap(&found, &expected));
    }

    fn model(options: &ModelOptions) -> Model {
        options.check().unwrap();
        let shape = ModelShape {
            bins: BINS,
            speakers: 3,
            ssl: None,
        };
        let mut model = Model::new(options, shape, &OptimiserOptions::default(), Device::Cpu);
        model
            .trainables()
            .into_iter()
            .for_each(|trainable| trainable.freeze());
        model
    }

    fn phonetic(encoder: PhoneticEncoderOptions) -> ModelOptions {
        ModelOptions {
            phonetic_encoder: PhoneticEncoderOptions {
                channels: 16,
                code_dim: 6,
                ..encoder
            },
            ..Default::default()
        }
    }

    #[test]
    fn every_phonetic_backbone_and_bottleneck_takes_any_length() {
        let normalisation = normalisation(NormalisationOptions::default());
        let backbones = [
            Backbone::Conv { layers: 2 },
            Backbone::Recurrent { layers: 2 },
            Backbone::Conformer {
                layers: 1,
                heads: 4,
            },
        ];
        for (backbone, causal) in backbones
            .into_iter()
            .flat_map(|backbone| [(backbone, false), (backbone, true)])
        {
            let options = phonetic(PhoneticEncoderOptions {
                backbone,
                causal,
                instance_norm: !causal,
                ..Default::default()
            });
            exports(&model(&options), &normalisation, Representation::Phonetic);
        }
        let vector = BottleneckOptions::Vq {
            codes: 8,
            commitment: 0.25,
            restart_below: 0.05,
        };
        let variational = BottleneckOptions::Vae {
            weight: 1.0,
            free_bits: 0.0,
            prior_channels: 0,
        };
        let balanced = BottleneckOptions::Fsq {
            levels: 3,
            balanced: true,
        };
        for bottleneck in [vector, variational, balanced] {
            let options = phonetic(PhoneticEncoderOptions {
                bottleneck,
                code_norm: true,
                ..Default::default()
            });
            exports(&model(&options), &normalisation, Representation::Phonetic);
        }
        let mut pooled = phonetic(PhoneticEncoderOptions {
            pool: true,
            ..Default::default()
        });
        pooled.decoder = DecoderOptions::Recurrent(Default::default());
        exports(&model(&pooled), &normalisation, Representation::Phonetic);
    }

    #[test]
    fn every_backbone_takes_any_length() {
        for (backbone, input_statistics) in [
            (SpeakerBackbone::Tdnn, 0.0),
            (SpeakerBackbone::Ecapa, 0.0),
            (SpeakerBackbone::Resnet, 0.5),
        ] {
            let options = ModelOptions {
                speaker_encoder: SpeakerEncoderOptions {
                    backbone,
                    input_statistics,
                    channels: 8,
                    ..Default::default()
                },
                ..Default::default()
            };
            exports(
                &model(&options),
                &normalisation(NormalisationOptions::default()),
                Representation::Speaker,
            );
        }
    }

    #[test]
    fn every_normalisation_is_included() {
        let model = model(&phonetic(PhoneticEncoderOptions::default()));
        for cmvn in [Cmvn::None, Cmvn::Utterance, Cmvn::Global] {
            for (subtract_utterance_mean, fixed_frames) in [(true, 0), (false, 40)] {
                let options = NormalisationOptions {
                    subtract_utterance_mean: Some(subtract_utterance_mean),
                    cmvn,
                    fixed_frames,
                };
                exports(&model, &normalisation(options), Representation::Phonetic);
            }
        }
    }

    #[test]
    fn models_without_network_or_of_another_shape_take_any_length() {
        let normalisation = normalisation(NormalisationOptions::default());
        for baseline in [
            BaselineOptions::Standardise,
            BaselineOptions::SpeakerPca { directions: 2 },
        ] {
            let options = ModelOptions {
                baseline: Some(baseline),
                ..Default::default()
            };
            exports(&model(&options), &normalisation, Representation::Phonetic);
        }
        let regressed = ModelOptions {
            regress_speaker_out: true,
            ..phonetic(PhoneticEncoderOptions::default())
        };
        exports(&model(&regressed), &normalisation, Representation::Phonetic);
        let options = FhvaeOptions {
            channels: 16,
            ..Default::default()
        };
        let mut fhvae = Fhvae::new(&options, (BINS, 3), Device::Cpu, false);
        crate::train::Method::trainables(&mut fhvae)
            .into_iter()
            .for_each(|trainable| trainable.freeze());
        exports(&fhvae, &normalisation, Representation::Phonetic);
        exports(&fhvae, &normalisation, Representation::Speaker);
    }

    /// A module whose output depends on the traced length is refused, and no file is left.
    #[test]
    fn a_module_that_differs_from_the_model_is_not_written() {
        #[derive(Debug)]
        struct Fixed;
        impl DisentangledModel for Fixed {
            fn codes(&self, feats: &Tensor, mask: &Mask) -> Result<(Tensor, Mask)> {
                let scale = mask.frames() as f64;
                Ok((feats * scale, mask.subsample(1)))
            }

            fn subsampling(&self) -> i64 {
                1
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let normalisation = normalisation(NormalisationOptions::default());
        let export = Export {
            model: &Fixed,
            normalisation: &normalisation,
            representation: Representation::Phonetic,
            front_end: None,
            input: Input::Features,
        };
        let error = export.write(&dir.path().join("x.pt")).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(
                "x.pt: expected a module within 1e-5 of the model, found a difference of"
            ),
            "{message}"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
