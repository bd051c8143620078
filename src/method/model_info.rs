//! What an experiment on speech keeps beside its weights.

use serde::{Deserialize, Serialize};

use crate::dataset::corpus::Inventory;
use crate::dataset::normalisation::Normalisation;
use crate::error::{Error, Result};
use crate::nn::ssl::SslConfig;
use crate::train::experiment::Experiment;

/// File of the [`ModelInfo`] in an experiment.
pub(super) const INVENTORY: &str = "inventory.json";
/// Largest number of training utterances, because a network may have one vector per utterance (FHVAE).
const MAX_UTTERANCES: usize = 1 << 24;

/// What a trained model needs in addition to its weights, saved as `inventory.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// Names of speakers and labels, by class number.
    pub inventory: Inventory,
    /// Normalisation of features before networks read them.
    #[serde(alias = "view")]
    pub normalisation: Normalisation,
    /// Number of training utterances.
    pub utterances: usize,
    /// The configuration of the model that `method.model.ssl_layers` belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl: Option<SslConfig>,
}

impl ModelInfo {
    /// Reads the `inventory.json` of an experiment.
    ///
    /// # Errors
    /// A missing or broken file; [`Error::Key`] for numbers that no networks can be built for.
    pub fn read(experiment: &Experiment) -> Result<Self> {
        let info: Self = experiment.read_json(INVENTORY)?;
        let path = experiment.path().join(INVENTORY);
        info.normalisation.check(&path)?;
        match (1..=MAX_UTTERANCES).contains(&info.utterances) {
            true => Ok(info),
            false => {
                let expected = format!("1 to {MAX_UTTERANCES}");
                let found = info.utterances.to_string();
                Err(Error::key(path, "utterances", expected, found))
            }
        }
    }
}
