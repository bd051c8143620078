//! Losses. Each takes logits or plain vectors and returns a scalar tensor.

pub mod aam_softmax;
pub mod adversarial;
pub mod classification;
pub mod clustering;
pub mod ctc;
pub mod independence;
pub mod information;
pub mod invariance;
pub mod reconstruction;
pub mod speaker;
