//! A run of either kind, speech or images, from its configuration to its end.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Table;

use super::config::Config;
use super::image_config::ImageConfig;
use super::images::train_images;
use super::speech::train_speech;
use crate::error::Result;
use crate::io::config::{read_toml, with_setting};
use crate::nn::device::DeviceChoice;
use crate::train::TrainOptions;

/// What is trained.
#[derive(Debug, Clone, PartialEq)]
pub enum Run {
    /// On data directories.
    Speech(Box<Config>),
    /// On images: `data.train` is a table that says where they are from.
    Images(Box<ImageConfig>),
}

/// What a command line says instead of a configuration.
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
    /// Reads a configuration, and changes what is to be changed.
    ///
    /// # Errors
    /// As [`read_toml`] and [`with_setting`].
    pub fn read(path: &Path, overrides: &Overrides) -> Result<Self> {
        let table: Table = read_toml(path)?;
        let source = table.get("data").and_then(|data| data.get("train"));
        if source.is_some_and(|source| source.is_table()) {
            let mut config: ImageConfig = read_with(path, &overrides.settings)?;
            overrides.settle(&mut config.seed, &mut config.train, &mut config.device);
            return Ok(Self::Images(Box::new(config)));
        }
        let mut config: Config = read_with(path, &overrides.settings)?;
        overrides.settle(&mut config.seed, &mut config.train, &mut config.device);
        Ok(Self::Speech(Box::new(config)))
    }

    /// Trains it in the folder `exp`.
    ///
    /// # Errors
    /// As [`train_speech`] and [`train_images`].
    pub fn train(&self, exp: &Path, resume: bool) -> Result<()> {
        match self {
            Self::Speech(config) => train_speech(config, exp, resume),
            Self::Images(config) => train_images(config, exp, resume),
        }
    }
}

impl Overrides {
    /// Puts what is said in the place of what was read.
    fn settle(&self, seed: &mut u64, train: &mut TrainOptions, device: &mut DeviceChoice) {
        *seed = self.seed.unwrap_or(*seed);
        train.steps = self.steps.unwrap_or(train.steps);
        *device = self.device.unwrap_or(*device);
    }
}

fn read_with<C: Serialize + DeserializeOwned>(path: &Path, settings: &[String]) -> Result<C> {
    let config = read_toml(path)?;
    let mut settings = settings.iter();
    settings.try_fold(config, |config, setting| with_setting(&config, setting))
}

#[cfg(test)]
mod tests {
    use crate::method::adversary::AdversaryOptions;
    use crate::method::dann::DannOptions;
    use crate::method::infogan::InfoGanOptions;
    use crate::train::OptimiserOptions;

    #[test]
    fn what_an_optimisers_table_leaves_out_is_its_methods_own() {
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
        let critic: AdversaryOptions = toml::from_str(&format!("[optimiser]\n{written}")).unwrap();
        assert_eq!(
            critic.optimiser,
            expected(AdversaryOptions::default().optimiser)
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
