//! Encoders as ONNX models, which onnxruntime and other programs run without libtorch.
//!
//! A model takes a batch of one or more utterances, padded to the longest, and their lengths. Padding does not change a
//! result. The entry `unbraid.json` of its metadata describes it ([`super::module::Metadata`]).
//!
//! | name | type and shape | |
//! |---|---|---|
//! | `waveforms` | f32 `[batch, samples]`, full scale at 1 | input, or |
//! | `features` | f32 `[batch, frames, bins]`, as the front-end gives them | input |
//! | `lengths` | i64 `[batch]`, in samples or frames | input |
//! | `codes` | f32 `[batch, codes, dim]`, zero in the padding | phonetic output |
//! | `code_lengths` | i64 `[batch]` | phonetic output |
//! | `embeddings` | f32 `[batch, dim]` | speaker output |
//!
//! Each network has a file here that writes down its layers as operators; the weights are those of the checkpoint.

mod conformer;
mod ecapa;
mod export;
mod fhvae;
mod front_end;
mod graph;
mod layers;
mod mask;
mod normalisation;
mod phonetic_encoder;
mod proto;
mod recurrent;
mod resnet;
mod sherpa;
mod speaker_encoder;
mod tdnn;

pub use export::{Form, OnnxExport};
pub use graph::OPSETS;
