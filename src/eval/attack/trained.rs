//! Attacks by trained encoders on one representation.

use super::attacker::{Prepared, centred};
use super::encoder::{Encoder, EncoderOptions, Utterances};
use super::pooled::Pooled;
use super::source::Source;
use super::stage::{Attack, Stage};
use super::{AttackData, AttackOptions, Representation};
use crate::error::{Error, Result};
use ndarray::Array2;

/// An encoder that was trained on raw features, and its embeddings of them.
pub(super) struct Raw {
    name: String,
    encoder: Encoder,
    embeds: Embedded,
}

/// Embeddings of the development and of the test utterances, `[utterances, values]`.
struct Embedded {
    dev: Array2<f32>,
    test: Array2<f32>,
}

impl Embedded {
    fn attack(&self, name: &str) -> Attack {
        Attack {
            name: name.into(),
            dev: Prepared::cosine(&self.dev),
            test: Prepared::cosine(&self.test),
        }
    }

    /// Enrolled with these, tested with others.
    fn against(&self, name: &str, tests: &Self) -> Attack {
        let both = |enrolment: &Array2<f32>, test: &Array2<f32>| Prepared {
            test: Some(centred(test)),
            ..Prepared::cosine(enrolment)
        };
        Attack {
            name: name.into(),
            dev: both(&self.dev, &tests.dev),
            test: both(&self.test, &tests.test),
        }
    }
}

impl Stage {
    /// Trains an encoder on the raw features, if there are any and encoders are trained.
    pub(super) fn raw(
        &self,
        data: &AttackData,
        pools: &[(Pooled, Pooled)],
        options: &AttackOptions,
    ) -> Result<Option<Raw>> {
        let mut all = data.representations.iter().zip(pools);
        let raw = all.find(|(one, _)| data.raw.as_ref() == Some(&one.name));
        let Some((raw, pools)) = raw.filter(|_| options.encoder.steps > 0) else {
            return Ok(None);
        };
        let sets = self.sets(raw, pools)?.ok_or_else(|| {
            let expected = "matrices or units by frame in scp lists, to train an encoder on";
            Error::option("--raw", expected, raw.name.clone())
        })?;
        let encoder = self.train_encoder(&sets.0, &options.encoder)?;
        Ok(Some(Raw {
            name: raw.name.clone(),
            embeds: self.embed(&encoder, &sets)?,
            encoder,
        }))
    }

    /// The attacks of encoders: trained on the representation, and on raw features of as many values. `notes` collects what is
    /// left out, and why.
    pub(super) fn encoder_attacks(
        &self,
        representation: &Representation,
        pools: &(Pooled, Pooled),
        (raw, options): (Option<&Raw>, &EncoderOptions),
        notes: &mut Vec<String>,
    ) -> Result<Vec<Attack>> {
        let name = &representation.name;
        let Some(sets) = self.sets(representation, pools)? else {
            notes.push(format!(
                "{name}: no encoder is trained, which needs matrices or units by frame in scp lists"
            ));
            return Ok(Vec::new());
        };
        if let Some(raw) = raw.filter(|raw| raw.name == *name) {
            return Ok(vec![raw.embeds.attack("encoder")]);
        }
        let encoder = self.train_encoder(&sets.0, options)?;
        let mut attacks = vec![self.embed(&encoder, &sets)?.attack("encoder")];
        match raw {
            Some(raw) if raw.encoder.dims() == pools.0.dims => {
                let embeds = self.embed(&raw.encoder, &sets)?;
                let named = |kind: &str| format!("encoder of {}, {kind}", raw.name);
                attacks.push(embeds.attack(&named("lazy-informed")));
                attacks.push(raw.embeds.against(&named("ignorant"), &embeds));
            }
            Some(raw) => notes.push(format!(
                "{name}: no attack by the encoder of {}, which reads {} values per frame, not {}",
                raw.name,
                raw.encoder.dims(),
                pools.0.dims
            )),
            None => {}
        }
        Ok(attacks)
    }

    fn sets<'a>(
        &'a self,
        representation: &Representation,
        (train, test): &'a (Pooled, Pooled),
    ) -> Result<Option<(Utterances<'a>, Utterances<'a>)>> {
        let open = |source: &Source, set, pooled: &'a Pooled| {
            Utterances::open(source, set, &pooled.frames, pooled.dims)
        };
        let train = open(&representation.train, &self.train, train)?;
        Ok(train.zip(open(&representation.test, &self.test, test)?))
    }

    /// The moment of training at which the development speakers are found best is kept.
    fn train_encoder(&self, learn: &Utterances, options: &EncoderOptions) -> Result<Encoder> {
        let dev = self.dev_places();
        Encoder::train(learn, &self.fit, options, self.seed, |encoder| {
            let tried = self.try_on_dev(&Prepared::cosine(&encoder.embed(learn, &dev)?))?;
            Ok(tried.strength.score())
        })
    }

    fn embed(
        &self,
        encoder: &Encoder,
        (train, test): &(Utterances, Utterances),
    ) -> Result<Embedded> {
        let all: Vec<usize> = (0..self.test.len()).collect();
        Ok(Embedded {
            dev: encoder.embed(train, &self.dev_places())?,
            test: encoder.embed(test, &all)?,
        })
    }
}
