//! Recognition: what a recogniser says of features, and how much of it is wrong.

pub mod arpa;
pub mod beam;
pub mod decode;
pub mod score;

pub use arpa::Arpa;
pub use beam::{Language, Search, Spelling};
pub use decode::Decoding;
pub use score::{ErrorRate, Hypotheses};
