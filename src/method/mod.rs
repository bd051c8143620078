//! The methods, their configurations, and the runs around them.
//!
//! Each method file follows its paper: trainable modules, loss terms, one `step`. [`disentangle`] is the method on speech
//! with all its parts; [`image`] contains the methods on images.

pub mod config;
pub mod dann;
pub mod dann_backbone;
pub mod disentangle;
pub mod fhvae;
pub mod fine_tuning;
pub mod image;
mod model_info;
pub mod old_keys;
mod range;
pub mod recogniser;
pub mod reference;
mod remarks;
mod resumed;
pub mod run;
mod run_features;
pub mod schema;
pub mod speech;
pub mod trained;

pub use config::Config;
pub use disentangle::Disentangle;
pub use image::ImageConfig;
pub use trained::DisentangledModel;
