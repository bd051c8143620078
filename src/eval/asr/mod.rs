//! Recognition: what a recogniser says of features, when, and how much of it is wrong.

pub mod align;
pub mod arpa;
pub mod beam;
pub mod recognition;
pub mod score;

pub use align::{OutputTimes, best_path};
pub use arpa::Arpa;
pub use beam::{Language, Search, Spelling};
pub use recognition::{Recognition, Scores};
pub use score::{ErrorRate, Hypotheses};
