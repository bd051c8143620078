//! Training: trainable modules, optimisers and schedules, the training loop, checkpoints and logs.

pub mod checkpoint;
pub mod events;
pub mod experiment;
mod gradient;
pub mod log;
mod method;
mod old_names;
pub mod optimiser;
pub mod ranks;
pub mod schedule;
pub mod trainable;
pub mod trainer;
pub mod verdict;

pub use gradient::GradientPart;
pub use method::{Clock, Division, Method, Scalars};
pub use optimiser::{OptimiserKind, OptimiserOptions};
pub use schedule::Schedule;
pub use trainable::{Trainable, update, update_each};
pub use trainer::{Job, TrainOptions, train};
