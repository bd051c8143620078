//! Networks over libtorch. Inside, sequences are `[batch, channels, frames]`; a network's doc says what it takes.
//!
//! Constructors and `forward` may use tch's panicking operators: shapes have been checked where data entered.

pub mod baseline;
pub mod bottleneck;
pub mod classifier;
pub mod conformer;
pub mod conv_state;
pub mod decoder;
pub mod device;
pub mod ecapa;
pub mod front_end;
pub mod image;
pub mod layer;
pub mod mask;
pub mod pair_critic;
pub mod perturb;
pub mod phonetic_encoder;
pub mod pooling;
pub mod recogniser;
pub mod recurrent;
pub mod resnet;
pub mod speaker_encoder;
pub mod stream;
pub mod tdnn;
pub mod view;

pub use bottleneck::{Bottleneck, BottleneckOptions};
pub use classifier::{Classifier, ClassifierOptions};
pub use decoder::{Decoder, DecoderOptions};
pub use mask::Mask;
pub use pair_critic::PairCritic;
pub use perturb::PerturbOptions;
pub use phonetic_encoder::{PhoneticEncoder, PhoneticEncoderOptions};
pub use recogniser::{RecogniserNetwork, RecogniserNetworkOptions};
pub use speaker_encoder::{SpeakerEncoder, SpeakerEncoderOptions};
pub use stream::PhoneticStream;

/// Checks a width or a count of a network. Beyond 65536 it is a slip of the pen, which would only fail inside libtorch.
///
/// # Errors
/// [`crate::Error::Option`] naming `key`.
pub(crate) fn check_size(key: impl Into<String>, value: i64, least: i64) -> crate::Result<()> {
    const MOST: i64 = 1 << 16;
    if (least..=MOST).contains(&value) {
        return Ok(());
    }
    let expected = format!("{least} to {MOST}");
    Err(crate::Error::option(key, expected, value.to_string()))
}

impl From<tch::TchError> for crate::Error {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends a C++ stack trace; its first line says what was wrong.
        let text = error.to_string();
        crate::Error::Torch(text.lines().next().unwrap_or_default().to_string())
    }
}
