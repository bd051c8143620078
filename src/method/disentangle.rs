//! Two strands from one signal: a phonetic encoder and a speaker encoder read the features, a decoder puts them
//! together again, and speaker critics read the phonetic codes, which their encoder learns to keep from them
//! (Chou et al. 2018, in turns; Ganin et al. 2016, at once).
//!
//! With z the codes of an utterance, s the speaker embedding of *another* utterance of its speaker, x the
//! features, E the phonetic encoder, D the decoder and C a critic:
//!
//! ```text
//! encoders, decoder:  |D(z, s) - x| + a L_speaker(s) + b CE(label | z) - lambda CE(speaker | C(z))
//!                     + consistency of z + what the bottleneck of z costs
//! critic:             CE(speaker | C(z))
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::adversary::{Adversary, AdversaryOptions};
use super::clustering::{Clustering, ClusteringOptions};
use super::consistency::ConsistencyOptions;
use super::information::{Information, InformationOptions};
use super::label_help::{LabelHelp, LabelShape};
use super::model::{Model, ModelOptions, ModelShape};
use super::opponent::{Made, Opponent};
use super::prediction::{Prediction, PredictionOptions};
use super::realism::{Realism, RealismOptions};
use crate::dataset::batch::SpeechBatch;
use crate::dataset::labels::Labels;
use crate::error::{Error, Result};
use crate::nn::layer::bf16_autocast;
use crate::nn::{ClassifierOptions, PerturbOptions};
use crate::objective::reconstruction::Reconstruction;
use crate::objective::speaker::{SpeakerConstraint, SpeakerHead};
use crate::train::{Clock, Method, OptimiserOptions, Player, Scalars, update};

/// Networks, weights of the terms, and how the adversaries play.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DisentangleOptions {
    /// Encoders and decoder.
    pub model: ModelOptions,
    /// What is done in training to the features that the phonetic encoder reads; the decoder gives back the
    /// original.
    pub perturb: PerturbOptions,
    /// Distance between decoded and real features.
    pub reconstruction: Reconstruction,
    /// Its weight; at 0 nothing is learned from reconstruction, as of a speaker encoder that is trained alone.
    pub reconstruction_weight: f64,
    /// The speaker constraint.
    pub speaker: SpeakerConstraint,
    /// Weight a of the speaker constraint; 0 leaves it out.
    pub speaker_weight: f64,
    /// Whether the decoder gets the embedding of another utterance of the same speaker, so that content cannot
    /// pass through the speaker strand.
    pub embed_other_utterance: bool,
    /// Weight b of help from labels; 0 leaves it out.
    pub label_weight: f64,
    /// The network that reads labels from codes.
    pub label_head: ClassifierOptions,
    /// Label loss, in nats a label, that has to be undercut ten steps in a row before codes are held fast and the
    /// opponents' weights begin to rise; their ramps count from there. Let loose earlier, either can keep strings of
    /// labels from ever being found. 0 waits for nothing; otherwise `label_head/found_for` in the log tells the steps since.
    /// No checkpoint is `best` before.
    pub wait_for_labels: f64,
    /// What codes are held fast under.
    pub consistency: ConsistencyOptions,
    /// Clusters in place of labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clustering: Option<ClusteringOptions>,
    /// Codes that foretell codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<PredictionOptions>,
    /// The speaker critics; none of them, or several at once.
    pub adversaries: Vec<AdversaryOptions>,
    /// An estimator of what codes tell of the speaker embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub information: Option<InformationOptions>,
    /// A discriminator of real against converted features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realism: Option<RealismOptions>,
    /// Optimiser of encoders, decoder, label head and what the speaker constraint learns.
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
            embed_other_utterance: true,
            label_weight: 0.0,
            label_head: ClassifierOptions::default(),
            wait_for_labels: 0.0,
            consistency: ConsistencyOptions::default(),
            clustering: None,
            prediction: None,
            adversaries: Vec::new(),
            information: None,
            realism: None,
            optimiser: OptimiserOptions::default(),
        }
    }
}

impl DisentangleOptions {
    /// Checks every value; `labels` is what the data brings.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, labels: Labels) -> Result<()> {
        self.model.check()?;
        self.perturb.check()?;
        self.speaker.check("speaker")?;
        for (key, value) in [
            ("reconstruction_weight", self.reconstruction_weight),
            ("speaker_weight", self.speaker_weight),
            ("label_weight", self.label_weight),
            ("wait_for_labels", self.wait_for_labels),
        ] {
            if !value.is_finite() || value < 0.0 {
                return Err(Error::option(key, "0 or more", value.to_string()));
            }
        }
        self.label_head.check("label_head")?;
        self.consistency.check("consistency", &self.perturb)?;
        for (index, adversary) in self.adversaries.iter().enumerate() {
            adversary.check(&format!("adversaries.{index}"))?;
        }
        if let Some(clustering) = &self.clustering {
            clustering.check("clustering")?;
        }
        if let Some(prediction) = &self.prediction {
            prediction.check("prediction")?;
        }
        if let Some(information) = &self.information {
            information.check("information")?;
        }
        if let Some(realism) = &self.realism {
            realism.check("realism")?;
        }
        self.optimiser.check("optimiser")?;
        self.check_labels(labels)
    }

    fn check_labels(&self, labels: Labels) -> Result<()> {
        if self.label_weight == 0.0 && self.wait_for_labels > 0.0 {
            let (expected, found) = ("0 where label_weight is", self.wait_for_labels.to_string());
            return Err(Error::option("wait_for_labels", expected, found));
        }
        let pooled = self.model.phonetic_encoder.pool;
        let (expected, found) = match labels {
            _ if self.label_weight == 0.0 => return Ok(()),
            Labels::None => (
                "data.labels of text, frames, phones, words or characters",
                "none",
            ),
            kind if pooled && kind != Labels::Text => {
                ("data.labels of text, for pooled codes", "another kind")
            }
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
    label_help: Option<LabelHelp>,
    speaker: (Option<Player>, SpeakerHead),
    clustering: Option<Clustering>,
    prediction: Option<Prediction>,
    opponents: Vec<Box<dyn Opponent>>,
    device: Device,
    bf16: bool,
}

/// What the method is built for.
#[derive(Debug, Clone, Copy)]
pub struct DisentangleShape {
    /// Bins of the features.
    pub bins: i64,
    /// Training speakers.
    pub speakers: i64,
    /// The kind of labels, and how many there are.
    pub labels: (Labels, i64),
}

impl Disentangle {
    /// Fresh networks; libtorch's generator has been seeded by the caller.
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
        let label_help = (options.label_weight > 0.0).then(|| {
            let (head, wait) = (&options.label_head, options.wait_for_labels);
            LabelHelp::new(label_shape, head, wait, &options.optimiser, device)
        });
        let opponents = opponents(options, shape, device);
        let dim = options.model.speaker_encoder.outputs(shape.bins);
        let (player, head) = Player::new("speaker_head", device, &options.optimiser, |path| {
            SpeakerHead::new(path, options.speaker, dim, shape.speakers)
        });
        let learns = options.speaker_weight > 0.0 && options.speaker.learns();
        let prediction = options.prediction.as_ref().map(|prediction| {
            Prediction::new(prediction, label_shape.code_dim, &options.optimiser, device)
        });
        let clustering = options.clustering.as_ref().map(|clustering| {
            Clustering::new(clustering, label_shape.code_dim, &options.optimiser, device)
        });
        let model_shape = ModelShape {
            bins: shape.bins,
            speakers: shape.speakers,
        };
        Self {
            model: Model::new(&options.model, model_shape, &options.optimiser, device),
            options: options.clone(),
            label_help,
            speaker: (learns.then_some(player), head),
            clustering,
            prediction,
            opponents,
            device,
            bf16,
        }
    }

    /// The encoders and the decoder, which are what stays of a training.
    pub fn into_model(self) -> Model {
        self.model
    }

    /// The opponents' own step, number `turn` of this one's.
    fn turn(
        &mut self,
        batch: &SpeechBatch,
        turn: usize,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        let made = Made::still(&self.model, batch, &self.options.perturb, self.device);
        for opponent in &mut self.opponents {
            if turn < opponent.turns() {
                opponent.learn(&made, clock, scalars)?;
            }
        }
        Ok(())
    }

    /// The encoders' step: everything but the opponents' turns.
    fn joint_step(
        &mut self,
        batch: &SpeechBatch,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        let made = Made::new(&self.model, batch, &self.options.perturb, self.device, true);
        self.model.observe(&made.encoded, made.embeds());
        let mut loss = self.loss(&made, scalars);
        if let Some(clustering) = &self.clustering
            && let Some(term) = clustering.loss(&made, clock.step, scalars)
        {
            loss = &loss + term;
        }
        let found_for = self.found_for();
        if let Some(steps) = found_for {
            scalars.add("label_head/found_for", &Tensor::from(steps as f64));
        }
        let let_loose_for = found_for.unwrap_or(clock.step);
        for opponent in &mut self.opponents {
            if let Some(term) = opponent.term(&made, let_loose_for, scalars) {
                loss = &loss + term;
            }
        }
        drop(made);
        let mut players = self.model.players();
        players.extend(self.label_help.as_mut().map(LabelHelp::player));
        players.extend(self.speaker.0.as_mut());
        players.extend(self.clustering.as_mut().map(Clustering::player));
        players.extend(self.prediction.as_mut().map(Prediction::player));
        let at_once = self.opponents.iter_mut().filter(|o| o.at_once());
        players.extend(at_once.map(|opponent| opponent.player()));
        update(&mut players, &loss, clock.total)
    }

    /// Steps since the labels were found, 0 before; none where nothing waits for them.
    fn found_for(&self) -> Option<u64> {
        self.label_help.as_ref().and_then(LabelHelp::found_for)
    }

    /// The terms that encoders and decoder share, added up.
    fn loss(&self, made: &Made, scalars: &mut Scalars) -> Tensor {
        let (options, batch) = (&self.options, made.batch);
        let (codes, code_mask) = (made.codes(), made.code_mask());
        let given = match options.embed_other_utterance {
            true => &(made.embeds()).index_select(0, &batch.other_of_same_speaker()),
            false => made.embeds(),
        };
        let decoded = self.model.decoder.forward(codes, given, &made.mask);

        let gap = (options.reconstruction).loss(&decoded, &batch.feats, &made.mask);
        scalars.add("decoder/reconstruction", &gap);
        let mut loss = gap * options.reconstruction_weight;
        if options.speaker_weight > 0.0 {
            let apart = self.speaker.1.loss(made.embeds(), &batch.speakers);
            scalars.add("speaker_encoder/constraint", &apart);
            loss = &loss + apart * options.speaker_weight;
        }
        if let Some(help) = &self.label_help
            && let Some(told) = help.loss(codes, code_mask, batch, made.train, scalars)
        {
            loss = &loss + told * options.label_weight;
        }
        if let Some(cost) = &made.encoded.penalty {
            scalars.add("phonetic_encoder/bottleneck", cost);
            loss = &loss + cost;
        }
        if let Some(used) = &made.encoded.perplexity {
            scalars.add("phonetic_encoder/codebook_perplexity", used);
        }
        if let Some(prediction) = &self.prediction {
            let surprise = prediction.loss(codes, code_mask);
            scalars.add("phonetic_encoder/prediction", &surprise);
            loss = &loss + surprise;
        }
        if self.found_for() != Some(0) {
            for term in options.consistency.terms(made, &decoded, scalars) {
                loss = &loss + term;
            }
        }
        scalars.add("loss", &loss);
        loss
    }
}

/// Everything that learns against the encoders.
fn opponents(
    options: &DisentangleOptions,
    shape: DisentangleShape,
    device: Device,
) -> Vec<Box<dyn Opponent>> {
    let code_dim = options.model.code_dim(shape.bins);
    let mut opponents: Vec<Box<dyn Opponent>> = Vec::new();
    for (index, adversary) in options.adversaries.iter().enumerate() {
        let name = match index {
            0 => "speaker_critic".to_string(),
            _ => format!("speaker_critic_{}", index + 1),
        };
        let read = (code_dim, shape.speakers);
        opponents.push(Box::new(Adversary::new(name, adversary, read, device)));
    }
    if let Some(information) = &options.information {
        let dim = options.model.speaker_encoder.outputs(shape.bins);
        let information = Information::new(information, code_dim, dim, device);
        opponents.push(Box::new(information));
    }
    if let Some(realism) = &options.realism {
        opponents.push(Box::new(Realism::new(realism, shape.bins, device)));
    }
    opponents
}

impl Method for Disentangle {
    type Batch = SpeechBatch;

    fn players(&mut self) -> Vec<&mut Player> {
        let mut players = self.model.players();
        players.extend(self.label_help.as_mut().map(LabelHelp::player));
        players.extend(self.speaker.0.as_mut());
        players.extend(self.clustering.as_mut().map(Clustering::player));
        players.extend(self.prediction.as_mut().map(Prediction::player));
        players.extend(self.opponents.iter_mut().map(|o| o.player()));
        players
    }

    fn batches_per_step(&self) -> usize {
        let turns = self.opponents.iter().map(|o| o.turns());
        1 + turns.max().unwrap_or(0)
    }

    fn step(&mut self, batches: &[SpeechBatch], clock: &Clock) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let (own, turns) = batches
                .split_last()
                .ok_or_else(|| Error::option("batches", "at least one a step", "none"))?;
            let own = own.to(self.device);
            self.model.phonetic.tend(&own, self.device);
            for opponent in &mut self.opponents {
                opponent.begin(clock.step);
            }
            for (turn, batch) in turns.iter().enumerate() {
                self.turn(&batch.to(self.device), turn, clock, &mut scalars)?;
            }
            self.joint_step(&own, clock, &mut scalars)?;
            Ok(scalars)
        })
    }

    fn validate(&self, batch: &SpeechBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let batch = batch.to(self.device);
            let mut scalars = Scalars::default();
            let made = Made::new(
                &self.model,
                &batch,
                &self.options.perturb,
                self.device,
                false,
            );
            let _ = self.loss(&made, &mut scalars);
            for opponent in &self.opponents {
                opponent.validate(&made, &mut scalars);
            }
            Ok(scalars)
        })
    }

    fn waits_for(&self) -> Option<String> {
        (self.found_for() == Some(0)).then(|| {
            let below = self.options.wait_for_labels;
            format!(
                "labels: their loss never stayed below {below} (method.wait_for_labels), so that no consistency \
                 and no opponent was let in; more steps, larger batches or a higher threshold may help"
            )
        })
    }
}
