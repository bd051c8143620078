//! Two representations of one signal. A phonetic encoder and a speaker encoder read the features, and a decoder
//! reconstructs the features from both. Adversaries try to predict the speaker from the phonetic codes, and the phonetic
//! encoder is trained against them (alternating: Chou et al. 2018; gradient reversal: Ganin et al. 2016).
//!
//! With z the codes of an utterance, s the speaker embedding of *another* utterance of its speaker, x the
//! features, E the phonetic encoder, D the decoder and C a speaker classifier:
//!
//! ```text
//! encoders, decoder:  |D(z, s) - x| + a L_speaker(s) + b CE(label | z) - lambda CE(speaker | C(z))
//!                     + consistency losses of z + bottleneck loss of z
//! adversary:          CE(speaker | C(z))
//! ```

pub mod adversary;
pub mod clustering;
pub mod consistency;
pub mod conversion_discriminator;
pub mod cpc;
pub mod masked_prediction;
pub mod model;
pub mod mutual_information;
pub mod regression;
pub mod speaker_adversary;
pub mod speaker_lda;
pub mod supervision;

use std::cell::LazyCell;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::dataset::batch::SpeechBatch;
use crate::dataset::labels::Labels;
use crate::error::{Error, Result};
use crate::nn::layer::{bf16_autocast, channels_last};
use crate::nn::ssl::SslConfig;
use crate::nn::{ClassifierOptions, PerturbOptions};
use crate::objective::reconstruction::Reconstruction;
use crate::objective::speaker::{SpeakerConstraint, SpeakerHead};
use crate::train::{Clock, Division, Method, OptimiserOptions, Scalars, Trainable, update};
use adversary::{Adversary, StepContext};
use clustering::{Clustering, ClusteringOptions, SecondView};
use consistency::ConsistencyOptions;
use conversion_discriminator::{ConversionDiscriminator, ConversionDiscriminatorOptions};
use cpc::{Cpc, CpcOptions};
use masked_prediction::MaskedPredictionOptions;
use model::{Model, ModelOptions, ModelShape};
use mutual_information::{MutualInformation, MutualInformationOptions};
use speaker_adversary::{SpeakerAdversary, SpeakerAdversaryOptions};
use speaker_lda::{SpeakerLda, SpeakerLdaOptions};
use supervision::{LabelShape, Supervision};

/// Networks, losses and their weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DisentangleOptions {
    /// Encoders and decoder.
    pub model: ModelOptions,
    /// Random perturbation of the phonetic encoder's input in training; the decoder reconstructs the original features.
    pub perturb: PerturbOptions,
    /// Reconstruction loss: distance between decoded and original features.
    pub reconstruction: Reconstruction,
    /// Weight of the reconstruction loss. 0 leaves it out, for example to train a speaker encoder alone.
    pub reconstruction_weight: f64,
    /// Loss on speaker embeddings.
    pub speaker: SpeakerConstraint,
    /// Weight of the loss on speaker embeddings; 0 leaves it out.
    pub speaker_weight: f64,
    /// Give the decoder the speaker embedding of another utterance of the same speaker. Content then cannot pass
    /// through the speaker embedding. False uses that of the same utterance.
    pub speaker_from_other_utterance: bool,
    /// Weight of the supervised loss on the codes; 0 leaves it out. Needs `data.labels`.
    pub label_weight: f64,
    /// Predict labels of frames where the phonetic encoder's input is masked, and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masked_prediction: Option<MaskedPredictionOptions>,
    /// Network that predicts labels from codes.
    pub label_head: ClassifierOptions,
    /// Start consistency losses and adversaries only once the label loss, in nats per label, has stayed below this
    /// value for ten steps in a row. Their ramps count from there. Use it with sequence labels (CTC), which may never
    /// be learned when adversaries start first. Until the start no checkpoint is `best`; `label_head/steps_since_found`
    /// in the log counts the steps since. 0 starts them at once.
    pub adversary_start_below_label_loss: f64,
    /// Consistency losses: codes stay the same under voice conversion, decoding and perturbation.
    pub consistency: ConsistencyOptions,
    /// Clusters learned along, in place of labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clustering: Option<ClusteringOptions>,
    /// Contrastive predictive coding: each code predicts the next ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpc: Option<CpcOptions>,
    /// Speaker adversaries of the phonetic codes; none, one or several at once.
    pub adversaries: Vec<SpeakerAdversaryOptions>,
    /// Adversary in closed form: linear discriminant analysis of codes' means and covariances, as an attacker who averages
    /// several utterances of a speaker learns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker_lda: Option<SpeakerLdaOptions>,
    /// Adversary that estimates the mutual information between codes and speaker embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutual_information: Option<MutualInformationOptions>,
    /// Discriminator of original against voice-converted features, which makes converted speech realistic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion_discriminator: Option<ConversionDiscriminatorOptions>,
    /// Parts that training leaves as they are, their running statistics too, such as `["phonetic_encoder"]`. They are those
    /// of a checkpoint: `phonetic_encoder`, `speaker_encoder`, `decoder`, `label_head`, `speaker_adversary` and others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Optimiser of encoders, decoder, label head and speaker loss.
    pub optimiser: OptimiserOptions,
}

impl Default for DisentangleOptions {
    fn default() -> Self {
        Self {
            model: ModelOptions::default(),
            perturb: PerturbOptions::default(),
            reconstruction: Reconstruction::L1,
            reconstruction_weight: 1.0,
            speaker: SpeakerConstraint::default(),
            speaker_weight: 0.1,
            speaker_from_other_utterance: true,
            label_weight: 0.0,
            masked_prediction: None,
            label_head: ClassifierOptions::default(),
            adversary_start_below_label_loss: 0.0,
            consistency: ConsistencyOptions::default(),
            clustering: None,
            cpc: None,
            adversaries: Vec::new(),
            speaker_lda: None,
            mutual_information: None,
            conversion_discriminator: None,
            freeze: Vec::new(),
            optimiser: OptimiserOptions::default(),
        }
    }
}

impl DisentangleOptions {
    /// Checks every value; `labels` is the kind of labels of the data, which may give a second view of each utterance.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, labels: Labels, has_second_view: bool) -> Result<()> {
        self.model.check()?;
        self.perturb.check()?;
        self.speaker.check("speaker")?;
        for (key, value) in [
            ("reconstruction_weight", self.reconstruction_weight),
            ("speaker_weight", self.speaker_weight),
            ("label_weight", self.label_weight),
            (
                "adversary_start_below_label_loss",
                self.adversary_start_below_label_loss,
            ),
        ] {
            if !value.is_finite() || value < 0.0 {
                return Err(Error::option(key, "0 or more", value.to_string()));
            }
        }
        self.label_head.check("label_head")?;
        if let Some(masked) = &self.masked_prediction {
            masked.check("masked_prediction")?;
            if labels != Labels::Alignment || self.label_weight == 0.0 {
                return Err(Error::option(
                    "masked_prediction",
                    "data.labels = \"alignment\" and label_weight above 0 beside it",
                    "others",
                ));
            }
        }
        let has_views = has_second_view || self.perturb != PerturbOptions::default();
        self.consistency.check("consistency", has_views)?;
        for (index, adversary) in self.adversaries.iter().enumerate() {
            adversary.check(&format!("adversaries.{index}"))?;
        }
        if let Some(clustering) = &self.clustering {
            clustering.check("clustering", has_views)?;
        }
        if let Some(cpc) = &self.cpc {
            cpc.check("cpc")?;
        }
        if let Some(lda) = &self.speaker_lda {
            lda.check("speaker_lda")?;
        }
        if let Some(estimator) = &self.mutual_information {
            estimator.check("mutual_information")?;
        }
        if let Some(discriminator) = &self.conversion_discriminator {
            discriminator.check("conversion_discriminator")?;
        }
        self.optimiser.check("optimiser")?;
        let encoder = &self.model.phonetic_encoder;
        (encoder.check_decay(self.optimiser.weight_decay))
            .map_err(|error| error.in_table("model"))?;
        self.check_labels(labels)
    }

    /// Whether a part compares two views of an utterance.
    pub fn reads_second_view(&self) -> bool {
        let clusters = |clustering: &ClusteringOptions| {
            clustering.second_view == SecondView::Perturbed && clustering.weight.weight > 0.0
        };
        self.consistency.invariance > 0.0 || self.clustering.as_ref().is_some_and(clusters)
    }

    fn check_labels(&self, labels: Labels) -> Result<()> {
        if self.label_weight == 0.0 && self.adversary_start_below_label_loss > 0.0 {
            let (expected, found) = (
                "0 where label_weight is",
                self.adversary_start_below_label_loss.to_string(),
            );
            return Err(Error::option(
                "adversary_start_below_label_loss",
                expected,
                found,
            ));
        }
        let pooled = self.model.phonetic_encoder.pool;
        let (expected, found) = match labels {
            _ if self.label_weight == 0.0 => return Ok(()),
            Labels::None => ("data.labels other than \"none\"", "\"none\""),
            kind if pooled && kind != Labels::UtteranceClass => (
                "data.labels = \"utterance_class\", for pooled codes",
                "another kind",
            ),
            _ => return Ok(()),
        };
        Err(Error::option("label_weight", expected, found))
    }
}

/// The method.
#[derive(Debug)]
pub struct Disentangle {
    options: DisentangleOptions,
    model: Model,
    supervision: Option<Supervision>,
    speaker: (Option<Trainable>, SpeakerHead),
    clustering: Option<Clustering>,
    cpc: Option<Cpc>,
    adversaries: Vec<Box<dyn Adversary>>,
    device: Device,
    bf16: bool,
}

/// The data that the method is built for.
#[derive(Debug, Clone, Copy)]
pub struct DisentangleShape<'a> {
    /// Bins of the features.
    pub bins: i64,
    /// Number of training speakers.
    pub speakers: i64,
    /// The kind of labels, and their number.
    pub labels: (Labels, i64),
    /// The configuration of the model that `model.ssl_layers` belong to.
    pub ssl: Option<&'a SslConfig>,
}

impl Disentangle {
    /// New networks. The caller has seeded libtorch's generator.
    pub fn new(
        options: &DisentangleOptions,
        shape: DisentangleShape,
        device: Device,
        bf16: bool,
    ) -> Self {
        let label_shape = LabelShape {
            kind: shape.labels.0,
            labels: shape.labels.1,
            code_dim: options.model.code_dim(shape.bins),
            subsampling: options.model.subsampling(),
        };
        let supervision = (options.label_weight > 0.0).then(|| {
            let (head, start_below) = (
                &options.label_head,
                options.adversary_start_below_label_loss,
            );
            Supervision::new(label_shape, head, start_below, &options.optimiser, device)
        });
        let adversaries = adversaries(options, shape, device);
        let dim = options.model.speaker_encoder.outputs(shape.bins);
        let (trainable, head) =
            Trainable::new("speaker_head", device, &options.optimiser, |path| {
                SpeakerHead::new(path, options.speaker, dim, shape.speakers)
            });
        let learns = options.speaker_weight > 0.0 && options.speaker.learns();
        let cpc = options
            .cpc
            .as_ref()
            .map(|cpc| Cpc::new(cpc, label_shape.code_dim, &options.optimiser, device));
        let clustering = options.clustering.as_ref().map(|clustering| {
            Clustering::new(clustering, label_shape.code_dim, &options.optimiser, device)
        });
        let model_shape = ModelShape {
            bins: shape.bins,
            speakers: shape.speakers,
            ssl: shape.ssl,
        };
        Self {
            model: Model::new(&options.model, model_shape, &options.optimiser, device),
            options: options.clone(),
            supervision,
            speaker: (learns.then_some(trainable), head),
            clustering,
            cpc,
            adversaries,
            device,
            bf16,
        }
    }

    /// Encoders and decoder.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The encoders and the decoder: what is used after training.
    pub fn into_model(self) -> Model {
        self.model
    }

    /// A batch on the device, its features in the order that convolutions there read them in.
    fn placed(&self, batch: &SpeechBatch) -> SpeechBatch {
        let mut batch = batch.to(self.device);
        if self.device == Device::Cpu {
            batch.feats = channels_last(&batch.feats);
            batch.second = batch.second.as_ref().map(channels_last);
        }
        batch
    }

    /// An inner step of all adversaries that have so many.
    fn inner_step(
        &mut self,
        batch: &SpeechBatch,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        let context = StepContext::detached(&self.model, batch, &self.options, self.device);
        for adversary in &mut self.adversaries {
            if clock.batch < adversary.inner_steps() {
                adversary.inner_step(&context, clock, scalars)?;
            }
        }
        Ok(())
    }

    /// The step of encoders, decoder and all modules that share their update.
    fn joint_step(
        &mut self,
        batch: &SpeechBatch,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        self.model.observe_feats(batch, self.device);
        let context = StepContext::new(&self.model, batch, &self.options, self.device, true);
        self.model.observe(&context.encoded, context.embeds());
        let mut loss = self.loss(&context, clock.step, scalars);
        let steps_since_found = self.steps_since_found();
        if let Some(steps) = steps_since_found {
            scalars.add("label_head/steps_since_found", &Tensor::from(steps as f64));
        }
        if steps_since_found == Some(0) {
            let below = self.options.adversary_start_below_label_loss;
            scalars.set_incomplete(format!(
                "the label loss never stayed below {below} (method.adversary_start_below_label_loss), so the consistency losses \
                 and the adversaries never started; more steps, larger batches or a higher threshold may help"
            ));
        }
        let ramp_step = steps_since_found.unwrap_or(clock.step);
        for adversary in &mut self.adversaries {
            if let Some(term) = adversary.encoder_term(&context, ramp_step, scalars) {
                loss = &loss + term;
            }
        }
        drop(context);
        let mut trainables = self.model.trainables();
        trainables.extend(self.supervision.as_mut().map(Supervision::trainable));
        trainables.extend(self.speaker.0.as_mut());
        trainables.extend(self.clustering.as_mut().map(Clustering::trainable));
        trainables.extend(self.cpc.as_mut().map(Cpc::trainable));
        let joint = self
            .adversaries
            .iter_mut()
            .filter(|adversary| adversary.shares_update());
        trainables.extend(joint.map(|adversary| adversary.trainable()));
        update(&mut trainables, &loss, clock.total)
    }

    /// Steps since the label loss stayed below its threshold, 0 before; none without a threshold.
    fn steps_since_found(&self) -> Option<u64> {
        self.supervision
            .as_ref()
            .and_then(Supervision::steps_since_found)
    }

    /// The sum of the losses of encoders and decoder at a step, without adversaries. Clustering is no part of validation, which has
    /// one view.
    fn loss(&self, context: &StepContext, step: u64, scalars: &mut Scalars) -> Tensor {
        let (options, batch) = (&self.options, context.batch);
        let (codes, code_mask) = (context.codes(), context.code_mask());
        let decoded = LazyCell::new(|| {
            let embeds = match options.speaker_from_other_utterance {
                true => &(context.embeds()).index_select(0, &batch.other_of_same_speaker()),
                false => context.embeds(),
            };
            context.decode(codes, embeds)
        });
        let mut loss = Tensor::from(0f32).to_device(self.device);
        if options.reconstruction_weight > 0.0 {
            let error = (options.reconstruction).loss(&decoded, &batch.feats, &context.mask);
            scalars.add("decoder/reconstruction", &error);
            loss = error * options.reconstruction_weight;
        }
        if options.speaker_weight > 0.0 {
            let constraint = (self.speaker.1).loss(context.embeds(), &batch.speakers, step);
            scalars.add("speaker_encoder/constraint", &constraint);
            loss = &loss + constraint * options.speaker_weight;
        }
        if let Some(supervision) = &self.supervision
            && let Some(term) = supervision.loss(context, scalars)
        {
            loss = &loss + term * options.label_weight;
        }
        if let Some(cost) = &context.encoded.penalty {
            scalars.add("phonetic_encoder/bottleneck", cost);
            loss = &loss + cost;
        }
        if options.model.speaker_encoder.divergence > 0.0
            && let Some(cost) = &context.embedded().penalty
        {
            scalars.add("speaker_encoder/divergence", cost);
            loss = &loss + cost;
        }
        scalars.add(
            "phonetic_encoder/deviation",
            &code_mask.deviation_of_all(codes),
        );
        if let Some(perplexity) = &context.encoded.perplexity {
            scalars.add("phonetic_encoder/codebook_perplexity", perplexity);
        }
        if let Some(cpc) = &self.cpc {
            let term = cpc.loss(codes, code_mask);
            scalars.add("phonetic_encoder/cpc", &term);
            loss = &loss + term;
        }
        if let (Some(clustering), true) = (&self.clustering, context.train)
            && let Some(term) = clustering.loss(context, step, scalars)
        {
            loss = &loss + term;
        }
        if self.steps_since_found() != Some(0) {
            for term in options.consistency.terms(context, || &*decoded, scalars) {
                loss = &loss + term;
            }
        }
        scalars.add("loss", &loss);
        loss
    }
}

/// All adversaries of a configuration.
fn adversaries(
    options: &DisentangleOptions,
    shape: DisentangleShape,
    device: Device,
) -> Vec<Box<dyn Adversary>> {
    let code_dim = options.model.code_dim(shape.bins);
    let mut adversaries: Vec<Box<dyn Adversary>> = Vec::new();
    for (index, adversary) in options.adversaries.iter().enumerate() {
        let name = match index {
            0 => "speaker_adversary".to_string(),
            _ => format!("speaker_adversary_{}", index + 1),
        };
        let sizes = (code_dim, shape.speakers);
        let adversary = SpeakerAdversary::new(name, adversary, sizes, device);
        adversaries.push(Box::new(adversary));
    }
    if let Some(lda) = &options.speaker_lda {
        adversaries.push(Box::new(SpeakerLda::new(lda, code_dim, device)));
    }
    if let Some(estimator) = &options.mutual_information {
        let dim = options.model.speaker_encoder.outputs(shape.bins);
        let estimator = MutualInformation::new(estimator, code_dim, dim, device);
        adversaries.push(Box::new(estimator));
    }
    if let Some(discriminator) = &options.conversion_discriminator {
        adversaries.push(Box::new(ConversionDiscriminator::new(
            discriminator,
            shape.bins,
            device,
        )));
    }
    adversaries
}

impl Method for Disentangle {
    type Batch = SpeechBatch;

    fn trainables(&mut self) -> Vec<&mut Trainable> {
        let mut trainables = self.model.trainables();
        trainables.extend(self.supervision.as_mut().map(Supervision::trainable));
        trainables.extend(self.speaker.0.as_mut());
        trainables.extend(self.clustering.as_mut().map(Clustering::trainable));
        trainables.extend(self.cpc.as_mut().map(Cpc::trainable));
        trainables.extend(
            self.adversaries
                .iter_mut()
                .map(|adversary| adversary.trainable()),
        );
        trainables
    }

    fn batches_per_step(&self) -> usize {
        let inner_steps = self
            .adversaries
            .iter()
            .map(|adversary| adversary.inner_steps());
        1 + inner_steps.max().unwrap_or(0)
    }

    fn division(&self) -> Division {
        // Batches below the threshold are counted as steps.
        match self.options.adversary_start_below_label_loss > 0.0 {
            true => Division::Ranks,
            false => Division::Any,
        }
    }

    fn before_step(&mut self, clock: &Clock) {
        self.model.before_step();
        for adversary in &mut self.adversaries {
            adversary.before_step(clock.step);
        }
    }

    fn step(&mut self, batch: &SpeechBatch, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        bf16_autocast(self.bf16, || {
            let batch = self.placed(batch);
            match clock.batch + 1 < self.batches_per_step() {
                true => self.inner_step(&batch, clock, scalars),
                false => self.joint_step(&batch, clock, scalars),
            }
        })
    }

    fn validate(&self, batch: &SpeechBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let batch = self.placed(batch);
            let mut scalars = Scalars::default();
            let context = StepContext::new(&self.model, &batch, &self.options, self.device, false);
            // Validation losses of all steps are those of the last.
            let _ = self.loss(&context, u64::MAX, &mut scalars);
            for adversary in &self.adversaries {
                adversary.validate(&context, &mut scalars);
            }
            Ok(scalars)
        })
    }
}
