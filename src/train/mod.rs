//! Training: trainable modules, optimisers and schedules, the training loop, checkpoints and logs.

pub mod checkpoint;
pub mod events;
pub mod experiment;
pub mod log;
mod old_names;
pub mod optimiser;
pub mod schedule;
pub mod trainable;
pub mod trainer;
pub mod verdict;

pub use optimiser::{OptimiserKind, OptimiserOptions};
pub use schedule::Schedule;
pub use trainable::{Trainable, update, update_each};
pub use trainer::{Clock, Method, Scalars, TrainOptions, train};
