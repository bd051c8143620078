//! Messages on standard error, which never fail and never end a run, and results on standard output. Control characters in
//! names and paths are escaped, so that they do not reach the terminal.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// The name of standard output in errors.
pub const STDOUT: &str = "standard output";

/// Its files.
pub(super) const STDOUT_FILES: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// Whether another process says what this one would.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Ends the messages of this process, where another one writes the same.
#[cfg(feature = "torch")]
pub(crate) fn silence() {
    SILENT.store(true, Ordering::Relaxed);
}

/// Writes a line on standard error. A line that cannot be written is dropped, as when the reader has gone.
pub fn message(text: impl Display) {
    if SILENT.load(Ordering::Relaxed) {
        return;
    }
    let line = one_line(&text.to_string()).into_owned() + "\n";
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Writes text on standard output; its lines stay lines.
///
/// # Errors
/// [`Error::Io`] naming [`STDOUT`].
pub fn output(text: impl Display) -> Result<()> {
    let text = text.to_string();
    let lines: String = text.split_inclusive('\n').map(escaped_line).collect();
    let mut stdout = io::stdout();
    let written = stdout.write_all(lines.as_bytes());
    written
        .and_then(|()| stdout.flush())
        .map_err(Error::io(STDOUT))
}

/// Whether an error means that the reader of standard output has closed it, as `| head` does.
pub fn reader_is_gone(error: &Error) -> bool {
    let is_stdout = |path: &Path| {
        let name = path.to_str().unwrap_or_default();
        name == STDOUT || STDOUT_FILES.contains(&name)
    };
    matches!(error, Error::Io { path, cause }
        if is_stdout(path) && cause.kind() == io::ErrorKind::BrokenPipe)
}

fn escaped_line(line: &str) -> String {
    match line.strip_suffix('\n') {
        Some(body) => one_line(body).into_owned() + "\n",
        None => one_line(line).into_owned(),
    }
}

/// Text whose control characters, line ends among them, are written as `\n`, `\t` or `\u{1b}`.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(one_line("é a.wav"), "é a.wav");
        assert_eq!(one_line("a\n\x1b[31m\u{9b}\tb"), r"a\n\u{1b}[31m\u{9b}\tb");
        assert_eq!(escaped_line("a\x07b\n"), "a\\u{7}b\n");
    }
}
