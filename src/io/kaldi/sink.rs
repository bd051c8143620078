//! The targets of archives and lists: atomic files, standard output, devices, commands.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::location::pipes_refused;
use crate::error::{Error, Result};
use crate::io::atomic::AtomicFile;
use crate::io::message::STDOUT;

/// An output stream. If it is dropped before [`Sink::finish`], no file appears and a command is stopped.
pub(super) struct Sink {
    stream: Stream,
    path: PathBuf,
    written: u64,
}

enum Stream {
    File(AtomicFile),
    Stdout(BufWriter<io::Stdout>),
    Pipe(PipeTo),
}

impl Sink {
    /// Opens a file name, `-` or nothing for standard output, or, if allowed, `| command`.
    pub(super) fn create(name: &str, allow_pipes: bool) -> Result<Self> {
        let (stream, path) = if name.is_empty() || name == "-" {
            let stream = Stream::Stdout(BufWriter::new(io::stdout()));
            (stream, PathBuf::from(STDOUT))
        } else if let Some(command) = name.strip_prefix('|') {
            if !allow_pipes {
                return Err(pipes_refused(Path::new(name)));
            }
            (Stream::Pipe(PipeTo::start(command)?), PathBuf::from(name))
        } else {
            (Stream::File(AtomicFile::create(name)?), PathBuf::from(name))
        };
        Ok(Self {
            stream,
            path,
            written: 0,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far: the offset of the next.
    pub(super) fn offset(&self) -> u64 {
        self.written
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { stream, path, .. } = self;
        stream
            .writer()
            .write_all(bytes)
            .map_err(Error::io(&*path))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        let Self { stream, path, .. } = self;
        stream.writer().flush().map_err(Error::io(&*path))
    }

    /// Removes an older file of this name; see [`AtomicFile::withdraw_older`].
    pub(super) fn withdraw_older(&self) -> Result<()> {
        match &self.stream {
            Stream::File(file) => file.withdraw_older(),
            Stream::Stdout(_) | Stream::Pipe(_) => Ok(()),
        }
    }

    /// Gives a file its name, waits for a command.
    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        match self.stream {
            Stream::File(file) => file.commit(),
            Stream::Stdout(_) => Ok(()),
            Stream::Pipe(pipe) => pipe.finish(&self.path),
        }
    }
}

impl Stream {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Stream::File(file) => file,
            Stream::Stdout(stdout) => stdout,
            Stream::Pipe(pipe) => pipe,
        }
    }
}

/// The input of a shell command.
struct PipeTo {
    child: Child,
    input: Option<BufWriter<std::process::ChildStdin>>,
}

impl PipeTo {
    fn start(command: &str) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .spawn()
            .map_err(Error::io("sh"))?;
        let input = child.stdin.take().map(BufWriter::new);
        Ok(Self { child, input })
    }

    fn finish(mut self, path: &Path) -> Result<()> {
        self.input = None;
        let status = self.child.wait().map_err(Error::io(path))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::format(
            path,
            "a command that succeeds",
            status.to_string(),
        ))
    }
}

impl Write for PipeTo {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.input
            .as_mut()
            .map_or(Ok(0), |input| input.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for PipeTo {
    fn drop(&mut self) {
        // No error: the command has ended already, or its input is incomplete.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
