//! What the columns of features are. It decides which operations on them make sense.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Features have at most this many mel filters. Wider ones are taken for filter banks only where somebody says so.
pub const MOST_FILTERS: usize = 256;

/// What the columns of features are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeatureType {
    /// Log energies of mel filters.
    FilterBank,
    /// Log energies of the bins of a Fourier transform.
    Spectrogram,
    /// Cepstral coefficients.
    Cepstrum,
    /// Outputs of a network, such as hidden states of HuBERT; also codes, and all else whose columns have no order.
    HiddenStates,
}

impl FeatureType {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::FilterBank,
        Self::Spectrogram,
        Self::Cepstrum,
        Self::HiddenStates,
    ];

    /// The name, as in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::FilterBank => "filter_bank",
            Self::Spectrogram => "spectrogram",
            Self::Cepstrum => "cepstrum",
            Self::HiddenStates => "hidden_states",
        }
    }

    /// Whether a louder recording has the same constant added to every value, and neighbouring columns are neighbouring
    /// frequencies: then a level can be subtracted, and columns can be warped and masked in bands.
    pub fn is_log_spectrum(self) -> bool {
        matches!(self, Self::FilterBank | Self::Spectrogram)
    }

    /// Refuses the value `found` of an option that makes sense for log spectra alone, unless these are some.
    ///
    /// # Errors
    /// [`Error::Option`] naming the option; `neutral` is the value that any features may have.
    pub fn check_spectral(self, option: &str, neutral: &str, found: &str) -> Result<()> {
        match self.is_log_spectrum() {
            true => Ok(()),
            false => {
                let expected = format!(
                    "{neutral} with features of type {}, which are no log spectra (data.feature_type)",
                    self.name()
                );
                Err(Error::option(option, expected, found))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_configurations() {
        for kind in FeatureType::ALL {
            let written = serde_json::to_value(kind).unwrap();
            assert_eq!(written, kind.name());
        }
    }

    #[test]
    fn what_assumes_a_spectrum_is_refused_for_others() {
        let refused = |kind: FeatureType| kind.check_spectral("perturb.warp", "0", "0.1").err();
        assert!(refused(FeatureType::FilterBank).is_none());
        assert!(refused(FeatureType::Spectrogram).is_none());
        for kind in [FeatureType::Cepstrum, FeatureType::HiddenStates] {
            let message = refused(kind).unwrap().to_string();
            let expected = format!(
                "perturb.warp: expected 0 with features of type {}, which are no log spectra (data.feature_type), found 0.1",
                kind.name()
            );
            assert_eq!(message, expected);
        }
    }
}
