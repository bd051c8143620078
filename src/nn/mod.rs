//! Networks over libtorch. Inside, sequences are `[batch, channels, frames]`; each network documents its input.
//!
//! Constructors and `forward` may use tch's panicking operators, because shapes have been checked where data is read.

pub mod any_front_end;
mod attentive_pooling;
pub mod baseline;
pub mod bottleneck;
pub mod classifier;
pub mod conformer;
pub mod conv_state;
pub mod decoder;
pub mod device;
pub mod ecapa;
pub mod enrolment_classifier;
pub mod front_end;
pub mod gaussian;
pub mod image;
pub mod layer;
pub mod mask;
mod module_front_end;
mod network_front_end;
mod network_shape;
mod norm_act;
pub mod normalisation;
pub(crate) mod outside_module;
pub mod pair_classifier;
pub mod perturb;
pub mod phonetic_encoder;
pub mod pooling;
pub mod recogniser;
pub mod recurrent;
pub mod resnet;
pub mod speaker_encoder;
pub mod ssl;
pub mod stream;
pub mod tdnn;
mod tracing;

pub use any_front_end::AnyFrontEnd;
pub use bottleneck::{Bottleneck, BottleneckOptions};
pub use classifier::{Classifier, ClassifierOptions};
pub use decoder::{Decoder, DecoderOptions};
pub use enrolment_classifier::EnrolmentClassifier;
pub use mask::Mask;
pub use pair_classifier::PairClassifier;
pub use perturb::PerturbOptions;
pub use phonetic_encoder::{PhoneticEncoder, PhoneticEncoderOptions};
pub use recogniser::{RecogniserNetwork, RecogniserNetworkOptions};
pub use speaker_encoder::{SpeakerEncoder, SpeakerEncoderOptions};
pub use stream::PhoneticStream;
pub(crate) use tracing::as_traced;

use crate::error::check_within;
use crate::io::panics::caught;

/// Checks a width or a count of a network. Values above 65536 are taken for mistakes, which would fail only inside
/// libtorch.
///
/// # Errors
/// [`crate::Error::Option`] naming `key`.
pub(crate) fn check_size(key: impl Into<String>, value: i64, least: i64) -> crate::Result<()> {
    check_within(key, value, least..=1 << 16)
}

/// Checks a number of layers or the width of a kernel, likewise.
///
/// # Errors
/// [`crate::Error::Option`] naming `key`.
pub(crate) fn check_small(key: impl Into<String>, value: i64, least: i64) -> crate::Result<()> {
    check_within(key, value, least..=256)
}

/// Builds networks. If memory does not suffice, libtorch throws an exception, which tch turns into a panic.
///
/// # Errors
/// [`crate::Error::Option`] with libtorch's message.
pub(crate) fn built<T>(build: impl FnOnce() -> T) -> crate::Result<T> {
    caught(build).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        // The panic quotes libtorch's message, and a C++ stack trace follows the first line.
        let quoted = text
            .split_once("Torch(\"")
            .map_or(&text[..], |(_, quoted)| quoted);
        let found = quoted.split("\\n").next().unwrap_or_default();
        crate::Error::option("method", "networks that fit into memory", found)
    })
}

impl From<tch::TchError> for crate::Error {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends a C++ stack trace; its first line is the message.
        let text = error.to_string();
        crate::Error::Torch(text.lines().next().unwrap_or_default().to_string())
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::built;

    #[test]
    fn networks_that_do_not_fit_into_memory_are_an_error() {
        let size = [1 << 30, 1 << 20];
        let error = built(|| Tensor::empty(size, (Kind::Float, Device::Cpu))).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("method: expected networks that fit into memory, found "),
            "{message}"
        );
        assert_eq!(message.lines().count(), 1);
        assert_eq!(built(|| 3).unwrap(), 3);
    }
}
