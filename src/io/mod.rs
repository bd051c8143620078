//! Everything that crosses the file system. Every byte from outside is hostile: sizes are bounded before
//! memory is taken, and what is wrong is named with its place.

pub mod atomic;
pub mod audio;
pub mod command;
pub mod config;
pub mod foreign;
pub mod idx;
pub mod inputs;
pub mod interrupt;
pub mod json;
pub mod kaldi;
pub mod lines;
pub mod lock;
pub mod message;
#[cfg(feature = "pictures")]
pub mod png;
pub mod scratch;
