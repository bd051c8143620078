//! The progress of a training on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::io::message::message;
use crate::train::trainer::Progress;

/// A bar with rate and remaining time while a training runs.
#[derive(Debug, Default)]
pub(super) struct TrainingBar(Option<ProgressBar>);

impl Progress for TrainingBar {
    fn begin(&mut self, done: u64, steps: u64) {
        let template = "{bar:24} {pos}/{len} steps  {per_sec}  {eta} left  {wide_msg}";
        let style = ProgressStyle::with_template(template);
        let bar = ProgressBar::new(steps)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_position(done);
        bar.reset_eta();
        self.0 = Some(bar);
    }

    fn step(&mut self) {
        self.0.iter().for_each(|bar| bar.inc(1));
    }

    fn terms(&mut self, text: &str) {
        self.0
            .iter()
            .for_each(|bar| bar.set_message(text.to_string()));
    }

    fn validation(&mut self, line: &str) {
        match &self.0 {
            Some(bar) if !bar.is_hidden() => bar.println(line),
            _ => message(line),
        }
    }

    fn end(&mut self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}
