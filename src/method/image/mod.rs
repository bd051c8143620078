//! Methods on images, one file per paper, over the same trainer as speech.

pub mod autoencoder;
pub mod bigan;
pub mod classifier;
pub mod config;
mod discriminator;
pub mod infogan;
pub mod train;
pub mod triplegan;
pub mod vaegan;

pub use config::ImageConfig;
