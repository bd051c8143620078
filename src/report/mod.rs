//! Results for people: tables on the terminal, the same as TSV, summaries over experiments, charts as SVG.

pub mod chart;
pub mod frontier;
pub mod labels;
pub mod summary;
pub mod table;
