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

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, no_grad};

use super::adversary::{Adversary, AdversaryOptions, Play};
use super::consistency::{ConsistencyOptions, Made};
use super::label_help::{LabelHelp, LabelShape};
use super::model::{Model, ModelOptions, ModelShape};
use crate::dataset::batch::SpeechBatch;
use crate::dataset::labels::Labels;
use crate::error::{Error, Result};
use crate::nn::layer::bf16_autocast;
use crate::nn::phonetic_encoder::Encoded;
use crate::nn::{ClassifierOptions, Mask, PerturbOptions};
use crate::objective::reconstruction::Reconstruction;
use crate::objective::speaker::{SpeakerConstraint, SpeakerHead};
use crate::train::{Clock, Method, OptimiserOptions, Player, Scalars, update};

/// Networks, weights of the terms, and how the adversaries play.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DisentangleOptions {
    /// Encoders and decoder.
    pub model: ModelOptions,
    /// What is done in training to the features that the phonetic encoder reads; the decoder gives back the
    /// original.
    pub perturb: PerturbOptions,
    /// Distance between decoded and real features.
    pub reconstruction: Reconstruction,
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
    /// What codes are held fast under.
    pub consistency: ConsistencyOptions,
    /// The adversaries; none of them, or several at once.
    pub adversaries: Vec<AdversaryOptions>,
    /// Optimiser of encoders, decoder, label head and what the speaker constraint learns.
    pub optimiser: OptimiserOptions,
}

impl Default for DisentangleOptions {
    fn default() -> Self {
        Self {
            model: ModelOptions::default(),
            perturb: PerturbOptions::default(),
            reconstruction: Reconstruction::L1,
            speaker: SpeakerConstraint::default(),
            speaker_weight: 0.1,
            embed_other_utterance: true,
            label_weight: 0.0,
            label_head: ClassifierOptions::default(),
            consistency: ConsistencyOptions::default(),
            adversaries: Vec::new(),
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
            ("speaker_weight", self.speaker_weight),
            ("label_weight", self.label_weight),
        ] {
            if !value.is_finite() || value < 0.0 {
                return Err(Error::option(key, "0 or more", value.to_string()));
            }
        }
        self.label_head.check("label_head")?;
        self.consistency.check("consistency", &self.perturb)?;
        for (index, adversary) in self.adversaries.iter().enumerate() {
            adversary.check(&format!("adversaries[{index}]"))?;
        }
        self.optimiser.check("optimiser")?;
        self.check_labels(labels)
    }

    fn check_labels(&self, labels: Labels) -> Result<()> {
        let pooled = self.model.phonetic_encoder.pool;
        let (expected, found) = match labels {
            _ if self.label_weight == 0.0 => return Ok(()),
            Labels::None => ("data.labels of text, frames or phones", "none"),
            Labels::Frames | Labels::Phones if pooled => {
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
    adversaries: Vec<Adversary>,
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
        let encoder = &options.model.phonetic_encoder;
        let label_shape = LabelShape {
            kind: shape.labels.0,
            labels: shape.labels.1,
            code_dim: encoder.code_dim,
            subsampling: encoder.subsampling,
        };
        let label_help = (options.label_weight > 0.0)
            .then(|| LabelHelp::new(label_shape, &options.label_head, &options.optimiser, device));
        let adversaries = (options.adversaries.iter().enumerate())
            .map(|(index, adversary)| {
                let name = match index {
                    0 => "speaker_critic".to_string(),
                    _ => format!("speaker_critic_{}", index + 1),
                };
                let read = (encoder.code_dim, shape.speakers);
                Adversary::new(name, adversary, read, device)
            })
            .collect();
        let dim = options.model.speaker_encoder.embedding_dim;
        let (player, head) = Player::new("speaker_head", device, &options.optimiser, |path| {
            SpeakerHead::new(path, options.speaker, dim, shape.speakers)
        });
        let learns = options.speaker_weight > 0.0 && options.speaker.learns();
        let bins = ModelShape { bins: shape.bins };
        Self {
            model: Model::new(&options.model, bins, &options.optimiser, device),
            options: options.clone(),
            label_help,
            speaker: (learns.then_some(player), head),
            adversaries,
            device,
            bf16,
        }
    }

    /// The encoders and the decoder.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The critics' own step, number `turn` of this one's, on codes that stand still.
    fn critic_step(
        &mut self,
        batch: &SpeechBatch,
        turn: usize,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        let mask = Mask::new(&batch.lengths, self.device);
        let Encoded { codes, mask, .. } = no_grad(|| {
            let feats = self.options.perturb.apply(&batch.feats);
            self.model.phonetic.forward(&feats, &mask, true)
        });
        for adversary in &mut self.adversaries {
            if turn < adversary.turns() {
                let loss = adversary.learn(&codes, &mask, batch, clock.total)?;
                scalars.add(adversary.loss_name(), &loss);
            }
        }
        Ok(())
    }

    /// The encoders' step: everything but the critics' turns.
    fn joint_step(
        &mut self,
        batch: &SpeechBatch,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        let (mut loss, Encoded { codes, mask, .. }) = self.loss(batch, true, scalars);
        for adversary in &mut self.adversaries {
            match adversary.play() {
                Play::AtOnce => {
                    let told = adversary.at_once(&codes, &mask, batch, clock.step);
                    scalars.add(adversary.loss_name(), &told);
                    loss = &loss + told;
                }
                Play::InTurns => {
                    if let Some(term) = adversary.in_turn(&codes, &mask, batch, clock.step) {
                        loss = &loss + term;
                    }
                }
            }
        }
        let mut players = self.model.players();
        players.extend(self.label_help.as_mut().map(LabelHelp::player));
        players.extend(self.speaker.0.as_mut());
        let at_once = (self.adversaries.iter_mut()).filter(|a| a.play() == Play::AtOnce);
        players.extend(at_once.map(Adversary::player));
        update(&mut players, &loss, clock.total)
    }

    /// The terms that encoders and decoder share, added up, and the codes.
    fn loss(&self, batch: &SpeechBatch, train: bool, scalars: &mut Scalars) -> (Tensor, Encoded) {
        let (model, options) = (&self.model, &self.options);
        let mask = &Mask::new(&batch.lengths, self.device);
        let read = match train {
            true => &options.perturb.apply(&batch.feats),
            false => &batch.feats,
        };
        let encoded = model.phonetic.forward(read, mask, train);
        let embeds = model.speaker.forward(&batch.feats, mask, train);
        let given = match options.embed_other_utterance {
            true => &embeds.index_select(0, &batch.other_of_same_speaker()),
            false => &embeds,
        };
        let decoded = model.decoder.forward(&encoded.codes, given, mask);

        let mut loss = (options.reconstruction).loss(&decoded, &batch.feats, mask);
        scalars.add("decoder/reconstruction", &loss);
        if options.speaker_weight > 0.0 {
            let apart = self.speaker.1.loss(&embeds, &batch.speakers);
            scalars.add("speaker_encoder/constraint", &apart);
            // Never in place: `loss` begins as the reconstruction term itself.
            loss = &loss + apart * options.speaker_weight;
        }
        if let Some(help) = &self.label_help
            && let Some(told) = help.loss(&encoded.codes, &encoded.mask, batch, train, scalars)
        {
            loss = &loss + told * options.label_weight;
        }
        if let Some(cost) = &encoded.penalty {
            scalars.add("phonetic_encoder/bottleneck", cost);
            loss = &loss + cost;
        }
        if let Some(used) = &encoded.perplexity {
            scalars.add("phonetic_encoder/codebook_perplexity", used);
        }
        let made = Made {
            encoded: &encoded,
            embeds: &embeds,
            decoded: &decoded,
            mask,
            perturb: &options.perturb,
            train,
        };
        for term in options.consistency.terms(model, batch, &made, scalars) {
            loss = &loss + term;
        }
        scalars.add("loss", &loss);
        (loss, encoded)
    }
}

impl Method for Disentangle {
    type Batch = SpeechBatch;

    fn players(&mut self) -> Vec<&mut Player> {
        let mut players = self.model.players();
        players.extend(self.label_help.as_mut().map(LabelHelp::player));
        players.extend(self.speaker.0.as_mut());
        players.extend(self.adversaries.iter_mut().map(Adversary::player));
        players
    }

    fn batches_per_step(&self) -> usize {
        1 + (self.adversaries.iter().map(Adversary::turns))
            .max()
            .unwrap_or(0)
    }

    fn step(&mut self, batches: &[SpeechBatch], clock: &Clock) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let (own, turns) = batches
                .split_last()
                .ok_or_else(|| Error::option("batches", "at least one a step", "none"))?;
            self.model.phonetic.tend();
            for adversary in &mut self.adversaries {
                adversary.restart_when_due(clock.step);
            }
            for (turn, batch) in turns.iter().enumerate() {
                self.critic_step(&batch.to(self.device), turn, clock, &mut scalars)?;
            }
            self.joint_step(&own.to(self.device), clock, &mut scalars)?;
            Ok(scalars)
        })
    }

    fn validate(&self, batch: &SpeechBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let batch = batch.to(self.device);
            let mut scalars = Scalars::default();
            let (_, Encoded { codes, mask, .. }) = self.loss(&batch, false, &mut scalars);
            for adversary in &self.adversaries {
                adversary.validate(&codes, &mask, &batch, &mut scalars);
            }
            Ok(scalars)
        })
    }
}
