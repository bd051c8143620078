//! Reports of results: tables for the terminal and as TSV, summaries over experiments, charts as SVG, pictures of utterances
//! and maps of points as SVG and PNG, grids of images as PNG.

#[cfg(feature = "torch")]
pub mod attack;
#[cfg(feature = "torch")]
pub mod audit;
pub mod chart;
pub mod curves;
#[cfg(feature = "eval")]
pub mod det;
#[cfg(feature = "torch")]
pub mod experiment;
#[cfg(feature = "eval")]
pub mod frontier;
pub mod grid;
pub mod labels;
pub mod markup;
pub mod page;
pub mod picture;
pub mod scatter;
#[cfg(feature = "eval")]
pub mod scores;
#[cfg(feature = "eval")]
pub mod summary;
pub mod table;
pub mod utterance;
