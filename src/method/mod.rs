//! One file per method, over the same players, terms and trainer.

pub mod adversary;
pub mod clustering;
pub mod config;
pub mod consistency;
pub mod disentangle;
pub mod fhvae;
pub mod information;
pub mod label_help;
pub mod model;
pub mod opponent;
pub mod prediction;
pub mod realism;
pub mod regression;
pub mod speech;
pub mod strands;

pub use config::Config;
pub use disentangle::Disentangle;
pub use model::Model;
pub use strands::Strands;
