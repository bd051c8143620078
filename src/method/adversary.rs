//! The speaker adversary of a phonetic encoder: a critic that learns to read the speaker from codes, and what the
//! encoder is paid for keeping it from it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::nn::Path;
use tch::{Device, Kind, Tensor, no_grad};

use super::opponent::{Made, Opponent};
use crate::dataset::labels::NO_LABEL;
use crate::error::{Error, Result};
use crate::nn::classifier::Answer;
use crate::nn::{Classifier, ClassifierOptions, Mask, PairCritic};
use crate::objective::adversarial::{Defeat, gradient_penalty, reverse_gradient};
use crate::objective::classification::{accuracy, cross_entropy, mean_where};
use crate::train::schedule::{Ramp, check_steps, check_turns};
use crate::train::{Clock, OptimiserOptions, Player, Scalars, update};

/// What the critic reads, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// A code sequence; which speaker? (Chou et al. 2018.) With `critic.layers = 0` it sees the statistics of the
    /// codes over time alone.
    Sequence,
    /// The same, answered at every code.
    Frames,
    /// Two code sequences; are they of one speaker? (Chen et al. 2018.) Knows no speaker by name, so it suits
    /// many of them.
    Pairs,
}

/// When critic and encoder learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Play {
    /// One backward pass for both, the encoder's gradient reversed (Ganin et al. 2016).
    AtOnce,
    /// The critic takes `critic_steps` steps on batches of its own, then the encoder one (Chou et al. 2018).
    InTurns,
}

/// The critic's loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CriticLoss {
    /// Over speakers, or over same and other.
    CrossEntropy,
    /// Mean score of pairs of one speaker less that of pairs of two, with a gradient penalty (Gulrajani et al.
    /// 2017); for [`Reads::Pairs`].
    Wasserstein,
}

/// One speaker critic and its game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdversaryOptions {
    /// What the critic reads.
    pub reads: Reads,
    /// When critic and encoder learn.
    pub play: Play,
    /// What the critic minimises.
    pub loss: CriticLoss,
    /// What the encoder is after, in turns.
    pub defeat: Defeat,
    /// Weight of the adversarial term, from 0 upwards.
    pub lambda: Ramp,
    /// The critic's accuracy that lambda is held to: it grows while the critic does better and shrinks while it
    /// does worse, from a hundredth to a hundred times its ramp. 0 leaves lambda to its ramp.
    pub target_accuracy: f64,
    /// Critic steps a step, in turns.
    pub critic_steps: usize,
    /// Steps after which the critic begins anew, so that the encoder cannot settle on fooling one critic; 0 never.
    pub restart_every: u64,
    /// Weight of the gradient penalty of a Wasserstein critic.
    pub gradient_penalty: f64,
    /// The critic's network.
    pub critic: ClassifierOptions,
    /// The critic's optimiser.
    #[serde(deserialize_with = "own_optimiser")]
    pub optimiser: OptimiserOptions,
}

fn own_optimiser<'de, D: Deserializer<'de>>(written: D) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(AdversaryOptions::default().optimiser, written)
}

impl Default for AdversaryOptions {
    fn default() -> Self {
        Self {
            reads: Reads::Sequence,
            play: Play::InTurns,
            loss: CriticLoss::CrossEntropy,
            defeat: Defeat::Reversed,
            lambda: Ramp::default(),
            target_accuracy: 0.0,
            critic_steps: 5,
            restart_every: 0,
            gradient_penalty: 10.0,
            critic: ClassifierOptions::default(),
            optimiser: OptimiserOptions {
                beta1: 0.5,
                beta2: 0.9,
                ..OptimiserOptions::default()
            },
        }
    }
}

impl AdversaryOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        self.critic.check(&format!("{name}.critic"))?;
        self.lambda.check(&format!("{name}.lambda"))?;
        self.optimiser.check(&format!("{name}.optimiser"))?;
        let refuse = |key: &str, expected: &str, found: String| {
            Err(Error::option(format!("{name}.{key}"), expected, found))
        };
        if self.play == Play::InTurns {
            check_turns(format!("{name}.critic_steps"), self.critic_steps)?;
        }
        check_steps(format!("{name}.restart_every"), self.restart_every)?;
        if !(0.0..1.0).contains(&self.target_accuracy) {
            let found = self.target_accuracy.to_string();
            return refuse("target_accuracy", "0 <= x < 1", found);
        }
        if !self.gradient_penalty.is_finite() || self.gradient_penalty < 0.0 {
            let found = self.gradient_penalty.to_string();
            return refuse("gradient_penalty", "0 or more", found);
        }
        if self.play == Play::AtOnce && self.defeat != Defeat::Reversed {
            let expected = "\"reversed\" at once, where the gradient itself is turned";
            return refuse("defeat", expected, format!("{:?}", self.defeat));
        }
        if self.loss == CriticLoss::Wasserstein {
            return self.check_wasserstein(name);
        }
        Ok(())
    }

    fn check_wasserstein(&self, name: &str) -> Result<()> {
        let wanted = [
            ("reads", self.reads == Reads::Pairs, "\"pairs\""),
            ("defeat", self.defeat == Defeat::Reversed, "\"reversed\""),
            ("target_accuracy", self.target_accuracy == 0.0, "0"),
            (
                "critic.batch_norm",
                !self.critic.batch_norm,
                "false, since a gradient penalty is of single samples,",
            ),
        ];
        match wanted.into_iter().find(|(_, right, _)| !right) {
            None => Ok(()),
            Some((key, _, expected)) => Err(Error::option(
                format!("{name}.{key}"),
                format!("{expected} with a Wasserstein critic"),
                "another value",
            )),
        }
    }
}

/// How fast lambda follows the critic's accuracy: its logarithm moves by this times the gap, a critic step.
const GAIN_RATE: f64 = 0.05;

#[derive(Debug)]
enum Network {
    OfSpeakers(Classifier),
    OfPairs(PairCritic),
}

/// A critic with its player.
#[derive(Debug)]
pub struct Adversary {
    options: AdversaryOptions,
    name: String,
    /// Values per code, and training speakers.
    shape: (i64, i64),
    device: Device,
    player: Player,
    network: Network,
    /// Logarithm of what lambda is multiplied with, `[1]`; saved with the weights.
    log_gain: Tensor,
}

impl Adversary {
    /// A fresh critic called `name` over codes of `code_dim` from `speakers`.
    pub fn new(
        name: String,
        options: &AdversaryOptions,
        (code_dim, speakers): (i64, i64),
        device: Device,
    ) -> Self {
        let (player, (network, log_gain)) =
            Player::new(&name, device, &options.optimiser, |path: Path| {
                let gain = path.zeros_no_train("log_gain", &[1]);
                let critic = &options.critic;
                let network = match options.reads {
                    Reads::Pairs => {
                        let answers = match options.loss {
                            CriticLoss::CrossEntropy => 2,
                            CriticLoss::Wasserstein => 1,
                        };
                        Network::OfPairs(PairCritic::new(path, code_dim, answers, critic))
                    }
                    Reads::Sequence | Reads::Frames => {
                        let answer = match options.reads {
                            Reads::Frames => Answer::Frames,
                            _ => Answer::Sequence,
                        };
                        let classifier = Classifier::new(path, code_dim, speakers, answer, critic);
                        Network::OfSpeakers(classifier)
                    }
                };
                (network, gain)
            });
        Self {
            options: options.clone(),
            name,
            shape: (code_dim, speakers),
            device,
            player,
            network,
            log_gain,
        }
    }

    /// Name of the critic's loss in logs.
    fn loss_name(&self) -> String {
        self.term_name(match self.options.loss {
            CriticLoss::CrossEntropy => "cross_entropy",
            CriticLoss::Wasserstein => "wasserstein",
        })
    }

    fn term_name(&self, term: &str) -> String {
        format!("{}/{term}", self.name)
    }

    /// Adds the loss of a batch that it learns from, and its accuracy there, where it has one.
    fn log(&self, loss: &Tensor, accuracy: Option<&Tensor>, scalars: &mut Scalars) {
        scalars.add(self.loss_name(), loss);
        if let Some(accuracy) = accuracy {
            scalars.add(self.term_name("accuracy"), accuracy);
        }
    }

    fn lambda(&self, step: u64) -> f64 {
        let ramp = self.options.lambda.at(step);
        if self.options.target_accuracy > 0.0 {
            ramp * self.log_gain.double_value(&[0]).exp()
        } else {
            ramp
        }
    }

    /// Moves lambda after the critic's accuracy.
    fn follow(&mut self, accuracy: Option<&Tensor>) {
        let target = self.options.target_accuracy;
        if let (Some(accuracy), true) = (accuracy, target > 0.0) {
            let bound = 100f64.ln();
            no_grad(|| {
                let moved = &self.log_gain + (accuracy - target) * GAIN_RATE;
                self.log_gain.copy_(&moved.clamp(-bound, bound));
            });
        }
    }

    /// The critic's loss, and its accuracy where it has one.
    fn critic_loss(&self, codes: &Tensor, made: &Made) -> (Tensor, Option<Tensor>) {
        let (answers, targets) = self.answer(codes, made, true);
        match (&self.network, self.options.loss) {
            (Network::OfPairs(critic), CriticLoss::Wasserstein) => {
                let penalty = self.penalty(critic, codes, made);
                (penalty - score_gap(&answers, &targets), None)
            }
            _ => {
                let loss = cross_entropy(&answers, &targets, 0.0);
                (loss, Some(accuracy(&answers, &targets)))
            }
        }
    }

    /// The critic's answers, and what would be right: logits over speakers with targets as [`cross_entropy`] has
    /// them; or of pairs `[2 batch, answers]`, first those of one speaker (target 1), then those of two (0).
    fn answer(&self, codes: &Tensor, made: &Made, train: bool) -> (Tensor, Tensor) {
        let (mask, batch) = (made.code_mask(), made.batch);
        match &self.network {
            Network::OfSpeakers(critic) => {
                let targets = match self.options.reads {
                    Reads::Frames => speakers_by_frame(&batch.speakers, mask),
                    _ => batch.speakers.shallow_clone(),
                };
                (critic.forward(codes, mask, train), targets)
            }
            Network::OfPairs(critic) => {
                let summaries = critic.summaries(codes, mask, train);
                let (same, other) = (
                    batch.other_of_same_speaker(),
                    batch.one_of_another_speaker(),
                );
                let right = summaries.index_select(0, &Tensor::cat(&[&same, &other], 0));
                let left = Tensor::cat(&[&summaries, &summaries], 0);
                let targets = Tensor::cat(&[pair_targets(&same, 1), pair_targets(&other, 0)], 0);
                (critic.compare(&left, &right), targets)
            }
        }
    }

    /// Of the critic's slope between the second of a pair of one speaker and the second of a pair of two, over the
    /// frames that both have.
    fn penalty(&self, critic: &PairCritic, codes: &Tensor, made: &Made) -> Tensor {
        let (mask, batch) = (made.code_mask(), made.batch);
        let codes = codes.detach();
        let (same, other) = (
            batch.other_of_same_speaker(),
            batch.one_of_another_speaker(),
        );
        let left = critic.summaries(&codes, mask, true);
        let both = mask.shorter(&same, &other);
        let of = |index: &Tensor| both.apply(codes.index_select(0, index));
        let slope = gradient_penalty(&of(&same), &of(&other), |right| {
            critic.compare(&left, &critic.summaries(right, &both, true))
        });
        slope * self.options.gradient_penalty
    }
}

impl Opponent for Adversary {
    fn player(&mut self) -> &mut Player {
        &mut self.player
    }

    fn turns(&self) -> usize {
        match self.options.play {
            Play::InTurns => self.options.critic_steps,
            Play::AtOnce => 0,
        }
    }

    fn at_once(&self) -> bool {
        self.options.play == Play::AtOnce
    }

    fn begin(&mut self, step: u64) {
        let every = self.options.restart_every;
        if every > 0 && step > 0 && step.is_multiple_of(every) {
            let gain = self.log_gain.copy();
            *self = Self::new(self.name.clone(), &self.options, self.shape, self.device);
            no_grad(|| self.log_gain.copy_(&gain));
        }
    }

    fn learn(&mut self, made: &Made, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        let (loss, right) = self.critic_loss(made.codes(), made);
        self.follow(right.as_ref());
        self.log(&loss, right.as_ref(), scalars);
        // The critic's schedule runs over its own updates, of which there are more, and from each restart.
        let steps = match self.options.restart_every {
            0 => clock.total,
            every => every.min(clock.total),
        };
        let updates = steps * self.options.critic_steps as u64;
        update(&mut [&mut self.player], &loss, updates)
    }

    fn term(&mut self, made: &Made, step: u64, scalars: &mut Scalars) -> Option<Tensor> {
        let lambda = self.lambda(step);
        if self.at_once() {
            let reversed = reverse_gradient(made.codes(), lambda);
            let (loss, right) = self.critic_loss(&reversed, made);
            self.follow(right.as_ref());
            self.log(&loss, right.as_ref(), scalars);
            return Some(loss);
        }
        (lambda > 0.0).then(|| {
            let (answers, targets) = self.answer(made.codes(), made, true);
            let gain = match self.options.loss {
                CriticLoss::CrossEntropy => self.options.defeat.loss(&answers, &targets),
                CriticLoss::Wasserstein => score_gap(&answers, &targets),
            };
            gain * lambda
        })
    }

    fn validate(&self, made: &Made, scalars: &mut Scalars) {
        let (answers, targets) = self.answer(made.codes(), made, false);
        match self.options.loss {
            CriticLoss::CrossEntropy => {
                scalars.add(self.term_name("accuracy"), &accuracy(&answers, &targets));
            }
            CriticLoss::Wasserstein => {
                scalars.add(self.term_name("score_gap"), &score_gap(&answers, &targets));
            }
        }
    }
}

/// `what` where an utterance has a partner, [`NO_LABEL`] where it is its own.
fn pair_targets(partners: &Tensor, what: i64) -> Tensor {
    let own = Tensor::arange(partners.size()[0], (Kind::Int64, partners.device()));
    partners
        .full_like(what)
        .masked_fill(&partners.eq_tensor(&own), NO_LABEL)
}

/// Speakers `[batch]` to `[batch, frames]`, padding left out.
fn speakers_by_frame(speakers: &Tensor, mask: &Mask) -> Tensor {
    let every = speakers
        .unsqueeze(1)
        .expand([-1, mask.frames()], false)
        .contiguous();
    match mask.real() {
        None => every,
        Some(real) => every.masked_fill(&real.squeeze_dim(1).logical_not(), NO_LABEL),
    }
}

/// Mean score of pairs of one speaker less that of pairs of two; scores `[pairs, 1]`.
fn score_gap(scores: &Tensor, targets: &Tensor) -> Tensor {
    let scores = scores.squeeze_dim(1);
    let mean = |what: i64| mean_where(&scores, &targets.eq(what).to_kind(Kind::Float));
    mean(1) - mean(0)
}

#[cfg(test)]
mod tests {
    use super::super::model::{Model, ModelOptions, ModelShape};
    use super::*;
    use crate::dataset::batch::SpeechBatch;
    use crate::nn::PerturbOptions;
    use crate::nn::baseline::BaselineOptions;
    use crate::nn::phonetic_encoder::Encoded;

    /// A batch of 12 utterances of 3 speakers, and codes whose speaker stands in every value at strength `leak`.
    fn batch(leak: f64) -> (SpeechBatch, Encoded) {
        let speakers: Vec<i64> = (0..12).map(|u| u % 3).collect();
        let lengths: Vec<i64> = (0..12).map(|u| 6 + u % 4).collect();
        let mask = Mask::new(&lengths, Device::Cpu);
        let codes = Tensor::randn([12, 8, 9], (Kind::Float, Device::Cpu));
        let speakers = Tensor::from_slice(&speakers);
        let told = (&speakers - 1).to_kind(Kind::Float) * leak;
        let codes = mask.apply(codes + told.reshape([12, 1, 1]));
        let batch = SpeechBatch {
            feats: codes.zeros_like(),
            lengths,
            utterances: (0..12).collect(),
            speakers,
            labels: None,
        };
        let encoded = Encoded {
            codes,
            mask,
            penalty: None,
            perplexity: None,
        };
        (batch, encoded)
    }

    /// What `body` finds with such a batch in hand.
    fn with_made<T>(leak: f64, body: impl FnOnce(&Made) -> T) -> T {
        let options = ModelOptions {
            baseline: Some(BaselineOptions::Standardise),
            ..Default::default()
        };
        let shape = ModelShape {
            bins: 8,
            speakers: 3,
        };
        let model = Model::new(&options, shape, &Default::default(), Device::Cpu);
        let perturb = PerturbOptions::default();
        let (batch, encoded) = batch(leak);
        let mut made = Made::new(&model, &batch, &perturb, Device::Cpu, true);
        made.encoded = encoded;
        body(&made)
    }

    const END: Clock = Clock {
        step: 9999,
        total: 60,
    };

    fn every_kind() -> Vec<AdversaryOptions> {
        let small = ClassifierOptions {
            channels: 16,
            layers: 1,
            ..Default::default()
        };
        let mut all = Vec::new();
        for reads in [Reads::Sequence, Reads::Frames, Reads::Pairs] {
            for defeat in [Defeat::Reversed, Defeat::Confusion, Defeat::Flipped] {
                all.push(AdversaryOptions {
                    reads,
                    defeat,
                    critic: small.clone(),
                    ..Default::default()
                });
            }
        }
        let plain = ClassifierOptions {
            batch_norm: false,
            spectral_norm: true,
            ..small
        };
        all.push(AdversaryOptions {
            reads: Reads::Pairs,
            loss: CriticLoss::Wasserstein,
            critic: plain,
            ..Default::default()
        });
        all
    }

    #[test]
    fn every_critic_learns_what_leaks_and_pays_for_less() {
        for options in every_kind() {
            options.check("a").unwrap();
            tch::manual_seed(1);
            let mut critic = Adversary::new("critic".into(), &options, (8, 3), Device::Cpu);
            let mut scalars = Scalars::default();
            for _ in 0..60 {
                with_made(2.0, |made| critic.learn(made, &END, &mut scalars)).unwrap();
            }
            let mut term = |leak: f64| {
                tch::manual_seed(2);
                let term = with_made(leak, |made| critic.term(made, END.step, &mut scalars));
                term.unwrap().double_value(&[])
            };
            assert!(term(0.2) < term(2.0), "{options:?}");
        }
    }

    #[test]
    fn at_once_the_slope_is_against_the_critic() {
        tch::manual_seed(1);
        let options = AdversaryOptions {
            play: Play::AtOnce,
            ..every_kind().remove(0)
        };
        let mut critic = Adversary::new("critic".into(), &options, (8, 3), Device::Cpu);
        with_made(2.0, |made| {
            let codes = made.codes().set_requires_grad(true);
            let loss = critic.term(made, END.step, &mut Scalars::default());
            loss.unwrap().backward();
            let plain = codes.detach().set_requires_grad(true);
            critic.critic_loss(&plain, made).0.backward();
            let gap = (codes.grad() + plain.grad() * options.lambda.weight)
                .abs()
                .max();
            assert!(gap.double_value(&[]) < 1e-6);
        });
    }

    #[test]
    fn lambda_follows_the_critics_accuracy() {
        tch::manual_seed(1);
        let options = AdversaryOptions {
            target_accuracy: 0.4,
            ..every_kind().remove(0)
        };
        let mut critic = Adversary::new("critic".into(), &options, (8, 3), Device::Cpu);
        for (accuracy, rises) in [(0.9f32, true), (0.1, false)] {
            let before = critic.lambda(9999);
            critic.follow(Some(&Tensor::from(accuracy)));
            assert_eq!(critic.lambda(9999) > before, rises);
        }
    }

    #[test]
    fn a_restart_forgets_the_weights_and_keeps_lambda() {
        tch::manual_seed(1);
        let options = AdversaryOptions {
            restart_every: 10,
            target_accuracy: 0.5,
            ..every_kind().remove(0)
        };
        let mut critic = Adversary::new("critic".into(), &options, (8, 3), Device::Cpu);
        critic.follow(Some(&Tensor::from(0.9f32)));
        let (weights, lambda) = (critic.player.flat().copy(), critic.lambda(9999));
        critic.begin(9);
        assert_eq!(*critic.player.flat(), weights);
        critic.begin(10);
        assert_ne!(*critic.player.flat(), weights);
        assert_eq!(critic.lambda(9999), lambda);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let wrong = |change: fn(&mut AdversaryOptions)| {
            let mut options = AdversaryOptions::default();
            change(&mut options);
            options.check("method.adversaries").unwrap_err().to_string()
        };
        for (found, key) in [
            (wrong(|o| o.critic_steps = 0), "critic_steps"),
            (wrong(|o| o.target_accuracy = 1.5), "target_accuracy"),
            (wrong(|o| o.gradient_penalty = f64::NAN), "gradient_penalty"),
            (wrong(|o| o.loss = CriticLoss::Wasserstein), "reads"),
            (
                wrong(|o| (o.play, o.defeat) = (Play::AtOnce, Defeat::Flipped)),
                "defeat",
            ),
            (
                wrong(|o| (o.loss, o.reads) = (CriticLoss::Wasserstein, Reads::Pairs)),
                "critic.batch_norm",
            ),
        ] {
            assert!(
                found.contains(&format!("method.adversaries.{key}")),
                "{found}"
            );
        }
    }
}
