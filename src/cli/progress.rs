//! Progress on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Counts things whose number is not known, as `12,345 utterances (1,200/s)`. indicatif draws on standard
/// error, and only where that is a terminal.
pub(super) fn counter(what: &str) -> ProgressBar {
    let template = format!("{{spinner}} {{human_pos}} {what} ({{per_sec}})");
    // A template that indicatif refuses costs the looks, not the work.
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// Shows how many of how many are done, with the time left; the length may be set later.
pub(super) fn bar(length: u64, what: &str) -> ProgressBar {
    let template = format!("{{bar:24}} {{pos}}/{{len}} {what}  {{eta}} left  {{msg}}");
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Shows what is being done, for work in stages of unknown length.
pub(super) fn stages() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
