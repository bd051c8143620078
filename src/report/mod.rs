//! Results for people: tables on the terminal, the same as TSV.

pub mod table;
