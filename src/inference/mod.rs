//! Inference with trained models: extraction, streams of codes, exported modules, voice conversion, vocoders.

pub mod conversion;
pub mod extract;
pub mod model;
pub mod module;
pub mod onnx;
mod origin;
pub mod shipped;
pub mod stream;
pub mod vocoder;

pub use model::Model;
pub use vocoder::Vocoder;
