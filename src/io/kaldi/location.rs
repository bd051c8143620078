//! Kaldi's extended file names: a file, a file and an offset in it, standard input, a command's output.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use super::range::Range;
use crate::error::{Error, Result};
use crate::io::inputs;

/// A place to read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    Stdin,
    Pipe(String),
    File { path: Arc<Path>, offset: u64 },
}

impl Location {
    /// Parses `-` or nothing, `command |`, `file` or `file:offset`. The error is a description of what was found.
    pub(super) fn parse(name: &str) -> Result<Location, &'static str> {
        if name.is_empty() || name == "-" {
            return Ok(Location::Stdin);
        }
        if name.starts_with('|') {
            return Err("a pipe to write to");
        }
        if let Some(command) = name.strip_suffix('|') {
            return Ok(Location::Pipe(command.trim().to_string()));
        }
        let (path, offset) = match name.rsplit_once(':') {
            Some((path, digits)) if is_number(digits) && !path.is_empty() => {
                (path, digits.parse().map_err(|_| "an offset over 64 bits")?)
            }
            _ => (name, 0),
        };
        Ok(Location::File {
            path: Path::new(path).into(),
            offset,
        })
    }

    /// The name for messages.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Location::Stdin => PathBuf::from("standard input"),
            Location::Pipe(command) => PathBuf::from(format!("{command} |")),
            Location::File { path, .. } => path.to_path_buf(),
        }
    }
}

/// The file that an `scp` value or the name of an archive leads to, without offset and range; none for a stream.
pub fn file_of(value: &str) -> Option<PathBuf> {
    let (name, _) = split_range(value.trim()).ok()?;
    match Location::parse(name).ok()? {
        Location::File { path, .. } => Some(path.to_path_buf()),
        Location::Stdin | Location::Pipe(_) => None,
    }
}

/// Splits the range in brackets off an `scp` value.
pub(super) fn split_range(value: &str) -> Result<(&str, Option<Range>), &'static str> {
    let Some((name, range)) = value
        .strip_suffix(']')
        .and_then(|value| value.rsplit_once('['))
    else {
        return Ok((value, None));
    };
    let range = Range::parse(range).ok_or("a range that is not [r1:r2] or [r1:r2,c1:c2]")?;
    Ok((name.trim_end(), Some(range)))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Opens a whole stream: standard input, a file from its beginning or its offset, or, if allowed, a
/// command's output.
pub(super) fn open(location: &Location, allow_pipes: bool) -> Result<Box<dyn BufRead + Send>> {
    match location {
        Location::Stdin => Ok(Box::new(BufReader::new(io::stdin()))),
        Location::File { path, offset } => {
            let mut file = inputs::open(path).map_err(Error::io(path))?;
            if *offset > 0 {
                // A list may have an offset beyond the file, where reading finds the end.
                let place = io::SeekFrom::Start((*offset).min(i64::MAX as u64));
                io::Seek::seek(&mut file, place).map_err(Error::io(path))?;
            }
            Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
        }
        Location::Pipe(_) if !allow_pipes => Err(pipes_refused(&location.path())),
        Location::Pipe(command) => Ok(Box::new(BufReader::new(Pipe::start(command)?))),
    }
}

/// The error for a pipe where none is allowed.
pub(super) fn pipes_refused(path: &Path) -> Error {
    Error::format(
        path,
        "a file, or --allow-pipes, where the command has it, to run what specifiers and lists name",
        "a pipe",
    )
}

/// The output of a shell command; that the command failed is an error at the end of its output.
struct Pipe {
    child: Child,
    output: ChildStdout,
}

impl Pipe {
    fn start(command: &str) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::io("sh"))?;
        let output = child
            .stdout
            .take()
            .ok_or_else(|| Error::io("sh")(io::Error::other("a command without its output")))?;
        Ok(Self { child, output })
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.output.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            let status = self.child.wait()?;
            if !status.success() {
                return Err(io::Error::other(format!("the command failed: {status}")));
            }
        }
        Ok(count)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // No error: the command has ended, or the rest of its output is not needed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, offset: u64) -> Location {
        Location::File {
            path: Path::new(path).into(),
            offset,
        }
    }

    #[test]
    fn kinds_of_names_are_distinguished() {
        let parse = |name| Location::parse(name).unwrap();
        assert_eq!(parse("-"), Location::Stdin);
        assert_eq!(parse("gunzip -c a |"), Location::Pipe("gunzip -c a".into()));
        assert_eq!(parse("a.ark:17"), file("a.ark", 17));
        assert_eq!(parse("a:b.ark"), file("a:b.ark", 0));
        assert!(Location::parse("| gzip").is_err());
        assert!(Location::parse("a:99999999999999999999").is_err());
    }

    #[test]
    fn ranges_are_split_off() {
        let (name, range) = split_range("a.ark:5[0:3,1:2]").unwrap();
        assert_eq!((name, range), ("a.ark:5", Range::parse("0:3,1:2")));
        assert_eq!(split_range("a.ark:5").unwrap(), ("a.ark:5", None));
        assert!(split_range("a.ark:5[x]").is_err());
    }

    #[test]
    fn a_pipe_runs_only_when_allowed_and_its_failure_is_reported() {
        let read = |command: &str, allow| -> Result<String> {
            let location = Location::parse(command).unwrap();
            let mut text = String::new();
            open(&location, allow)?
                .read_to_string(&mut text)
                .map_err(Error::io(location.path()))?;
            Ok(text)
        };
        assert_eq!(read("echo hi |", true).unwrap(), "hi\n");
        assert!(read("echo hi |", false).is_err());
        let error = read("exit 3 |", true).unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
    }
}
