//! Results for people: tables on the terminal, the same as TSV, summaries over experiments.

pub mod summary;
pub mod table;
