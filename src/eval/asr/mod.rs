//! Speech recognition: decoding, forced alignment and error rates.

pub mod align;
pub mod arpa;
pub mod beam;
#[cfg(feature = "torch")]
pub mod recognition;
pub mod score;

pub use align::{OutputTimes, best_path};
pub use arpa::Arpa;
pub use beam::{Language, Search, Spelling};
#[cfg(feature = "torch")]
pub use recognition::{Recognition, Scores};
pub use score::{ErrorRate, Hypotheses};
