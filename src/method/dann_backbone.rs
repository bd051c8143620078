//! Feature extractors of [`super::dann`] for images and for speech.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::Path;
use tch::{Device, Kind, Tensor};

use super::dann::{Backbone, Dann, DannOptions};
use super::trained::DisentangledModel;
use crate::dataset::batch::SpeechBatch;
use crate::dataset::image_batch::ImageBatch;
use crate::dataset::labels::{Labels, NO_LABEL};
use crate::error::{Error, Result};
use crate::nn::image::classifier::check_hidden;
use crate::nn::image::{Extractor, ImageClassifierOptions};
use crate::nn::pooling::statistics;
use crate::nn::{Mask, PhoneticEncoder, PhoneticEncoderOptions, PhoneticStream};

/// Convolutions over images. The batch holds the training labels and the domains.
#[derive(Debug)]
pub struct ImageBackbone {
    extractor: Extractor,
    device: Device,
}

impl ImageBackbone {
    /// For images of `[channels, height, width]`.
    pub fn new(
        path: &Path,
        shape: [i64; 3],
        options: &ImageClassifierOptions,
        device: Device,
    ) -> Self {
        let extractor = Extractor::new(path, shape, options);
        Self { extractor, device }
    }

    /// Features `[batch, dims]` of images `[batch, channels, height, width]`.
    pub fn of(&self, images: &Tensor, train: bool) -> Tensor {
        self.extractor.forward(images, train)
    }
}

impl Backbone for ImageBackbone {
    type Batch = ImageBatch;

    fn dims(&self) -> i64 {
        self.extractor.dims()
    }

    fn features(&self, batch: &ImageBatch, train: bool) -> Tensor {
        self.of(&batch.images.to(self.device), train)
    }

    fn training_labels(&self, batch: &ImageBatch) -> (Tensor, Tensor) {
        let to = |tensor: &Tensor| tensor.to(self.device);
        (to(&batch.labels), to(&batch.domains))
    }

    fn all_labels(&self, batch: &ImageBatch) -> Tensor {
        batch.labels.to(self.device)
    }
}

/// DANN on speech: utterances are classified, and the domain follows from the speaker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpeechDannOptions {
    /// The phonetic encoder, whose codes are the features.
    pub phonetic_encoder: PhoneticEncoderOptions,
    /// Training speakers of the target domain, whose labels are not used in training. For example the speakers of
    /// another corpus or channel, or a speaker held out.
    pub target_speakers: Vec<String>,
    /// Widths of the hidden layers of the utterance classifier.
    pub hidden: Vec<i64>,
    /// The domain classifier, and how the encoder is trained against it.
    pub adversary: DannOptions,
}

impl Default for SpeechDannOptions {
    fn default() -> Self {
        Self {
            phonetic_encoder: PhoneticEncoderOptions::default(),
            target_speakers: Vec::new(),
            hidden: vec![100, 100],
            adversary: DannOptions::default(),
        }
    }
}

impl SpeechDannOptions {
    /// Checks every value that can be checked without data.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, labels: Labels) -> Result<()> {
        if labels != Labels::UtteranceClass {
            let expected = "\"utterance_class\" with method \"dann\", which classifies utterances";
            return Err(Error::option(
                "data.labels",
                expected,
                format!("{labels:?}"),
            ));
        }
        self.phonetic_encoder.check()?;
        (self.phonetic_encoder).check_decay(self.adversary.optimiser.weight_decay)?;
        if self.phonetic_encoder.bottleneck.costs() {
            let expected = "\"none\" or \"fsq\", which add no loss";
            return Err(Error::option(
                "method.phonetic_encoder.bottleneck",
                expected,
                "another",
            ));
        }
        check_hidden("method.hidden", &self.hidden)?;
        self.adversary.check("method.adversary")
    }

    /// For each speaker, whether it belongs to the target domain.
    ///
    /// # Errors
    /// [`Error::Option`] for an unknown target speaker, or a domain without speakers.
    pub fn domains(&self, speakers: &[String]) -> Result<Vec<bool>> {
        let wrong = |expected: String, found: String| {
            Err(Error::option("method.target_speakers", expected, found))
        };
        if let Some(unknown) = self.target_speakers.iter().find(|s| !speakers.contains(s)) {
            return wrong("speakers of data.train".into(), unknown.clone());
        }
        let domains: Vec<bool> = (speakers.iter())
            .map(|speaker| self.target_speakers.contains(speaker))
            .collect();
        match domains.iter().all(|&target| target) || !domains.contains(&true) {
            true => wrong(
                format!("some of the {} speakers, and not all", speakers.len()),
                self.target_speakers.len().to_string(),
            ),
            false => Ok(domains),
        }
    }
}

impl DisentangledModel for Dann<SpeechBackbone> {
    fn codes(&self, feats: &Tensor, mask: &Mask) -> Result<(Tensor, Mask)> {
        Ok(self.backbone().encoder.codes(feats, mask))
    }

    fn subsampling(&self) -> i64 {
        self.backbone().encoder.subsampling()
    }

    fn stream(&self) -> Result<PhoneticStream<'_>> {
        self.backbone().encoder.stream()
    }
}

/// The phonetic encoder. Features are mean and standard deviation of its codes over time. Utterances of some speakers are
/// the target domain, whose labels are not used in training.
#[derive(Debug)]
pub struct SpeechBackbone {
    encoder: PhoneticEncoder,
    code_dim: i64,
    /// For each speaker, 1 for the target domain, else 0.
    domains: Tensor,
    device: Device,
}

impl SpeechBackbone {
    /// For features of `bins`; `target` is, for each speaker, whether it belongs to the target domain.
    pub fn new(
        path: Path,
        bins: i64,
        options: &PhoneticEncoderOptions,
        target: &[bool],
        device: Device,
    ) -> Self {
        let domains: Vec<i64> = target.iter().map(|&target| i64::from(target)).collect();
        Self {
            encoder: PhoneticEncoder::new(path, bins, options),
            code_dim: options.code_dim,
            domains: Tensor::from_slice(&domains).to(device),
            device,
        }
    }

    /// Codes `[batch, code_dim, codes]` of features `[batch, bins, frames]`, and their mask.
    pub fn codes(&self, feats: &Tensor, mask: &Mask, train: bool) -> (Tensor, Mask) {
        let encoded = self.encoder.forward(feats, mask, train);
        (encoded.codes, encoded.mask)
    }
}

impl Backbone for SpeechBackbone {
    type Batch = SpeechBatch;

    fn dims(&self) -> i64 {
        2 * self.code_dim
    }

    fn features(&self, batch: &SpeechBatch, train: bool) -> Tensor {
        let batch = batch.to(self.device);
        if train {
            self.encoder.before_step();
        }
        let mask = Mask::new(&batch.lengths, self.device);
        let (codes, mask) = self.codes(&batch.feats, &mask, train);
        statistics(&codes, &mask)
    }

    fn training_labels(&self, batch: &SpeechBatch) -> (Tensor, Tensor) {
        let speakers = batch.speakers.to(self.device).clamp_min(0);
        let domains = self.domains.index_select(0, &speakers);
        let labels = self.all_labels(batch);
        let hidden = domains.to_kind(Kind::Bool);
        (labels.masked_fill(&hidden, NO_LABEL), domains)
    }

    fn all_labels(&self, batch: &SpeechBatch) -> Tensor {
        match &batch.labels {
            Some(labels) => labels.to(self.device),
            None => batch.speakers.to(self.device).full_like(NO_LABEL),
        }
    }
}
