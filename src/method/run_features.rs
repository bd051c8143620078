//! What the features of a run are, and which defaults and options follow from it.

use std::path::Path;

use super::config::{Config, DataOptions};
use super::fine_tuning::Start;
use crate::error::{Error, Result};
use crate::signal::feature_type::MOST_FILTERS;
use crate::signal::{AnyFrontEndOptions, FeatureType};
use crate::train::checkpoint;
use crate::train::experiment::Experiment;

/// What the columns of a run's features are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunFeatures {
    kind: FeatureType,
    /// Whether the configuration or the front-end says so.
    is_stated: bool,
}

impl RunFeatures {
    /// By `data.feature_type`, else by the front-end's own, else filter banks.
    ///
    /// # Errors
    /// [`Error::Option`] if the two differ.
    pub(super) fn of(data: &DataOptions, front_end: Option<FeatureType>) -> Result<Self> {
        if let (Some(given), Some(own)) = (data.feature_type, front_end)
            && given != own
        {
            let expected = format!("\"{}\", which data.front_end computes", own.name());
            let found = format!("\"{}\"", given.name());
            return Err(Error::option("data.feature_type", expected, found));
        }
        let stated = data.feature_type.or(front_end);
        Ok(Self {
            kind: stated.unwrap_or(FeatureType::FilterBank),
            is_stated: stated.is_some(),
        })
    }

    /// The configuration of a new run, without its data, with every default that depends on the features' type; without these
    /// where the file of the front-end, which says the type, is not there.
    ///
    /// # Errors
    /// Errors of reading that file; as [`RunFeatures::of`] and [`Config::for_features`].
    pub(super) fn resolve_new(config: &Config) -> Result<Config> {
        let path = config.data.front_end.as_ref();
        if path.is_some_and(|path| !path.exists()) {
            return Ok(config.clone());
        }
        let front_end = path.map(AnyFrontEndOptions::read).transpose()?;
        let features = Self::of(&config.data, front_end.map(|own| own.feature_type()))?;
        config.for_features(features.kind)
    }

    /// The configuration of a run in the folder `exp` with every default that depends on the features' type. A run that goes
    /// on has those of its checkpoint, and one that begins from another model has that model's normalisation.
    ///
    /// # Errors
    /// As [`Config::for_features`]; errors of reading the other configuration.
    pub(super) fn resolve(self, config: &Config, exp: &Path, start: &Start) -> Result<Config> {
        if goes_on(exp, start)? {
            return Ok(config.with_defaults_of(&Experiment::open(exp)?.config()?));
        }
        let Some(initial) = &start.initial else {
            return config.for_features(self.kind);
        };
        let method = config.method.for_features(self.kind)?;
        let own = config.with_defaults_of(&initial.experiment.config()?);
        Ok(Config { method, ..own })
    }

    /// Refuses options of a new run that make no sense for its features of so many columns.
    ///
    /// # Errors
    /// As [`Config::check_features`]; [`Error::Option`] `data.feature_type` for features wider than any filter bank whose
    /// type nobody states, where it matters.
    pub(super) fn check(
        self,
        config: &Config,
        bins: usize,
        (exp, start): (&Path, &Start),
    ) -> Result<()> {
        if goes_on(exp, start)? {
            return Ok(());
        }
        let others = FeatureType::HiddenStates;
        let matters = || {
            let resolved = config.for_features(others);
            resolved.and_then(|_| config.check_features(others, bins))
        };
        if !self.is_stated && bins > MOST_FILTERS && matters().is_err() {
            let expected = format!(
                "the type of features of {bins} columns where no data.front_end tells it, such as \"hidden_states\""
            );
            return Err(Error::option("data.feature_type", expected, "none"));
        }
        config.check_features(self.kind, bins)
    }
}

/// Whether the run has a checkpoint that it goes on from.
fn goes_on(exp: &Path, start: &Start) -> Result<bool> {
    let begun = start.resume && exp.join("conf.toml").is_file();
    Ok(begun && !checkpoint::steps(exp)?.is_empty())
}
