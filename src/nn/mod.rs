//! Networks over libtorch. Inside, sequences are `[batch, channels, frames]`; a network's doc says what it takes.
//!
//! Constructors and `forward` may use tch's panicking operators: shapes have been checked where data entered.

pub mod baseline;
pub mod bottleneck;
pub mod classifier;
pub mod conformer;
pub mod decoder;
pub mod device;
pub mod ecapa;
pub mod layer;
pub mod mask;
pub mod pair_critic;
pub mod perturb;
pub mod phonetic_encoder;
pub mod pooling;
pub mod recurrent;
pub mod resnet;
pub mod speaker_encoder;
pub mod tdnn;

pub use bottleneck::{Bottleneck, BottleneckOptions};
pub use classifier::{Classifier, ClassifierOptions};
pub use decoder::{Decoder, DecoderOptions};
pub use mask::Mask;
pub use pair_critic::PairCritic;
pub use perturb::PerturbOptions;
pub use phonetic_encoder::{PhoneticEncoder, PhoneticEncoderOptions};
pub use speaker_encoder::{SpeakerEncoder, SpeakerEncoderOptions};

impl From<tch::TchError> for crate::Error {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends a C++ stack trace; its first line says what was wrong.
        let text = error.to_string();
        crate::Error::Torch(text.lines().next().unwrap_or_default().to_string())
    }
}
