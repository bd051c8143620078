//! The training core: players, their optimisers and schedules, the trainer's loop, checkpoints and logs.

pub mod checkpoint;
pub mod events;
pub mod experiment;
pub mod log;
pub mod optimiser;
pub mod player;
pub mod schedule;
pub mod trainer;

pub use optimiser::{OptimiserKind, OptimiserOptions};
pub use player::{Player, update, update_each};
pub use schedule::Schedule;
pub use trainer::{Clock, Method, Scalars, TrainOptions, train};
