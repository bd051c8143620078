//! Two strands from one signal: a phonetic encoder and a speaker encoder read the features, a decoder puts them
//! together again, and a speaker critic reads the phonetic codes, which their encoder learns to keep it from
//! (Chou et al. 2018, in turns; Ganin et al. 2016, at once).
//!
//! With z the codes of an utterance, s the speaker embedding of *another* utterance of its speaker, x the
//! features, D the decoder and C the critic:
//!
//! ```text
//! encoders, decoder:  |D(z, s) - x| + a L_speaker(s) + b CE(label | z) - lambda CE(speaker | C(z))
//! critic:             CE(speaker | C(z))
//! ```

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, no_grad};

use super::model::{Model, ModelOptions, ModelShape};
use crate::dataset::batch::{Labels, SpeechBatch};
use crate::error::{Error, Result};
use crate::nn::classifier::Answer;
use crate::nn::layer::bf16_autocast;
use crate::nn::{Classifier, ClassifierOptions, Mask, PerturbOptions};
use crate::objective::adversarial::{bounded_confusion, reverse_gradient};
use crate::objective::classification::{accuracy, cross_entropy};
use crate::objective::reconstruction::Reconstruction;
use crate::objective::speaker::SpeakerConstraint;
use crate::train::schedule::Ramp;
use crate::train::{Clock, Method, OptimiserOptions, Player, Scalars, update};

/// Networks, weights of the terms, and how the adversary plays.
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
    /// The adversary.
    pub adversary: AdversaryOptions,
    /// Optimiser of encoders, decoder and label head.
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
            adversary: AdversaryOptions::default(),
            optimiser: OptimiserOptions::default(),
        }
    }
}

/// When critic and encoder learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Play {
    /// No adversary.
    Off,
    /// One backward pass for both, the encoder's gradient reversed.
    AtOnce,
    /// The critic takes `critic_steps` steps on batches of its own, then the encoder one.
    InTurns,
}

/// The speaker critic and its game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdversaryOptions {
    /// When critic and encoder learn.
    pub play: Play,
    /// Weight of the adversarial term, from 0 upwards.
    pub lambda: Ramp,
    /// Critic steps a step, in turns.
    pub critic_steps: usize,
    /// The critic's network.
    pub critic: ClassifierOptions,
    /// The critic's optimiser.
    pub optimiser: OptimiserOptions,
}

impl Default for AdversaryOptions {
    fn default() -> Self {
        Self {
            play: Play::InTurns,
            lambda: Ramp::default(),
            critic_steps: 5,
            critic: ClassifierOptions::default(),
            optimiser: OptimiserOptions {
                beta1: 0.5,
                beta2: 0.9,
                ..OptimiserOptions::default()
            },
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
        self.adversary.critic.check("adversary.critic")?;
        self.adversary.lambda.check("adversary.lambda")?;
        self.adversary.optimiser.check("adversary.optimiser")?;
        self.optimiser.check("optimiser")?;
        if self.adversary.play == Play::InTurns && self.adversary.critic_steps == 0 {
            return Err(Error::option(
                "adversary.critic_steps",
                "at least 1 in turns",
                "0",
            ));
        }
        if self.label_weight > 0.0 && labels == Labels::None {
            let found = "data.labels = \"none\"";
            return Err(Error::option(
                "label_weight",
                "data.labels of text or frames",
                found,
            ));
        }
        Ok(())
    }
}

/// The method.
#[derive(Debug)]
pub struct Disentangle {
    options: DisentangleOptions,
    model: Model,
    label_head: Option<(Player, Classifier)>,
    critic: Option<(Player, Classifier)>,
    classes: i64,
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
    /// Label classes, and whether they are told per frame.
    pub labels: (i64, bool),
}

impl Disentangle {
    /// Fresh networks; libtorch's generator has been seeded by the caller.
    pub fn new(
        options: &DisentangleOptions,
        shape: DisentangleShape,
        device: Device,
        bf16: bool,
    ) -> Self {
        let model_shape = ModelShape { bins: shape.bins };
        let code_dim = options.model.phonetic_encoder.code_dim;
        let (labels, by_frame) = shape.labels;
        let answer = if by_frame {
            Answer::Frames
        } else {
            Answer::Sequence
        };
        let label_head = (options.label_weight > 0.0).then(|| {
            Player::new("label_head", device, &options.optimiser, |path| {
                Classifier::new(path, code_dim, labels, answer, &options.label_head)
            })
        });
        let adversary = &options.adversary;
        let critic = (adversary.play != Play::Off).then(|| {
            Player::new("speaker_critic", device, &adversary.optimiser, |path| {
                Classifier::new(
                    path,
                    code_dim,
                    shape.speakers,
                    Answer::Sequence,
                    &adversary.critic,
                )
            })
        });
        Self {
            model: Model::new(&options.model, model_shape, &options.optimiser, device),
            options: options.clone(),
            label_head,
            critic,
            classes: shape.speakers,
            device,
            bf16,
        }
    }

    /// The encoders and the decoder.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The critic's own step, one of `total`, on codes that stand still; returns its cross-entropy.
    fn critic_step(&mut self, batch: &SpeechBatch, total: u64) -> Result<Option<Tensor>> {
        let Some((player, critic)) = &mut self.critic else {
            return Ok(None);
        };
        let mask = Mask::new(&batch.lengths, self.device);
        let (codes, mask) = no_grad(|| {
            let feats = self.options.perturb.apply(&batch.feats);
            self.model.phonetic.forward(&feats, &mask)
        });
        let loss = cross_entropy(&critic.forward(&codes, &mask, true), &batch.speakers, 0.0);
        update(&mut [player], &loss, total)?;
        Ok(Some(loss.detach()))
    }

    /// The encoders' step: everything but the critic's turn.
    fn joint_step(
        &mut self,
        batch: &SpeechBatch,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        let mask = Mask::new(&batch.lengths, self.device);
        let terms = self.terms(batch, &mask, true);
        let mut loss = terms.add_up(&self.options, scalars);

        let adversary = &self.options.adversary;
        let lambda = adversary.lambda.at(clock.step);
        let mut at_once = None;
        if let Some((player, critic)) = &mut self.critic {
            if adversary.play == Play::AtOnce {
                let reversed = reverse_gradient(&terms.codes, lambda);
                let logits = critic.forward(&reversed, &terms.code_mask, true);
                let told = cross_entropy(&logits, &batch.speakers, 0.0);
                scalars.add("speaker_critic/cross_entropy", &told);
                loss = &loss + told;
                at_once = Some(player);
            } else if lambda > 0.0 {
                let logits = critic.forward(&terms.codes, &terms.code_mask, true);
                let told = cross_entropy(&logits, &batch.speakers, 0.0);
                loss = &loss - bounded_confusion(&told, self.classes) * lambda;
            }
        }
        let mut players = self.model.players();
        players.extend(self.label_head.as_mut().map(|(player, _)| player));
        players.extend(at_once);
        update(&mut players, &loss, clock.total)
    }

    fn terms(&self, batch: &SpeechBatch, mask: &Mask, train: bool) -> Terms {
        let read = if train {
            &self.options.perturb.apply(&batch.feats)
        } else {
            &batch.feats
        };
        let (codes, code_mask) = self.model.phonetic.forward(read, mask);
        let embeds = self.model.speaker.forward(&batch.feats, mask, train);
        let given = if self.options.embed_other_utterance {
            embeds.index_select(0, &batch.other_of_same_speaker())
        } else {
            embeds.shallow_clone()
        };
        let decoded = self.model.decoder.forward(&codes, &given, mask);
        let label =
            self.label_head
                .as_ref()
                .zip(batch.labels.as_ref())
                .map(|((_, head), labels)| {
                    let logits = head.forward(&codes, &code_mask, train);
                    let labels = self.labels_at_code_rate(labels);
                    (
                        cross_entropy(&logits, &labels, 0.0),
                        accuracy(&logits, &labels),
                    )
                });
        Terms {
            reconstruction: self
                .options
                .reconstruction
                .loss(&decoded, &batch.feats, mask),
            speaker: self.options.speaker.loss(&embeds, &batch.speakers),
            label,
            codes,
            code_mask,
        }
    }

    /// Frame labels at the codes' rate: the label of the first frame of each code; word labels as they are.
    fn labels_at_code_rate(&self, labels: &Tensor) -> Tensor {
        match labels.dim() {
            2 => labels.slice(1, 0, None, self.options.model.phonetic_encoder.subsampling),
            _ => labels.shallow_clone(),
        }
    }
}

/// The terms of one batch that encoders and decoder share.
struct Terms {
    codes: Tensor,
    code_mask: Mask,
    reconstruction: Tensor,
    speaker: Tensor,
    /// Cross-entropy and accuracy.
    label: Option<(Tensor, Tensor)>,
}

impl Terms {
    fn add_up(&self, options: &DisentangleOptions, scalars: &mut Scalars) -> Tensor {
        scalars.add("decoder/reconstruction", &self.reconstruction);
        let mut loss = self.reconstruction.shallow_clone();
        if options.speaker_weight > 0.0 {
            scalars.add("speaker_encoder/constraint", &self.speaker);
            // Never in place: `loss` begins as the reconstruction term itself.
            loss = &loss + &self.speaker * options.speaker_weight;
        }
        if let Some((told, right)) = &self.label {
            scalars.add("label_head/cross_entropy", told);
            scalars.add("label_head/accuracy", right);
            loss = &loss + told * options.label_weight;
        }
        scalars.add("loss", &loss);
        loss
    }
}

impl Method for Disentangle {
    type Batch = SpeechBatch;

    fn players(&mut self) -> Vec<&mut Player> {
        let mut players = self.model.players();
        players.extend(self.label_head.as_mut().map(|(player, _)| player));
        players.extend(self.critic.as_mut().map(|(player, _)| player));
        players
    }

    fn batches_per_step(&self) -> usize {
        match self.options.adversary.play {
            Play::InTurns => 1 + self.options.adversary.critic_steps,
            Play::Off | Play::AtOnce => 1,
        }
    }

    fn step(&mut self, batches: &[SpeechBatch], clock: &Clock) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let (own, turns) = batches
                .split_last()
                .ok_or_else(|| Error::option("batches", "at least one a step", "none"))?;
            let mut critic_loss = None;
            // The critic's schedule runs over its own updates, of which there are more.
            let updates = clock.total * turns.len() as u64;
            for turn in turns {
                critic_loss = self.critic_step(&turn.to(self.device), updates)?;
            }
            if let Some(loss) = critic_loss {
                scalars.add("speaker_critic/cross_entropy", &loss);
            }
            self.joint_step(&own.to(self.device), clock, &mut scalars)?;
            Ok(scalars)
        })
    }

    fn validate(&self, batch: &SpeechBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let batch = batch.to(self.device);
            let mask = Mask::new(&batch.lengths, self.device);
            let terms = self.terms(&batch, &mask, false);
            let mut scalars = Scalars::default();
            let _ = terms.add_up(&self.options, &mut scalars);
            if let Some((_, critic)) = &self.critic {
                let logits = critic.forward(&terms.codes, &terms.code_mask, false);
                scalars.add(
                    "speaker_critic/accuracy",
                    &accuracy(&logits, &batch.speakers),
                );
            }
            Ok(scalars)
        })
    }
}
