//! The library's choices as values of arguments: named as in files, explained by their docs.

#[cfg(feature = "torch")]
use std::ffi::OsStr;

use clap::ValueEnum;
use clap::builder::PossibleValue;
#[cfg(feature = "torch")]
use clap::builder::{EnumValueParser, TypedValueParser};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use serde_json::Value;

use crate::dataset::normalisation::Cmvn;
use crate::eval::backend::ScoringKind;
use crate::eval::map::MapMethod;
use crate::eval::probe::{Family, Target};
#[cfg(feature = "torch")]
use crate::inference::extract::{Pool, Representation};
#[cfg(feature = "torch")]
use crate::nn::{device::DeviceChoice, speaker_encoder::SpeakerBackbone};
use crate::signal::FeatureType;

/// The name under which serde writes a value, and the doc that its schema has.
fn possible<T: Serialize + JsonSchema>(value: &T) -> Option<PossibleValue> {
    let Ok(Value::String(name)) = serde_json::to_value(value) else {
        return None;
    };
    let schema = Value::from(schema_for!(T));
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    let doc = variants
        .filter(|variant| variant["const"] == *name)
        .find_map(|variant| variant["description"].as_str());
    let doc = doc
        .unwrap_or_default()
        .replace('\n', " ")
        .replace("[`", "`")
        .replace("`]", "`");
    Some(PossibleValue::new(name).help(doc.trim_end_matches('.').to_string()))
}

/// A device: one of its choices, or a GPU by its number.
#[cfg(feature = "torch")]
#[derive(Debug, Clone)]
pub(super) struct DeviceParser;

#[cfg(feature = "torch")]
impl TypedValueParser for DeviceParser {
    type Value = DeviceChoice;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<DeviceChoice, clap::Error> {
        match value.to_str().and_then(|value| value.parse().ok()) {
            Some(device) => Ok(device),
            None => EnumValueParser::new().parse_ref(command, argument, value),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = DeviceChoice::value_variants().iter();
        Some(Box::new(values.filter_map(ValueEnum::to_possible_value)))
    }
}

/// Makes a choice an argument; every variant has to be named.
macro_rules! choices {
    ($($choice:ident: $($variant:ident),+;)+) => {$(
        impl ValueEnum for $choice {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                possible(self)
            }
        }
    )+};
}

choices! {
    Cmvn: None, Utterance, Global;
    Family: Linear, Mlp, Cnn;
    FeatureType: FilterBank, Spectrogram, Cepstrum, HiddenStates;
    MapMethod: Pca, Tsne;
    ScoringKind: Plda, Cosine;
    Target: Speaker, Text, Frames, Phones;
}

#[cfg(feature = "torch")]
choices! {
    DeviceChoice: Auto, Cpu, Cuda;
    Pool: None, Utterance, Speaker;
    Representation: Phonetic, Speaker, Features, Reconstruction;
    SpeakerBackbone: Tdnn, Ecapa, Resnet;
}
