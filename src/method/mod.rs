//! One file per method, over the same players, terms and trainer.

mod adversarial_images;
pub mod adversary;
pub mod autoencoder;
pub mod bigan;
pub mod classifier;
pub mod clustering;
pub mod config;
pub mod consistency;
pub mod dann;
pub mod disentangle;
pub mod fhvae;
pub mod image_config;
pub mod images;
pub mod infogan;
pub mod information;
pub mod label_help;
pub mod model;
pub mod opponent;
pub mod prediction;
pub mod realism;
pub mod recogniser;
pub mod reference;
pub mod regression;
mod remarks;
pub mod run;
pub mod schema;
pub mod speech;
pub mod strands;
pub mod triplegan;
pub mod trunk;
pub mod vaegan;

pub use config::Config;
pub use disentangle::Disentangle;
pub use image_config::ImageConfig;
pub use model::Model;
pub use strands::Strands;
