//! Where audio comes from: the second column of `wav.scp`.

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use super::input::{self, Bytes};
use super::{AudioOptions, AudioReader, Waveform};
use crate::error::{Error, Result};
use crate::io::command::{self, CommandLimits};
use crate::io::inputs;

/// A file, a place in an archive, or a command that writes audio to its standard output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AudioSource {
    /// A file's path, relative to the working folder.
    File(PathBuf),
    /// A WAV that begins at this byte of a file, as Kaldi's `wav-copy` leaves them in an archive.
    Archive(PathBuf, u64),
    /// A file of any kind that begins at this byte of another one and has so many, as in a tar file.
    Part(PathBuf, u64, u64),
    /// A command, run by a shell where it needs one.
    Pipe(String),
}

/// Whether commands may run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pipes {
    /// None may.
    #[default]
    Refused,
    /// They may, and are killed when they take longer.
    Within(Duration),
}

impl AudioSource {
    /// Parses `path`, `path:offset`, `path:offset:length` or `command |`.
    pub fn parse(value: &str) -> Self {
        if let Some(command) = value.strip_suffix('|') {
            return Self::Pipe(command.trim().to_string());
        }
        match with_number(value) {
            None => Self::File(value.into()),
            Some((path, last)) => match with_number(path) {
                None => Self::Archive(path.into(), last),
                Some((path, offset)) => Self::Part(path.into(), offset, last),
            },
        }
    }

    /// The bytes as they are, of a file or a part of one.
    ///
    /// # Errors
    /// [`Error::Io`] when they cannot be read; [`Error::Format`] for a part beyond the end of its file.
    pub fn bytes(&self) -> Result<Option<Vec<u8>>> {
        match self {
            Self::File(path) => inputs::bytes(path).map(Some),
            Self::Part(path, offset, length) => {
                let mut file = inputs::open(path).map_err(Error::io(path))?;
                let size = file.metadata().map_err(Error::io(path))?.len();
                if offset.checked_add(*length).is_none_or(|end| end > size) {
                    let expected = format!("{length} bytes in the file");
                    let found = format!("{}", size.saturating_sub(*offset));
                    return Err(Error::format(self.name(), expected, found));
                }
                let mut bytes = vec![0; *length as usize];
                let read = file
                    .seek(SeekFrom::Start(*offset))
                    .and_then(|_| file.read_exact(&mut bytes));
                read.map_err(Error::io(path))?;
                Ok(Some(bytes))
            }
            Self::Archive(..) | Self::Pipe(_) => Ok(None),
        }
    }

    /// The name for messages.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Archive(path, offset) => PathBuf::from(format!("{}:{offset}", path.display())),
            Self::Part(path, offset, length) => {
                PathBuf::from(format!("{}:{offset}:{length}", path.display()))
            }
            Self::Pipe(command) => PathBuf::from(format!("{command} |")),
        }
    }

    /// Opens the audio to be read in blocks. A command runs to its end first: in memory where its output is small,
    /// else through an unnamed temporary file.
    ///
    /// # Errors
    /// As [`AudioReader::open`]; [`Error::Format`] naming a command that may not run, fails, takes longer than it
    /// may or gives more than 4 GiB.
    pub fn open(&self, options: &AudioOptions, pipes: Pipes) -> Result<AudioReader> {
        match (self, pipes) {
            (Self::File(path), _) => AudioReader::open(path, options),
            (Self::Archive(path, offset), _) => AudioReader::open_at(path, *offset, options),
            (Self::Part(..), _) => {
                let bytes = self.bytes()?.unwrap_or_default();
                AudioReader::from_memory(bytes, &self.name(), options)
            }
            (Self::Pipe(_), Pipes::Refused) => Err(Error::format(
                self.name(),
                "a file, or --allow-pipes to run the commands that wav.scp names",
                "a pipe",
            )),
            (Self::Pipe(command), Pipes::Within(time)) => {
                let (name, mut spool) = (self.name(), input::spool());
                let limits = CommandLimits {
                    time,
                    bytes: input::MOST_STREAMED,
                };
                command::run(command, limits, &mut spool, &name)?;
                let bytes = Bytes::spooled(spool).map_err(Error::io(&name))?;
                AudioReader::of_bytes(bytes, &name, options)
            }
        }
    }

    /// Reads the audio whole.
    ///
    /// # Errors
    /// As [`AudioSource::open`] and [`AudioReader::read_to_end`].
    pub fn read(&self, options: &AudioOptions, pipes: Pipes) -> Result<Waveform> {
        self.open(options, pipes)?.read_to_end()
    }
}

/// A path and the number behind its last colon.
fn with_number(value: &str) -> Option<(&str, u64)> {
    let (path, number) = value.rsplit_once(':')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !path.is_empty()).then(|| number.parse().ok().map(|number| (path, number)))?
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::write_wav;
    use super::*;

    const ALLOWED: Pipes = Pipes::Within(Duration::from_secs(20));

    fn read(value: &str, pipes: Pipes) -> Result<Waveform> {
        AudioSource::parse(value).read(&AudioOptions::default(), pipes)
    }

    fn made(samples: &[f32]) -> Waveform {
        Waveform {
            samples: samples.to_vec(),
            sample_rate_hz: 8000,
        }
    }

    #[test]
    fn pipes_run_only_when_allowed() {
        let error = read("touch no |", Pipes::Refused).unwrap_err().to_string();
        assert!(
            error.starts_with("touch no |: expected a file, or --allow-pipes"),
            "{error}"
        );
        assert!(!Path::new("no").exists());
        let error = read("exit 3 |", ALLOWED).unwrap_err().to_string();
        assert_eq!(
            error,
            "exit 3 |: expected a command that succeeds, found exit status: 3"
        );
        let error = read("true |", ALLOWED).unwrap_err().to_string();
        assert!(error.ends_with("found an empty file"), "{error}");
    }

    #[test]
    fn a_pipe_gives_what_the_file_gives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let waveform = made(&[0.25, -0.5]);
        write_wav(&path, &waveform).unwrap();
        let path = path.display();
        assert_eq!(read(&path.to_string(), Pipes::Refused).unwrap(), waveform);
        assert_eq!(read(&format!("cat '{path}' |"), ALLOWED).unwrap(), waveform);
        assert_eq!(
            read(&format!("cat '{path}' | cat |"), ALLOWED).unwrap(),
            waveform
        );
    }

    #[test]
    fn waveforms_lie_in_archives() {
        let dir = tempfile::tempdir().unwrap();
        let (wav, ark) = (dir.path().join("a.wav"), dir.path().join("wavs.ark"));
        let mut archive = Vec::new();
        let mut places = Vec::new();
        for (key, samples) in [("a", &[0.25, -0.5][..]), ("b", &[0.125])] {
            write_wav(&wav, &made(samples)).unwrap();
            archive.extend_from_slice(key.as_bytes());
            archive.push(b' ');
            places.push((format!("{}:{}", ark.display(), archive.len()), samples));
            archive.extend(std::fs::read(&wav).unwrap());
        }
        std::fs::write(&ark, &archive).unwrap();
        for (place, samples) in &places {
            assert_eq!(read(place, Pipes::Refused).unwrap(), made(samples));
        }
        let wrong = format!("{}:3", ark.display());
        let error = read(&wrong, Pipes::Refused).unwrap_err().to_string();
        let message = ":3: expected WAV audio in an archive, found a file that begins with \"IFF";
        assert!(error.contains(message), "{error}");
        // A WAV that reaches to the end of its file has none in an archive.
        archive[2 + 40..2 + 44].copy_from_slice(&[0xff; 4]);
        std::fs::write(&ark, &archive).unwrap();
        let error = read(&places[0].0, Pipes::Refused).unwrap_err().to_string();
        assert!(
            error.contains("expected the size of a WAV inside an archive"),
            "{error}"
        );
    }

    #[test]
    fn files_lie_in_others() {
        let dir = tempfile::tempdir().unwrap();
        let (wav, tar) = (dir.path().join("a.wav"), dir.path().join("a.tar"));
        write_wav(&wav, &made(&[0.25, -0.5])).unwrap();
        let audio = std::fs::read(&wav).unwrap();
        std::fs::write(&tar, [&b"before"[..], &audio, b"behind"].concat()).unwrap();
        let place = |offset, length| format!("{}:{offset}:{length}", tar.display());
        let whole = place(6, audio.len());
        assert_eq!(read(&whole, Pipes::Refused).unwrap(), made(&[0.25, -0.5]));
        for (offset, length, message) in [
            (6, audio.len() - 1, "expected"),
            (5, audio.len(), "found"),
            (
                60,
                1000,
                ":60:1000: expected 1000 bytes in the file, found 0",
            ),
            (6, usize::MAX, "bytes in the file"),
        ] {
            let error = read(&place(offset, length), Pipes::Refused).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn kinds_of_list_entries_are_distinguished() {
        let archive = |path: &str, offset| AudioSource::Archive(path.into(), offset);
        for (value, source) in [
            ("a.wav", AudioSource::File("a.wav".into())),
            ("a:b.wav", AudioSource::File("a:b.wav".into())),
            ("a.ark:17", archive("a.ark", 17)),
            ("c:/a.ark:0", archive("c:/a.ark", 0)),
            (
                "a:99999999999999999999",
                AudioSource::File("a:99999999999999999999".into()),
            ),
            ("a.ark:", AudioSource::File("a.ark:".into())),
            ("a.tar:512:44", AudioSource::Part("a.tar".into(), 512, 44)),
            ("a:b:44", archive("a:b", 44)),
            (":5:44", archive(":5", 44)),
            ("cat x:1 |", AudioSource::Pipe("cat x:1".into())),
        ] {
            assert_eq!(AudioSource::parse(value), source, "{value}");
        }
    }
}
