//! A training run, on speech or images.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::config::Config;
use super::fine_tuning::Start;
use super::image::config::ImageConfig;
use super::image::train::train_images;
use super::old_keys::{self, OLD_KEYS};
use super::run_features::RunFeatures;
use super::speech::train_speech;
use crate::error::{Error, Result};
use crate::io::config::{Document, with_setting};
use crate::nn::device::DeviceChoice;
use crate::train::TrainOptions;
use crate::train::trainer::Progress;

/// A training run.
#[derive(Debug, Clone, PartialEq)]
pub enum Run {
    /// On data directories.
    Speech(Box<Config>),
    /// On images: `data.train` is a table that describes their source.
    Images(Box<ImageConfig>),
}

/// Values of the command line that replace those of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `KEY.PATH=VALUE`.
    pub settings: Vec<String>,
    /// The seed.
    pub seed: Option<u64>,
    /// The number of steps.
    pub steps: Option<u64>,
    /// The device.
    pub device: Option<DeviceChoice>,
}

impl Run {
    /// Reads a configuration and applies `overrides`.
    ///
    /// # Errors
    /// As [`Document::read`] and [`Run::of`].
    pub fn read(path: &Path, overrides: &Overrides) -> Result<Self> {
        Self::of(&old_keys::document(path)?, overrides)
    }

    /// The run that a file read by [`old_keys::document`] describes, with `overrides` applied.
    ///
    /// # Errors
    /// As [`Document::options`] and [`with_setting`].
    pub fn of(document: &Document, overrides: &Overrides) -> Result<Self> {
        if is_of_images(document.table()) {
            let mut config: ImageConfig = options(document, &overrides.settings)?;
            overrides.apply(&mut config.seed, &mut config.train, &mut config.device);
            return Ok(Self::Images(Box::new(config)));
        }
        let mut config: Config = options(document, &overrides.settings)?;
        overrides.apply(&mut config.seed, &mut config.train, &mut config.device);
        Ok(Self::Speech(Box::new(config)))
    }

    /// Checks every value that can be checked without data.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Speech(config) => config.check(),
            Self::Images(config) => config.check(),
        }
    }

    /// All options in TOML, as in `conf.toml` of its experiment.
    ///
    /// # Errors
    /// Errors of the front-end's file, whose features decide some defaults, and for options that make no sense for them;
    /// [`Error::Format`] for a value that TOML cannot hold.
    pub fn resolved(&self) -> Result<Table> {
        match self {
            Self::Speech(config) => Table::try_from(RunFeatures::resolve_new(config)?),
            Self::Images(config) => Table::try_from(config),
        }
        .map_err(|error| {
            Error::format("conf.toml", "options that TOML can hold", error.to_string())
        })
    }

    /// Trains it in the folder `exp`, from new weights or as `start` says.
    ///
    /// # Errors
    /// As [`train_speech`] and [`train_images`]; [`Error::Option`] for images with an initial model; [`Error::Rank`] for
    /// anything that ends one of several ranks, on all of them.
    pub fn train(&self, exp: &Path, start: &Start, progress: &mut dyn Progress) -> Result<()> {
        let result = match (self, &start.initial) {
            (Self::Speech(config), _) => train_speech(config, exp, start, progress),
            (Self::Images(config), None) => train_images(config, exp, start, progress),
            (Self::Images(_), Some(_)) => {
                Err(Error::option("--init", "a run on speech", "one on images"))
            }
        };
        start.ranks.end(result)
    }
}

/// Whether the method works on images. `dann` works on both: for images `data.train` is a table, for speech a path.
fn is_of_images(table: &Table) -> bool {
    let method = table.get("method").and_then(|method| method.get("name"));
    match method.and_then(Value::as_str) {
        Some("infogan" | "vaegan" | "bigan" | "autoencoder" | "triplegan" | "classifier") => true,
        Some("disentangle" | "fhvae" | "recogniser") => false,
        _ => {
            let source = table.get("data").and_then(|data| data.get("train"));
            source.is_some_and(Value::is_table)
        }
    }
}

impl Overrides {
    /// Replaces values of the configuration.
    fn apply(&self, seed: &mut u64, train: &mut TrainOptions, device: &mut DeviceChoice) {
        *seed = self.seed.unwrap_or(*seed);
        train.steps = self.steps.unwrap_or(train.steps);
        *device = self.device.unwrap_or(*device);
    }
}

fn options<C: Serialize + DeserializeOwned>(document: &Document, settings: &[String]) -> Result<C> {
    let config = document.options()?;
    let method = document
        .table()
        .get("method")
        .and_then(|method| method.get("name"));
    let method = method.and_then(Value::as_str).unwrap_or_default();
    let mut settings = settings
        .iter()
        .filter_map(|setting| old_keys::setting(setting, method));
    settings.try_fold(config, |config, setting| {
        with_setting(&config, &setting, OLD_KEYS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::config::MethodOptions;
    use crate::method::dann::DannOptions;
    use crate::method::disentangle::DisentangleOptions;
    use crate::method::disentangle::consistency::ConsistencyOptions;
    use crate::method::disentangle::model::ModelOptions;
    use crate::method::disentangle::speaker_adversary::SpeakerAdversaryOptions;
    use crate::method::image::config::ImageInventory;
    use crate::method::image::infogan::InfoGanOptions;
    use crate::nn::phonetic_encoder::Backbone;
    use crate::nn::{BottleneckOptions, PhoneticEncoderOptions};
    use crate::objective::aam_softmax::AamSoftmaxOptions;
    use crate::objective::invariance::Invariance;
    use crate::objective::speaker::SpeakerConstraint;
    use crate::train::OptimiserOptions;
    use toml::Value;

    /// The paths of all numbers in a value, and whether they are whole.
    fn numbers(path: &str, value: &Value, found: &mut Vec<(String, bool)>) {
        let below = |key: &str| match path {
            "" => key.to_string(),
            path => format!("{path}.{key}"),
        };
        match value {
            Value::Integer(_) => found.push((path.to_string(), true)),
            Value::Float(_) => found.push((path.to_string(), false)),
            Value::Table(table) => {
                (table.iter()).for_each(|(key, value)| numbers(&below(key), value, found));
            }
            Value::Array(list) => (list.iter().enumerate())
                .for_each(|(place, value)| numbers(&below(&place.to_string()), value, found)),
            _ => {}
        }
    }

    /// Every number of `config` is refused if it is negative, much too large or not finite. The check of 0 may not panic.
    fn refuses<C: Serialize + DeserializeOwned>(config: &C, check: impl Fn(&C) -> Result<()>) {
        check(config).unwrap();
        let mut found = Vec::new();
        let value = Value::try_from(config).unwrap();
        numbers("", &value, &mut found);
        assert!(found.len() > 20, "{found:?}");
        let checked =
            |setting: &str| with_setting(config, setting, &[]).and_then(|config| check(&config));
        for (path, whole) in found {
            // These have no range of their own.
            if ["seed", "count", "first"]
                .iter()
                .any(|name| path.ends_with(name))
            {
                continue;
            }
            let wrong = match whole {
                true => &["-1", "9223372036854775807", "4611686018427387904"][..],
                false => &["-1.0", "nan", "inf", "-inf"],
            };
            for value in wrong {
                let setting = format!("{path}={value}");
                assert!(checked(&setting).is_err(), "{setting} is accepted");
            }
            let _ = checked(&format!("{path}=0"));
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused_in_speech() {
        let of = |method: &str| -> Config {
            let labels = match method {
                "recogniser" => "phone_sequence",
                _ => "utterance_class",
            };
            let data =
                format!("[data]\ntrain = 'x'\nlabels = '{labels}'\n[method]\nname = '{method}'\n");
            toml::from_str(&data).unwrap()
        };
        for method in ["fhvae", "dann", "recogniser"] {
            refuses(&of(method), Config::check);
        }
        let bottlenecks = [
            BottleneckOptions::Fsq {
                levels: 5,
                balanced: false,
            },
            BottleneckOptions::Vq {
                codes: 8,
                commitment: 0.25,
                restart_below: 0.05,
            },
            BottleneckOptions::Vae {
                weight: 1.0,
                free_bits: 0.0,
                prior_channels: 0,
            },
        ];
        let constraints = [
            SpeakerConstraint::SupervisedContrastive { temperature: 0.1 },
            SpeakerConstraint::Triplet { margin: 0.1 },
            SpeakerConstraint::AamSoftmax(AamSoftmaxOptions::default()),
        ];
        for (bottleneck, speaker) in bottlenecks.into_iter().zip(constraints) {
            let options = DisentangleOptions {
                model: ModelOptions {
                    phonetic_encoder: PhoneticEncoderOptions {
                        bottleneck,
                        backbone: Backbone::Conformer {
                            layers: 2,
                            heads: 4,
                        },
                        ..Default::default()
                    },
                    ..Default::default()
                },
                speaker,
                consistency: ConsistencyOptions {
                    similarity: Invariance::Contrastive { temperature: 0.1 },
                    ..Default::default()
                },
                adversaries: vec![SpeakerAdversaryOptions::default()],
                clustering: Some(Default::default()),
                cpc: Some(Default::default()),
                mutual_information: Some(Default::default()),
                conversion_discriminator: Some(Default::default()),
                ..Default::default()
            };
            let config = Config {
                method: MethodOptions::Disentangle(Box::new(options)),
                ..of("disentangle")
            };
            refuses(&config, Config::check);
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused_in_images() {
        let source = "{ kind = 'sprites', count = 9, seed = 0 }";
        let inventory = ImageInventory {
            shape: [1, 32, 32],
            classes: 10,
        };
        for (method, more) in [
            ("infogan", ""),
            ("vaegan", ""),
            ("bigan", ""),
            ("autoencoder", ""),
            ("triplegan", "labelled_batch = 4"),
            ("classifier", ""),
            ("dann", &format!("target = {source}")),
        ] {
            let text = format!("[data]\ntrain = {source}\n{more}\n[method]\nname = '{method}'\n");
            let config: ImageConfig = toml::from_str(&text).unwrap();
            refuses(&config, |config| {
                config.check()?;
                config.check_method(&inventory)
            });
        }
    }

    #[test]
    fn keys_left_out_of_an_optimiser_have_the_methods_defaults() {
        let written = "lr = 0.5\nschedule = { decay = \"cosine\" }";
        let expected = |own: OptimiserOptions| OptimiserOptions {
            lr: 0.5,
            schedule: toml::from_str("decay = \"cosine\"").unwrap(),
            ..own
        };
        let dann: DannOptions = toml::from_str(&format!("[optimiser]\n{written}")).unwrap();
        assert_eq!(dann.optimiser, expected(DannOptions::default().optimiser));
        let gan = format!("[discriminator_optimiser]\n{written}");
        let gan: InfoGanOptions = toml::from_str(&gan).unwrap();
        let own = InfoGanOptions::default();
        assert_eq!(gan.generator_optimiser, own.generator_optimiser);
        assert_eq!(
            gan.discriminator_optimiser,
            expected(own.discriminator_optimiser)
        );
        let adversary: SpeakerAdversaryOptions =
            toml::from_str(&format!("[optimiser]\n{written}")).unwrap();
        assert_eq!(
            adversary.optimiser,
            expected(SpeakerAdversaryOptions::default().optimiser)
        );
        let plain: OptimiserOptions = toml::from_str(written).unwrap();
        assert_eq!(plain, expected(OptimiserOptions::default()));
        let unknown = toml::from_str::<DannOptions>("[optimiser]\nlr2 = 0.5").unwrap_err();
        assert!(
            unknown.to_string().contains("unknown field `lr2`"),
            "{unknown}"
        );
    }
}
