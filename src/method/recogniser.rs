//! A recogniser: from features to label sequences by connectionist temporal classification (Graves et al. 2006). It reads
//! any features or codes, so that they can be compared with the same recogniser.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::{Device, Kind, Tensor};

use crate::dataset::batch::SpeechBatch;
use crate::dataset::labels::Labels;
use crate::error::{Error, Result};
use crate::nn::layer::bf16_autocast;
use crate::nn::{Mask, PerturbOptions, RecogniserNetwork, RecogniserNetworkOptions};
use crate::objective::ctc::ctc;
use crate::signal::FeatureType;
use crate::train::schedule::{Decay, Schedule};
use crate::train::{Clock, Method, OptimiserOptions, Scalars, Trainable, update};

/// The share of a log spectrum's bins that a mask covers at most.
const MASK_SHARE: f64 = 0.2;

/// The network, masking of its input, and its optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecogniserOptions {
    /// The network.
    pub network: RecogniserNetworkOptions,
    /// Largest width of a mask over neighbouring bins in training, as a share of all bins (SpecAugment, Park et al.
    /// 2019). 0 masks none. By default 0.2 for log spectra (`data.feature_type`), and 0 for all other features, where more
    /// is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_share: Option<f64>,
    /// Largest width of a mask over neighbouring frames in training, in units of `network.subsampling` frames. 0 masks
    /// none.
    pub mask_outputs: i64,
    /// The optimiser.
    #[serde(deserialize_with = "own_optimiser")]
    pub optimiser: OptimiserOptions,
}

fn own_optimiser<'de, D: Deserializer<'de>>(written: D) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(RecogniserOptions::default().optimiser, written)
}

impl Default for RecogniserOptions {
    fn default() -> Self {
        Self {
            network: RecogniserNetworkOptions::default(),
            mask_share: None,
            mask_outputs: 4,
            optimiser: OptimiserOptions {
                lr: 2e-3,
                ema_decay: 0.98,
                schedule: Schedule {
                    warmup_steps: 50,
                    decay: Decay::Cosine,
                    final_ratio: 0.01,
                },
                ..OptimiserOptions::default()
            },
        }
    }
}

impl RecogniserOptions {
    /// Checks every value; `labels` are those of the data.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, labels: Labels) -> Result<()> {
        if !labels.are_strings() {
            let expected = "phone_sequence, word_sequence or character_sequence for a recogniser";
            return Err(Error::option("data.labels", expected, labels.name()));
        }
        if let Some(share) = self.mask_share.filter(|share| !(0.0..=1.0).contains(share)) {
            let found = share.to_string();
            return Err(Error::option("method.mask_share", "0 <= x <= 1", found));
        }
        if !(0..=1000).contains(&self.mask_outputs) {
            let found = self.mask_outputs.to_string();
            return Err(Error::option("method.mask_outputs", "0 to 1000", found));
        }
        self.network.check()?;
        self.optimiser.check("method.optimiser")
    }

    /// The same with every default that depends on the features' type.
    ///
    /// # Errors
    /// [`Error::Option`] for masks over the frequencies of features that have none.
    pub fn for_features(&self, features: FeatureType) -> Result<Self> {
        let default = match features.is_log_spectrum() {
            true => MASK_SHARE,
            false => 0.0,
        };
        let mask_share = self.mask_share.unwrap_or(default);
        if mask_share > 0.0 {
            features.check_spectral("method.mask_share", "0", &mask_share.to_string())?;
        }
        Ok(Self {
            mask_share: Some(mask_share),
            ..self.clone()
        })
    }
}

/// The method.
#[derive(Debug)]
pub struct Recogniser {
    trainable: Trainable,
    network: RecogniserNetwork,
    masks: PerturbOptions,
    subsampling: i64,
    device: Device,
    bf16: bool,
}

impl Recogniser {
    /// A new network for features of `bins` and a number of `labels`; the blank comes after them.
    pub fn new(
        options: &RecogniserOptions,
        (bins, labels): (i64, i64),
        device: Device,
        bf16: bool,
    ) -> Self {
        let (trainable, network) =
            Trainable::new("recogniser", device, &options.optimiser, |path| {
                RecogniserNetwork::new(&path, bins, labels + 1, &options.network)
            });
        let masks = PerturbOptions {
            warp: 0.0,
            mask_bins: (options.mask_share.unwrap_or(MASK_SHARE) * bins as f64).round() as i64,
            mask_frames: options.mask_outputs * options.network.subsampling,
        };
        Self {
            trainable,
            network,
            masks,
            subsampling: options.network.subsampling,
            device,
            bf16,
        }
    }

    /// Frames per output.
    pub fn subsampling(&self) -> i64 {
        self.subsampling
    }

    /// Features `[batch, bins, frames]` to log-probabilities `[batch, labels + 1, outputs]` and their mask.
    pub fn log_probs(&self, feats: &Tensor, mask: &Mask) -> (Tensor, Mask) {
        bf16_autocast(self.bf16, || {
            let (logits, mask) = self.network.forward(feats, mask, false);
            (logits.log_softmax(1, Kind::Float), mask)
        })
    }

    /// CTC loss in nats per label; none for a batch without labels.
    fn loss(&self, batch: &SpeechBatch, train: bool) -> Option<Tensor> {
        let batch = batch.to(self.device);
        let mask = Mask::new(&batch.lengths, self.device);
        let masked = train.then(|| mask.apply(self.masks.apply(&batch.feats)));
        let feats = masked.as_ref().unwrap_or(&batch.feats);
        let (logits, mask) = self.network.forward(feats, &mask, train);
        Some(ctc(&logits, &mask, batch.labels.as_ref()?))
    }
}

impl Method for Recogniser {
    type Batch = SpeechBatch;

    fn trainables(&mut self) -> Vec<&mut Trainable> {
        vec![&mut self.trainable]
    }

    fn step(&mut self, batch: &SpeechBatch, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        bf16_autocast(self.bf16, || {
            if let Some(loss) = self.loss(batch, true) {
                scalars.add("loss", &loss);
                update(&mut [&mut self.trainable], &loss, clock.total)?;
            }
            Ok(())
        })
    }

    fn validate(&self, batch: &SpeechBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            if let Some(loss) = self.loss(batch, false) {
                scalars.add("loss", &loss);
            }
            Ok(scalars)
        })
    }
}
