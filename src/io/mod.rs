//! Input and output of files. Input is not trusted: sizes are bounded before memory is reserved, and errors name file, line
//! or key.

pub mod atomic;
pub mod audio;
pub mod command;
pub mod config;
pub mod foreign;
pub mod idx;
pub mod input;
pub mod inputs;
pub mod interrupt;
pub mod json;
pub mod kaldi;
pub mod lines;
pub mod lock;
pub mod message;
pub mod panics;
#[cfg(feature = "pictures")]
pub mod png;
pub mod scratch;
mod serde_words;
pub mod walk;
