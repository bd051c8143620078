//! The speaker adversary of the phonetic encoder: a classifier that predicts the speaker from codes, and the loss of the
//! encoder against it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::nn::Path;
use tch::{Device, Kind, Tensor, no_grad};

use super::adversary::{Adversary, StepContext};
use crate::dataset::labels::NO_LABEL;
use crate::error::{Error, Result};
use crate::nn::classifier::Answer;
use crate::nn::{Classifier, ClassifierOptions, EnrolmentClassifier, Mask, PairClassifier};
use crate::objective::adversarial::{EncoderLoss, gradient_penalty, reverse_gradient};
use crate::objective::classification::{accuracy, cross_entropy, mean_where};
use crate::train::schedule::{Ramp, check_inner_steps, check_steps};
use crate::train::{Clock, OptimiserOptions, Scalars, Trainable, update};

/// What the speaker classifier reads, and what it predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdversaryInput {
    /// A code sequence, of which it predicts the speaker (Chou et al. 2018). With `classifier.layers = 0` it reads only
    /// the statistics of the codes over time.
    Sequence,
    /// As `sequence`, with a prediction per code.
    Frames,
    /// Two code sequences, of which it predicts whether they are of one speaker (Chen et al. 2018). It has no output
    /// per speaker, so it suits many speakers.
    Pairs,
    /// The utterances of each speaker in the batch, in two halves: one enrols the speaker by the mean of its utterances'
    /// summaries, of the other it predicts the speaker. It sees what an attacker with several utterances sees. Needs
    /// `data.sampler.kind = "speakers"`; has no output per speaker.
    Enrolment,
}

/// How the adversary and what it is trained against are updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdversaryUpdate {
    /// One backward pass for both, with reversed gradient for the encoder (Ganin et al. 2016).
    GradientReversal,
    /// The adversary takes `inner_steps` steps on batches of its own, then the encoder takes one (Chou et al. 2018).
    Alternating,
}

/// Loss of the speaker classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdversaryLoss {
    /// Cross-entropy over speakers, or over same and different speaker for `pairs`.
    CrossEntropy,
    /// Mean score of pairs of one speaker minus that of pairs of two, with a gradient penalty (Gulrajani et al. 2017).
    /// Only for `input = "pairs"`.
    Wasserstein,
}

/// A speaker classifier, and how the phonetic encoder is trained against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpeakerAdversaryOptions {
    /// What the speaker classifier reads.
    pub input: AdversaryInput,
    /// How classifier and encoder are updated.
    pub update: AdversaryUpdate,
    /// Loss of the speaker classifier.
    pub loss: AdversaryLoss,
    /// Loss of the encoder against the classifier, with `update = "alternating"`.
    pub encoder_loss: EncoderLoss,
    /// Weight of the adversarial loss for the encoder.
    pub lambda: Ramp,
    /// Accuracy of the classifier to steer towards by adapting lambda: lambda grows while accuracy is higher and
    /// shrinks while it is lower, between 0.01 and 100 times its ramp. 0 leaves lambda at its ramp.
    pub target_accuracy: f64,
    /// Classifier steps per training step, with `update = "alternating"`. More steps make a stronger adversary and a
    /// slower run.
    pub inner_steps: usize,
    /// Steps after which the classifier is initialised anew, so that the encoder does not adapt to one classifier; 0
    /// never.
    pub restart_every: u64,
    /// Weight of the gradient penalty of `loss = "wasserstein"`.
    pub gradient_penalty: f64,
    /// Network of the speaker classifier.
    pub classifier: ClassifierOptions,
    /// Optimiser of the speaker classifier.
    #[serde(deserialize_with = "own_optimiser")]
    pub optimiser: OptimiserOptions,
}

fn own_optimiser<'de, D: Deserializer<'de>>(written: D) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(SpeakerAdversaryOptions::default().optimiser, written)
}

impl Default for SpeakerAdversaryOptions {
    fn default() -> Self {
        Self {
            input: AdversaryInput::Sequence,
            update: AdversaryUpdate::Alternating,
            loss: AdversaryLoss::CrossEntropy,
            encoder_loss: EncoderLoss::NegatedCe,
            lambda: Ramp::default(),
            target_accuracy: 0.0,
            inner_steps: 5,
            restart_every: 0,
            gradient_penalty: 10.0,
            classifier: ClassifierOptions::default(),
            optimiser: OptimiserOptions {
                beta1: 0.5,
                beta2: 0.9,
                ..OptimiserOptions::default()
            },
        }
    }
}

impl SpeakerAdversaryOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        self.classifier.check(&format!("{name}.classifier"))?;
        self.lambda.check(&format!("{name}.lambda"))?;
        self.optimiser.check(&format!("{name}.optimiser"))?;
        let refuse = |key: &str, expected: &str, found: String| {
            Err(Error::option(format!("{name}.{key}"), expected, found))
        };
        if self.update == AdversaryUpdate::Alternating {
            check_inner_steps(format!("{name}.inner_steps"), self.inner_steps)?;
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
        if self.update == AdversaryUpdate::GradientReversal
            && self.encoder_loss != EncoderLoss::NegatedCe
        {
            let expected = "\"negated_ce\" with update = \"gradient_reversal\"";
            return refuse("encoder_loss", expected, format!("{:?}", self.encoder_loss));
        }
        if self.loss == AdversaryLoss::Wasserstein {
            return self.check_wasserstein(name);
        }
        Ok(())
    }

    fn check_wasserstein(&self, name: &str) -> Result<()> {
        let wanted = [
            ("input", self.input == AdversaryInput::Pairs, "\"pairs\""),
            (
                "encoder_loss",
                self.encoder_loss == EncoderLoss::NegatedCe,
                "\"negated_ce\"",
            ),
            ("target_accuracy", self.target_accuracy == 0.0, "0"),
            (
                "classifier.batch_norm",
                !self.classifier.batch_norm,
                "false, because a gradient penalty is per sample,",
            ),
        ];
        match wanted.into_iter().find(|(_, right, _)| !right) {
            None => Ok(()),
            Some((key, _, expected)) => Err(Error::option(
                format!("{name}.{key}"),
                format!("{expected} with loss = \"wasserstein\""),
                "another value",
            )),
        }
    }
}

/// How fast lambda follows the classifier's accuracy: per classifier step its logarithm changes by this times the
/// difference to the target.
const GAIN_RATE: f64 = 0.05;

#[derive(Debug)]
enum Network {
    OfSpeakers(Classifier),
    OfPairs(PairClassifier),
    Enrolled(EnrolmentClassifier),
}

/// A speaker classifier as a trainable module.
#[derive(Debug)]
pub struct SpeakerAdversary {
    options: SpeakerAdversaryOptions,
    name: String,
    /// Values per code, and number of training speakers.
    shape: (i64, i64),
    device: Device,
    trainable: Trainable,
    network: Network,
    /// Logarithm of the factor of lambda, `[1]`; saved with the weights.
    log_gain: Tensor,
}

impl SpeakerAdversary {
    /// A new classifier called `name` for codes of `code_dim` from `speakers`.
    pub fn new(
        name: String,
        options: &SpeakerAdversaryOptions,
        (code_dim, speakers): (i64, i64),
        device: Device,
    ) -> Self {
        let (trainable, (network, log_gain)) =
            Trainable::new(&name, device, &options.optimiser, |path: Path| {
                let gain = path.zeros_no_train("log_gain", &[1]);
                let classifier_options = &options.classifier;
                let network = match options.input {
                    AdversaryInput::Pairs => {
                        let answers = match options.loss {
                            AdversaryLoss::CrossEntropy => 2,
                            AdversaryLoss::Wasserstein => 1,
                        };
                        Network::OfPairs(PairClassifier::new(
                            path,
                            code_dim,
                            answers,
                            classifier_options,
                        ))
                    }
                    AdversaryInput::Enrolment => Network::Enrolled(EnrolmentClassifier::new(
                        path,
                        code_dim,
                        classifier_options,
                    )),
                    AdversaryInput::Sequence | AdversaryInput::Frames => {
                        let answer = match options.input {
                            AdversaryInput::Frames => Answer::Frames,
                            _ => Answer::Sequence,
                        };
                        let classifier =
                            Classifier::new(path, code_dim, speakers, answer, classifier_options);
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
            trainable,
            network,
            log_gain,
        }
    }

    /// Name of the classifier's loss in logs.
    fn loss_name(&self) -> String {
        self.term_name(match self.options.loss {
            AdversaryLoss::CrossEntropy => "cross_entropy",
            AdversaryLoss::Wasserstein => "wasserstein",
        })
    }

    fn term_name(&self, term: &str) -> String {
        format!("{}/{term}", self.name)
    }

    /// Adds the loss and, where there is one, the accuracy on a training batch.
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

    /// Adapts lambda to the classifier's accuracy.
    fn follow(&mut self, accuracy: Option<&Tensor>) {
        let target = self.options.target_accuracy;
        if let (Some(accuracy), true) = (accuracy, target > 0.0 && self.trainable.trains(true)) {
            let bound = 100f64.ln();
            no_grad(|| {
                let moved = &self.log_gain + (accuracy - target) * GAIN_RATE;
                self.log_gain.copy_(&moved.clamp(-bound, bound));
            });
        }
    }

    /// The classifier's loss, and its accuracy where it has one.
    fn classifier_loss(&self, codes: &Tensor, context: &StepContext) -> (Tensor, Option<Tensor>) {
        let (answers, targets) = self.answer(codes, context, true);
        match (&self.network, self.options.loss) {
            (Network::OfPairs(classifier), AdversaryLoss::Wasserstein) => {
                let penalty = self.penalty(classifier, codes, context);
                (penalty - score_gap(&answers, &targets), None)
            }
            _ => {
                let loss = cross_entropy(&answers, &targets, 0.0);
                (loss, Some(accuracy(&answers, &targets)))
            }
        }
    }

    /// The classifier's logits and their targets: over speakers, shaped as for [`cross_entropy`]; or of pairs
    /// `[2 batch, answers]`, first those of one speaker (target 1), then those of two (0); or of halves `[2 speakers,
    /// speakers]`, each half once the enrolled one.
    fn answer(&self, codes: &Tensor, context: &StepContext, train: bool) -> (Tensor, Tensor) {
        let (mask, batch) = (context.code_mask(), context.batch);
        let train = self.trainable.trains(train);
        match &self.network {
            Network::OfSpeakers(classifier) => {
                let targets = match self.options.input {
                    AdversaryInput::Frames => speakers_by_frame(&batch.speakers, mask),
                    _ => batch.speakers.shallow_clone(),
                };
                (classifier.forward(codes, mask, train), targets)
            }
            Network::OfPairs(classifier) => {
                let summaries = classifier.summaries(codes, mask, train);
                let (same, other) = (
                    batch.other_of_same_speaker(),
                    batch.one_of_another_speaker(),
                );
                let right = summaries.index_select(0, &Tensor::cat(&[&same, &other], 0));
                let left = Tensor::cat(&[&summaries, &summaries], 0);
                let targets = Tensor::cat(&[pair_targets(&same, 1), pair_targets(&other, 0)], 0);
                (classifier.compare(&left, &right), targets)
            }
            Network::Enrolled(classifier) => {
                let summaries = classifier.summaries(codes, mask, train);
                let (first, second) = batch.halves_of_speakers();
                let compare = |enrolled, tested| classifier.compare(&summaries, enrolled, tested);
                let answers = [compare(&first, &second), compare(&second, &first)];
                let speakers = Tensor::arange(first.size()[0], (Kind::Int64, self.device));
                (
                    Tensor::cat(&answers, 0),
                    Tensor::cat(&[&speakers, &speakers], 0),
                )
            }
        }
    }

    /// Penalty on the classifier's gradient between the second of a pair of one speaker and the second of a pair of two,
    /// over the frames that both have.
    fn penalty(
        &self,
        classifier: &PairClassifier,
        codes: &Tensor,
        context: &StepContext,
    ) -> Tensor {
        let (mask, batch) = (context.code_mask(), context.batch);
        let codes = codes.detach();
        let (same, other) = (
            batch.other_of_same_speaker(),
            batch.one_of_another_speaker(),
        );
        let train = self.trainable.trains(true);
        let left = classifier.summaries(&codes, mask, train);
        let both = mask.shorter(&same, &other);
        let of = |index: &Tensor| both.apply(codes.index_select(0, index));
        let penalty = gradient_penalty(&of(&same), &of(&other), |right| {
            classifier.compare(&left, &classifier.summaries(right, &both, train))
        });
        penalty * self.options.gradient_penalty
    }
}

impl Adversary for SpeakerAdversary {
    fn trainable(&mut self) -> &mut Trainable {
        &mut self.trainable
    }

    fn inner_steps(&self) -> usize {
        match self.options.update {
            AdversaryUpdate::Alternating => self.options.inner_steps,
            AdversaryUpdate::GradientReversal => 0,
        }
    }

    fn shares_update(&self) -> bool {
        self.options.update == AdversaryUpdate::GradientReversal
    }

    fn before_step(&mut self, step: u64) {
        let every = self.options.restart_every;
        if every > 0 && step > 0 && step.is_multiple_of(every) && self.trainable.trains(true) {
            let gain = self.log_gain.copy();
            *self = Self::new(self.name.clone(), &self.options, self.shape, self.device);
            no_grad(|| self.log_gain.copy_(&gain));
        }
    }

    fn inner_step(
        &mut self,
        context: &StepContext,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        let (loss, right) = self.classifier_loss(context.codes(), context);
        self.follow(right.as_ref());
        self.log(&loss, right.as_ref(), scalars);
        // The schedule runs over the classifier's own updates, and starts again at each restart.
        let steps = match self.options.restart_every {
            0 => clock.total,
            every => every.min(clock.total),
        };
        let updates = steps * self.options.inner_steps as u64;
        update(&mut [&mut self.trainable], &loss, updates)
    }

    fn encoder_term(
        &mut self,
        context: &StepContext,
        step: u64,
        scalars: &mut Scalars,
    ) -> Option<Tensor> {
        let lambda = self.lambda(step);
        if self.shares_update() {
            let reversed = reverse_gradient(context.codes(), lambda);
            let (loss, right) = self.classifier_loss(&reversed, context);
            self.follow(right.as_ref());
            self.log(&loss, right.as_ref(), scalars);
            return Some(loss);
        }
        (lambda > 0.0).then(|| {
            let (answers, targets) = self.answer(context.codes(), context, true);
            let gain = match self.options.loss {
                AdversaryLoss::CrossEntropy => self.options.encoder_loss.loss(&answers, &targets),
                AdversaryLoss::Wasserstein => score_gap(&answers, &targets),
            };
            gain * lambda
        })
    }

    fn validate(&self, context: &StepContext, scalars: &mut Scalars) {
        let (answers, targets) = self.answer(context.codes(), context, false);
        if targets.numel() == 0 {
            return; // No speaker of this batch has two utterances.
        }
        match self.options.loss {
            AdversaryLoss::CrossEntropy => {
                scalars.add(self.loss_name(), &cross_entropy(&answers, &targets, 0.0));
                scalars.add(self.term_name("accuracy"), &accuracy(&answers, &targets));
            }
            AdversaryLoss::Wasserstein => {
                scalars.add(self.term_name("score_gap"), &score_gap(&answers, &targets));
            }
        }
    }
}

/// `target` where an utterance has a partner, [`NO_LABEL`] where it is its own.
fn pair_targets(partners: &Tensor, target: i64) -> Tensor {
    let own = Tensor::arange(partners.size()[0], (Kind::Int64, partners.device()));
    partners
        .full_like(target)
        .masked_fill(&partners.eq_tensor(&own), NO_LABEL)
}

/// Speakers `[batch]` to `[batch, frames]`, with [`NO_LABEL`] in the padding.
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

/// Mean score of pairs of one speaker minus that of pairs of two; scores `[pairs, 1]`.
fn score_gap(scores: &Tensor, targets: &Tensor) -> Tensor {
    let scores = scores.squeeze_dim(1);
    let mean = |target: i64| mean_where(&scores, &targets.eq(target).to_kind(Kind::Float));
    mean(1) - mean(0)
}

#[cfg(test)]
mod tests {
    use super::super::DisentangleOptions;
    use super::super::model::{Model, ModelOptions, ModelShape};
    use super::*;
    use crate::dataset::batch::SpeechBatch;
    use crate::nn::baseline::BaselineOptions;
    use crate::nn::phonetic_encoder::Encoded;

    /// A batch of 12 utterances of 3 speakers; each value of the codes contains the speaker with strength `leak`.
    fn batch(leak: f64) -> (SpeechBatch, Encoded) {
        let speakers: Vec<i64> = (0..12).map(|u| u % 3).collect();
        let lengths: Vec<i64> = (0..12).map(|u| 6 + u % 4).collect();
        let mask = Mask::new(&lengths, Device::Cpu);
        let codes = Tensor::randn([12, 8, 9], (Kind::Float, Device::Cpu));
        let speakers = Tensor::from_slice(&speakers);
        let offset = (&speakers - 1).to_kind(Kind::Float) * leak;
        let codes = mask.apply(codes + offset.reshape([12, 1, 1]));
        let batch = SpeechBatch {
            feats: codes.zeros_like(),
            pitch: None,
            lengths,
            utterances: (0..12).collect(),
            speakers,
            labels: None,
            second: None,
        };
        let encoded = Encoded {
            codes,
            mask,
            penalty: None,
            perplexity: None,
        };
        (batch, encoded)
    }

    /// Calls `run` with the context of such a batch.
    fn with_context<T>(leak: f64, run: impl FnOnce(&StepContext) -> T) -> T {
        let options = ModelOptions {
            baseline: Some(BaselineOptions::Standardise),
            ..Default::default()
        };
        let shape = ModelShape {
            bins: 8,
            speakers: 3,
            ssl: None,
        };
        let model = Model::new(&options, shape, &Default::default(), Device::Cpu);
        let options = DisentangleOptions::default();
        let (batch, encoded) = batch(leak);
        let mut context = StepContext::new(&model, &batch, &options, Device::Cpu, true);
        context.encoded = encoded;
        run(&context)
    }

    const END: Clock = Clock {
        step: 9999,
        total: 60,
        batch: 0,
    };

    fn every_kind() -> Vec<SpeakerAdversaryOptions> {
        let small = ClassifierOptions {
            channels: 16,
            layers: 1,
            ..Default::default()
        };
        let mut all = Vec::new();
        for input in [
            AdversaryInput::Sequence,
            AdversaryInput::Frames,
            AdversaryInput::Pairs,
            AdversaryInput::Enrolment,
        ] {
            for encoder_loss in [
                EncoderLoss::NegatedCe,
                EncoderLoss::Uniform,
                EncoderLoss::FlippedLabels,
            ] {
                all.push(SpeakerAdversaryOptions {
                    input,
                    encoder_loss,
                    classifier: small.clone(),
                    ..Default::default()
                });
            }
        }
        let plain = ClassifierOptions {
            batch_norm: false,
            spectral_norm: true,
            ..small
        };
        all.push(SpeakerAdversaryOptions {
            input: AdversaryInput::Pairs,
            loss: AdversaryLoss::Wasserstein,
            classifier: plain,
            ..Default::default()
        });
        all
    }

    #[test]
    fn every_adversary_learns_the_speaker_and_rewards_less_leakage() {
        for options in every_kind() {
            options.check("a").unwrap();
            tch::manual_seed(1);
            let mut adversary =
                SpeakerAdversary::new("adversary".into(), &options, (8, 3), Device::Cpu);
            let mut scalars = Scalars::default();
            for _ in 0..60 {
                with_context(2.0, |context| {
                    adversary.inner_step(context, &END, &mut scalars)
                })
                .unwrap();
            }
            let mut term = |leak: f64| {
                tch::manual_seed(2);
                let term = with_context(leak, |context| {
                    adversary.encoder_term(context, END.step, &mut scalars)
                });
                term.unwrap().double_value(&[])
            };
            assert!(term(0.2) < term(2.0), "{options:?}");
        }
    }

    #[test]
    fn gradient_reversal_negates_the_classifiers_gradient() {
        tch::manual_seed(1);
        let options = SpeakerAdversaryOptions {
            update: AdversaryUpdate::GradientReversal,
            ..every_kind().remove(0)
        };
        let mut adversary =
            SpeakerAdversary::new("adversary".into(), &options, (8, 3), Device::Cpu);
        with_context(2.0, |context| {
            let codes = context.codes().set_requires_grad(true);
            let loss = adversary.encoder_term(context, END.step, &mut Scalars::default());
            loss.unwrap().backward();
            let plain = codes.detach().set_requires_grad(true);
            adversary.classifier_loss(&plain, context).0.backward();
            let gap = (codes.grad() + plain.grad() * options.lambda.weight)
                .abs()
                .max();
            assert!(gap.double_value(&[]) < 1e-6);
        });
    }

    #[test]
    fn lambda_follows_the_classifiers_accuracy() {
        tch::manual_seed(1);
        let options = SpeakerAdversaryOptions {
            target_accuracy: 0.4,
            ..every_kind().remove(0)
        };
        let mut adversary =
            SpeakerAdversary::new("adversary".into(), &options, (8, 3), Device::Cpu);
        for (accuracy, rises) in [(0.9f32, true), (0.1, false)] {
            let before = adversary.lambda(9999);
            adversary.follow(Some(&Tensor::from(accuracy)));
            assert_eq!(adversary.lambda(9999) > before, rises);
        }
    }

    #[test]
    fn a_restart_replaces_the_weights_and_keeps_lambda() {
        tch::manual_seed(1);
        let options = SpeakerAdversaryOptions {
            restart_every: 10,
            target_accuracy: 0.5,
            ..every_kind().remove(0)
        };
        let mut adversary =
            SpeakerAdversary::new("adversary".into(), &options, (8, 3), Device::Cpu);
        adversary.follow(Some(&Tensor::from(0.9f32)));
        let (weights, lambda) = (adversary.trainable.flat().copy(), adversary.lambda(9999));
        adversary.before_step(9);
        assert_eq!(*adversary.trainable.flat(), weights);
        adversary.before_step(10);
        assert_ne!(*adversary.trainable.flat(), weights);
        assert_eq!(adversary.lambda(9999), lambda);
    }

    #[test]
    fn invalid_options_are_named() {
        let wrong = |change: fn(&mut SpeakerAdversaryOptions)| {
            let mut options = SpeakerAdversaryOptions::default();
            change(&mut options);
            options.check("method.adversaries").unwrap_err().to_string()
        };
        for (found, key) in [
            (wrong(|o| o.inner_steps = 0), "inner_steps"),
            (wrong(|o| o.target_accuracy = 1.5), "target_accuracy"),
            (wrong(|o| o.gradient_penalty = f64::NAN), "gradient_penalty"),
            (wrong(|o| o.loss = AdversaryLoss::Wasserstein), "input"),
            (
                wrong(|o| {
                    (o.update, o.encoder_loss) = (
                        AdversaryUpdate::GradientReversal,
                        EncoderLoss::FlippedLabels,
                    )
                }),
                "encoder_loss",
            ),
            (
                wrong(|o| (o.loss, o.input) = (AdversaryLoss::Wasserstein, AdversaryInput::Pairs)),
                "classifier.batch_norm",
            ),
        ] {
            assert!(
                found.contains(&format!("method.adversaries.{key}")),
                "{found}"
            );
        }
    }
}
