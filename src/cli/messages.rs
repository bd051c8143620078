//! The library's warnings and notes, as lines on standard error.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::io::message::message;

/// Writes what this crate logs: warnings behind `unbraid:`, notes as they are.
struct Lines;

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= Level::Info && metadata.target().starts_with("unbraid")
    }

    fn log(&self, record: &Record) {
        match record.level() {
            _ if !self.enabled(record.metadata()) => {}
            Level::Error | Level::Warn => message(format_args!("unbraid: {}", record.args())),
            _ => message(record.args()),
        }
    }

    fn flush(&self) {}
}

/// Shows them from now on.
pub(super) fn install() {
    // A second call, as from tests in one process, changes nothing.
    if log::set_logger(&Lines).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
