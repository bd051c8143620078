//! Where audio comes from: the second column of `wav.scp`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{AudioOptions, Waveform, decode_audio, read_audio};
use crate::error::{Error, Result};

/// A file, or a command that writes one to its standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioSource {
    /// A file's path, relative to the working folder.
    File(PathBuf),
    /// A shell command.
    Pipe(String),
}

impl AudioSource {
    /// Parses `path` or `command |`.
    pub fn parse(value: &str) -> Self {
        match value.strip_suffix('|') {
            Some(command) => Self::Pipe(command.trim().to_string()),
            None => Self::File(PathBuf::from(value)),
        }
    }

    /// The name for messages.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Pipe(command) => PathBuf::from(format!("{command} |")),
        }
    }

    /// Reads the audio; runs a command only if `allow_pipes`.
    ///
    /// # Errors
    /// As [`read_audio`]; [`Error::Format`] naming a command that may not run or that fails.
    pub fn read(&self, options: &AudioOptions, allow_pipes: bool) -> Result<Waveform> {
        match self {
            Self::File(path) => read_audio(path, options),
            Self::Pipe(_) if !allow_pipes => Err(Error::format(
                self.name(),
                "a file, or --allow-pipes to run the commands that wav.scp names",
                "a pipe",
            )),
            Self::Pipe(command) => {
                decode_audio(output_of(command, &self.name())?, self.name(), options)
            }
        }
    }
}

/// Runs a shell command; its standard error is ours.
fn output_of(command: &str, name: &Path) -> Result<Vec<u8>> {
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::io("sh"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let found = output.status.to_string();
    Err(Error::format(name, "a command that succeeds", found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str, allow_pipes: bool) -> Result<Waveform> {
        AudioSource::parse(value).read(&AudioOptions::default(), allow_pipes)
    }

    #[test]
    fn pipes_run_only_when_allowed() {
        let error = read("touch no |", false).unwrap_err().to_string();
        assert!(
            error.starts_with("touch no |: expected a file, or --allow-pipes"),
            "{error}"
        );
        assert!(!Path::new("no").exists());
        let error = read("exit 3 |", true).unwrap_err().to_string();
        assert_eq!(
            error,
            "exit 3 |: expected a command that succeeds, found exit status: 3"
        );
        let error = read("true |", true).unwrap_err().to_string();
        assert!(error.ends_with("found an empty file"), "{error}");
    }

    #[test]
    fn a_pipe_gives_what_the_file_gives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let waveform = Waveform {
            samples: vec![0.25, -0.5],
            sample_rate_hz: 8000,
        };
        super::super::write_wav(&path, &waveform).unwrap();
        let path = path.display();
        assert_eq!(read(&path.to_string(), false).unwrap(), waveform);
        assert_eq!(read(&format!("cat '{path}' |"), true).unwrap(), waveform);
    }
}
