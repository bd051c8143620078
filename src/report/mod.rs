//! Results for people: tables on the terminal, the same as TSV, summaries over experiments, charts as SVG, and
//! pictures of utterances as SVG and PNG.

pub mod chart;
#[cfg(feature = "torch")]
pub mod det;
#[cfg(feature = "torch")]
pub mod frontier;
pub mod labels;
pub mod picture;
#[cfg(feature = "torch")]
pub mod summary;
pub mod table;
pub mod utterance;
