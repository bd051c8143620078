//! Attackers that train a speaker encoder: on the representation of the training speakers (semi-informed), or on raw features
//! (lazy-informed, and ignorant where the enrolment is raw too). As in the VoicePrivacy challenges, utterances are compared by
//! the cosine of their embeddings.

use std::sync::Arc;

use ndarray::{Array2, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use super::source::{List, Source};
use super::speakers::SpeakerSet;
use crate::dataset::loader::Loader;
use crate::dataset::sampler::pack_by_length;
use crate::error::{Error, Result, check_within};
use crate::eval::wide_input::WideInput;
use crate::nn::layer::BatchNorm;
use crate::nn::speaker_encoder::{SpeakerBackbone, SpeakerEncoder, SpeakerEncoderOptions};
use crate::nn::{Mask, PerturbOptions};
use crate::objective::aam_softmax::AamSoftmaxOptions;
use crate::objective::speaker::{SpeakerConstraint, SpeakerHead};
use crate::train::schedule::{Decay, Schedule};
use crate::train::trainer::step_seed;
use crate::train::{OptimiserKind, OptimiserOptions, Trainable, update};

/// How often the development speakers are looked at in training.
const LOOKS: u64 = 8;
/// Frames, padding counted, that are embedded at once.
const FRAMES_AT_ONCE: usize = 8192;

/// How a speaker encoder is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderOptions {
    /// Its layers.
    pub backbone: SpeakerBackbone,
    /// Their width.
    pub channels: i64,
    /// Values of an embedding.
    pub embedding_dim: i64,
    /// Steps; 0 trains none.
    pub steps: u64,
    /// Utterances per step.
    pub batch: usize,
    /// Longest window in training, in frames.
    pub crop_frames: usize,
    /// Learning rate.
    pub lr: f64,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self {
            backbone: SpeakerBackbone::Tdnn,
            channels: 128,
            embedding_dim: 128,
            steps: 800,
            batch: 48,
            crop_frames: 150,
            lr: 2e-3,
        }
    }
}

impl EncoderOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the option.
    pub fn check(&self) -> Result<()> {
        check_within("--encoder-steps", self.steps, 0..=1_000_000)?;
        check_within("encoder batch", self.batch, 2..=1 << 16)?;
        check_within("encoder crop_frames", self.crop_frames, 1..=1 << 24)?;
        check_within("encoder lr", self.lr, 0.0..=1.0)?;
        let options = self.network();
        options.check()
    }

    fn network(&self) -> SpeakerEncoderOptions {
        SpeakerEncoderOptions {
            backbone: self.backbone,
            channels: self.channels,
            embedding_dim: self.embedding_dim,
            ..SpeakerEncoderOptions::default()
        }
    }

    fn optimiser(&self) -> OptimiserOptions {
        OptimiserOptions {
            kind: OptimiserKind::AdamW,
            lr: self.lr,
            weight_decay: 1e-2,
            schedule: Schedule {
                warmup_steps: self.steps / 20,
                decay: Decay::Cosine,
                final_ratio: 0.01,
            },
            ..OptimiserOptions::default()
        }
    }
}

/// A set of utterances that are read when they are wanted.
#[derive(Debug, Clone)]
pub struct Utterances<'a> {
    /// Whose they are.
    pub set: &'a SpeakerSet,
    /// Where they lie.
    pub list: Arc<List>,
    /// Frames of each.
    pub frames: &'a [usize],
    /// Values per frame.
    pub dims: usize,
}

impl<'a> Utterances<'a> {
    /// Of a source; none where it cannot be read in any order.
    ///
    /// # Errors
    /// As [`Source::list`].
    pub fn open(
        source: &Source,
        set: &'a SpeakerSet,
        frames: &'a [usize],
        dims: usize,
    ) -> Result<Option<Self>> {
        let list = source.list()?;
        Ok(list.map(|list| Self {
            set,
            list: Arc::new(list),
            frames,
            dims,
        }))
    }
}

/// A trained encoder.
#[derive(Debug)]
pub struct Encoder {
    network: Network,
    dims: usize,
    // Owns the network's variables.
    trainable: Trainable,
}

#[derive(Debug)]
struct Network {
    wide: Option<WideInput>,
    norm: BatchNorm,
    encoder: SpeakerEncoder,
    head: SpeakerHead,
}

impl Network {
    /// The standardised input of the encoder.
    fn read(&self, feats: &Tensor, mask: &Mask, train: bool) -> Tensor {
        match &self.wide {
            None => self.norm.over_frames(feats, mask, train),
            Some(wide) => (self.norm).over_frames(&wide.forward(feats, mask, train), mask, train),
        }
    }
}

impl Encoder {
    /// Trains an encoder to tell `speakers` of `learn` apart. Of the moments at which `judge` is asked, the one that it finds
    /// best is kept.
    ///
    /// # Errors
    /// What reading says; [`Error::NonFinite`] for a loss that ran away; whatever `judge` says.
    pub fn train(
        learn: &Utterances,
        speakers: &[usize],
        options: &EncoderOptions,
        seed: u64,
        mut judge: impl FnMut(&Self) -> Result<f64>,
    ) -> Result<Self> {
        tch::manual_seed(step_seed(seed, 0));
        let classes = speakers.len() as i64;
        let (trainable, network) =
            Trainable::new("attacker", Device::Cpu, &options.optimiser(), |path| {
                let constraint = SpeakerConstraint::AamSoftmax(AamSoftmaxOptions::default());
                let (wide, dims) = WideInput::new(&path / "wide", learn.dims as i64);
                Network {
                    wide,
                    norm: BatchNorm::plain(&path / "norm", dims),
                    encoder: SpeakerEncoder::new(&path / "encoder", dims, &options.network()),
                    head: SpeakerHead::new(
                        &path / "head",
                        constraint,
                        options.embedding_dim,
                        classes,
                    ),
                }
            });
        let mut trained = Self {
            network,
            dims: learn.dims,
            trainable,
        };
        let mut batches = batches(learn, speakers, options, seed);
        let mut best = (f64::NEG_INFINITY, Vec::new());
        for step in 1..=options.steps {
            let Some(batch) = batches.next() else { break };
            trained.learn(&batch?, step, options.steps)?;
            if step % (options.steps / LOOKS).max(1) == 0 || step == options.steps {
                let found = judge(&trained)?;
                // Of equals the later one, which has learned more.
                if found >= best.0 {
                    best = (found, trained.tensors().map(Tensor::copy).collect());
                }
            }
        }
        no_grad(|| {
            trained
                .tensors()
                .zip(&best.1)
                .for_each(|(tensor, kept)| tensor.shallow_clone().copy_(kept))
        });
        Ok(trained)
    }

    fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.trainable.tensors().map(|(_, tensor)| tensor)
    }

    fn learn(&mut self, batch: &Batch, step: u64, steps: u64) -> Result<()> {
        let mask = Mask::new(&batch.lengths, Device::Cpu);
        let feats = self.network.read(&batch.feats, &mask, true);
        let masks = PerturbOptions {
            warp: 0.0,
            mask_bins: 0,
            mask_frames: feats.size()[2] / 5,
        };
        let embeds = self
            .network
            .encoder
            .forward(&mask.apply(masks.apply(&feats)), &mask, true);
        let loss = self
            .network
            .head
            .loss(&embeds, &Tensor::from_slice(&batch.speakers), step);
        let value = loss.double_value(&[]);
        if !value.is_finite() {
            return Err(Error::NonFinite {
                step,
                trainable: "attacker".into(),
                term: "speaker loss".into(),
                value,
            });
        }
        update(&mut [&mut self.trainable], &loss, steps)
    }

    /// Values per frame that it reads.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Embeddings `[places, embedding_dim]` of utterances.
    ///
    /// # Errors
    /// What reading says; [`Error::Key`] for an utterance whose embedding is not finite.
    pub fn embed(&self, utterances: &Utterances, places: &[usize]) -> Result<Array2<f32>> {
        let frames: Vec<usize> = places
            .iter()
            .map(|&place| utterances.frames[place])
            .collect();
        let mut all = Array2::zeros((0, 0));
        for rows in pack_by_length((0..places.len()).collect(), &frames, FRAMES_AT_ONCE) {
            let read = rows.iter().map(|&row| {
                let key = utterances.set.key(places[row]);
                utterances.list.get(key, utterances.dims)
            });
            let batch = Batch::of(read.collect::<Result<Vec<_>>>()?, Vec::new());
            let mask = Mask::new(&batch.lengths, Device::Cpu);
            let embeds = no_grad(|| {
                let feats = self.network.read(&batch.feats, &mask, false);
                self.network.encoder.forward(&feats, &mask, false)
            });
            let embeds = Vec::<Vec<f32>>::try_from(embeds.to_kind(Kind::Float))?;
            for (row, embed) in rows.into_iter().zip(embeds) {
                if let Some(value) = embed.iter().find(|value| !value.is_finite()) {
                    let key = utterances.set.key(places[row]);
                    let expected = "features of which an encoder makes finite numbers";
                    return Err(Error::key(
                        utterances.list.path(),
                        key,
                        expected,
                        value.to_string(),
                    ));
                }
                if all.is_empty() {
                    all = Array2::zeros((places.len(), embed.len()));
                }
                all.row_mut(row).assign(&ndarray::ArrayView1::from(&embed));
            }
        }
        Ok(all)
    }
}

/// Utterances side by side.
struct Batch {
    /// `[batch, dims, frames]`.
    feats: Tensor,
    lengths: Vec<i64>,
    speakers: Vec<i64>,
}

impl Batch {
    fn of(rows: Vec<Array2<f32>>, speakers: Vec<i64>) -> Self {
        let longest = rows.iter().map(Array2::nrows).max().unwrap_or(0);
        let dims = rows.first().map_or(0, Array2::ncols);
        let mut values = Array2::zeros((rows.len() * longest, dims));
        for (place, rows) in rows.iter().enumerate() {
            let begin = place * longest;
            values
                .slice_mut(s![begin..begin + rows.nrows(), ..])
                .assign(rows);
        }
        let shape = [rows.len() as i64, longest as i64, dims as i64];
        Self {
            feats: Tensor::from_slice(values.as_slice().unwrap_or_default())
                .reshape(shape)
                .transpose(1, 2)
                .contiguous(),
            lengths: rows.iter().map(|rows| rows.nrows() as i64).collect(),
            speakers,
        }
    }
}

/// Batches without end: every speaker as often, windows at random places.
fn batches(
    learn: &Utterances,
    speakers: &[usize],
    options: &EncoderOptions,
    seed: u64,
) -> Loader<Batch> {
    let keys: Vec<Vec<String>> = speakers
        .iter()
        .map(|&speaker| {
            let places = &learn.set.utterances()[speaker];
            places
                .iter()
                .map(|&place| learn.set.key(place).to_string())
                .collect()
        })
        .collect();
    let (list, dims) = (Arc::clone(&learn.list), learn.dims);
    let (batch, crop) = (options.batch, options.crop_frames);
    Loader::spawn(0, 1, move |number| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number + 1);
        let mut rows = Vec::with_capacity(batch);
        let mut drawn = Vec::with_capacity(batch);
        for _ in 0..batch {
            let speaker = rng.random_range(0..keys.len());
            let own = &keys[speaker];
            let all = list.get(&own[rng.random_range(0..own.len())], dims)?;
            let length = all.nrows().min(crop);
            let begin = rng.random_range(0..=all.nrows() - length);
            rows.push(all.slice(s![begin..begin + length, ..]).to_owned());
            drawn.push(speaker as i64);
        }
        Ok(Batch::of(rows, drawn))
    })
}
