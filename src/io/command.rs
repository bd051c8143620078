//! Commands whose output is read: without a shell where possible, with limits of time and size, and killed with all their
//! child processes when they exceed a limit.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Bytes of standard error that are kept, for its last line.
const STDERR_BYTES: usize = 4096;
/// The interval of checks for the end of a command that has closed its output.
const PATIENCE: Duration = Duration::from_millis(2);

/// Limits of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandLimits {
    /// The longest run time.
    pub time: Duration,
    /// The most output, in bytes.
    pub bytes: u64,
}

/// Runs `command` and writes its standard output to `out`. `name` stands for it in messages.
///
/// Plain words, quoted as in a shell, are run directly; a command with any other syntax of the shell is run by `sh -c`.
/// Its standard input is empty. Its standard error is not shown; the last line of it becomes part of the error.
///
/// # Errors
/// [`Error::Format`] naming a command that cannot be started, fails, or passes a limit. All processes of its group
/// are killed then. [`Error::Io`] when `out` cannot be written.
pub fn run(command: &str, limits: CommandLimits, out: &mut dyn Write, name: &Path) -> Result<()> {
    let mut running = Running::start(command, name)?;
    let deadline = Instant::now() + limits.time;
    let (mut written, mut buffer) = (0, vec![0; 1 << 16]);
    while let Some(count) = running.read(&mut buffer, deadline, limits.time, name)? {
        written += count as u64;
        if written > limits.bytes {
            let expected = format!("at most {} bytes of output", limits.bytes);
            return Err(Error::format(name, expected, "more"));
        }
        out.write_all(&buffer[..count]).map_err(Error::io(name))?;
    }
    running.finish(deadline, limits.time, name)
}

/// A running command; dropped before its end, it is killed with its process group.
struct Running {
    child: Child,
    last_words: VecDeque<u8>,
    over: bool,
}

impl Running {
    fn start(command: &str, name: &Path) -> Result<Self> {
        let mut start = match plain_words(command).as_deref() {
            Some([program, arguments @ ..]) => {
                let mut start = Command::new(program);
                start.args(arguments);
                start
            }
            _ => {
                let mut start = Command::new("sh");
                start.args(["-c", command]);
                start
            }
        };
        let child = start
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| Error::format(name, "a command that can be run", error.to_string()))?;
        Ok(Self {
            child,
            last_words: VecDeque::new(),
            over: false,
        })
    }

    /// Waits for output, keeping the end of standard error meanwhile; `None` when both are closed.
    fn read(
        &mut self,
        buffer: &mut [u8],
        deadline: Instant,
        limit: Duration,
        name: &Path,
    ) -> Result<Option<usize>> {
        let mut words = [0; 1024];
        loop {
            let ready = ready(&self.child, deadline).map_err(Error::io(name))?;
            match ready {
                Ready::Late => return Err(late(limit, name)),
                Ready::Closed => return Ok(None),
                Ready::Output => {
                    let Some(stdout) = &mut self.child.stdout else {
                        continue;
                    };
                    match stdout.read(buffer).map_err(Error::io(name))? {
                        0 => self.child.stdout = None,
                        count => return Ok(Some(count)),
                    }
                }
                Ready::Words => {
                    let Some(stderr) = &mut self.child.stderr else {
                        continue;
                    };
                    match stderr.read(&mut words).map_err(Error::io(name))? {
                        0 => self.child.stderr = None,
                        count => {
                            self.last_words.extend(&words[..count]);
                            let surplus = self.last_words.len().saturating_sub(STDERR_BYTES);
                            self.last_words.drain(..surplus);
                        }
                    }
                }
            }
        }
    }

    /// Waits for the end and looks at the exit status.
    fn finish(mut self, deadline: Instant, limit: Duration, name: &Path) -> Result<()> {
        let status = loop {
            match self.child.try_wait().map_err(Error::io(name))? {
                Some(status) => break status,
                None if Instant::now() > deadline => return Err(late(limit, name)),
                None => std::thread::sleep(PATIENCE),
            }
        };
        self.over = true;
        if status.success() {
            return Ok(());
        }
        let words: Vec<u8> = self.last_words.iter().copied().collect();
        let words = String::from_utf8_lossy(&words);
        let found = match words.lines().map(str::trim).rfind(|line| !line.is_empty()) {
            Some(line) => format!("{status}: {line}"),
            None => status.to_string(),
        };
        Err(Error::format(name, "a command that succeeds", found))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // Not waited for yet, so its id cannot belong to another group.
        // SAFETY: kill takes two integers and touches no memory.
        unsafe { libc::kill(-(self.child.id() as libc::pid_t), libc::SIGKILL) };
        let _ = self.child.wait();
    }
}

fn late(limit: Duration, name: &Path) -> Error {
    let expected = format!("a command that ends within {} s", limit.as_secs_f64());
    Error::format(name, expected, "one that still ran, and was killed")
}

enum Ready {
    Output,
    Words,
    Closed,
    Late,
}

/// Waits until standard output or error has something, or its end, to be read.
fn ready(child: &Child, deadline: Instant) -> io::Result<Ready> {
    let fd = |fd: Option<RawFd>| libc::pollfd {
        // poll passes over a negative one.
        fd: fd.unwrap_or(-1),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut both = [
        fd(child.stdout.as_ref().map(AsRawFd::as_raw_fd)),
        fd(child.stderr.as_ref().map(AsRawFd::as_raw_fd)),
    ];
    if both.iter().all(|one| one.fd < 0) {
        return Ok(Ready::Closed);
    }
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Ready::Late);
        }
        let millis = left.as_millis().clamp(1, 60_000) as libc::c_int;
        // SAFETY: `both` is an array of two pollfd that lives through the call.
        let count = unsafe { libc::poll(both.as_mut_ptr(), 2, millis) };
        match count {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            0 => {}
            _ if both[0].revents != 0 => return Ok(Ready::Output),
            _ => return Ok(Ready::Words),
        }
    }
}

/// Words that need a shell as the first word of a command.
const SHELL_WORDS: [&str; 38] = [
    ".", ":", "!", "{", "}", "[[", "alias", "bg", "break", "case", "cd", "command", "continue",
    "eval", "exec", "exit", "export", "fg", "for", "function", "hash", "if", "jobs", "local",
    "read", "readonly", "return", "set", "shift", "source", "times", "trap", "type", "ulimit",
    "umask", "until", "wait", "while",
];

/// The words of a command that a shell would run as they stand, without quotes; none where a shell is needed.
fn plain_words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut signs = command.trim().chars();
    while let Some(sign) = signs.next() {
        match sign {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => single_quoted(&mut signs, word.get_or_insert_default())?,
            '"' => double_quoted(&mut signs, word.get_or_insert_default())?,
            '\\' => match signs.next()? {
                '\n' => return None,
                escaped => word.get_or_insert_default().push(escaped),
            },
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '*' | '?' | '[' | ']' | '{'
            | '}' | '\n' | '\0' => {
                return None;
            }
            '~' | '#' if word.is_none() => return None,
            // `NAME=value` before the program; `~` behind `=` and `:` as well.
            '=' if words.is_empty() => return None,
            '~' if word.as_ref().is_some_and(|word| word.ends_with(['=', ':'])) => return None,
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    let program = words.first()?;
    (!program.is_empty() && !SHELL_WORDS.contains(&program.as_str())).then_some(words)
}

/// Up to the next `'`, as it stands.
fn single_quoted(signs: &mut std::str::Chars, word: &mut String) -> Option<()> {
    let (quoted, rest) = signs.as_str().split_once('\'')?;
    word.push_str(quoted);
    *signs = rest.chars();
    Some(())
}

/// Up to the next `"`: a backslash counts before `"` and itself; `$` and `` ` `` need a shell.
fn double_quoted(signs: &mut std::str::Chars, word: &mut String) -> Option<()> {
    loop {
        match signs.next()? {
            '"' => return Some(()),
            '$' | '`' => return None,
            '\\' => match signs.next()? {
                escaped @ ('"' | '\\') => word.push(escaped),
                '$' | '`' | '\n' => return None,
                other => word.extend(['\\', other]),
            },
            plain => word.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CommandLimits = CommandLimits {
        time: Duration::from_secs(20),
        bytes: 1 << 20,
    };

    fn output(command: &str, limits: CommandLimits) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        run(command, limits, &mut out, Path::new(command))
            .map(|()| out)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn plain_words_need_no_shell() {
        let words = |command: &str| plain_words(command).map(|words| words.join("|"));
        for (command, expected) in [
            ("sph2pipe -f wav a.sph", Some("sph2pipe|-f|wav|a.sph")),
            ("  cat 'a b'\t\"c \\\" d\"e ", Some("cat|a b|c \" de")),
            ("cat a\\ b '$x' \"\"", Some("cat|a b|$x|")),
            ("sox --opt=1 a~b c#d -", Some("sox|--opt=1|a~b|c#d|-")),
            ("echo \"a\\b\"", Some("echo|a\\b")),
            ("A=1 cat x", None),
            ("cat ~/x", None),
            ("cat --file=~/x", None),
            ("cat x | sox", None),
            ("cat \"$x\"", None),
            ("cat *.wav", None),
            ("cat 'x", None),
            ("cat \"x", None),
            ("exit 3", None),
            ("", None),
            ("'' x", None),
        ] {
            assert_eq!(words(command).as_deref(), expected, "{command}");
        }
    }

    #[test]
    fn output_and_failure_come_with_or_without_a_shell() {
        assert_eq!(output("printf 'a b'", LIMITS), Ok(b"a b".to_vec()));
        assert_eq!(output("printf a; printf b", LIMITS), Ok(b"ab".to_vec()));
        assert_eq!(
            output("echo bad >&2; echo worse >&2; exit 3", LIMITS).unwrap_err(),
            "echo bad >&2; echo worse >&2; exit 3: expected a command that succeeds, found exit status: 3: worse"
        );
        let error = output("ls /no/such/file", LIMITS).unwrap_err();
        assert!(error.contains("exit status: 2: ls: "), "{error}");
        let error = output("no-such-program x", LIMITS).unwrap_err();
        assert!(
            error.contains("expected a command that can be run, found No such file"),
            "{error}"
        );
        // A great deal on standard error blocks nothing, and its end is kept.
        let error = output("seq 200000 >&2; false", LIMITS).unwrap_err();
        assert!(error.ends_with("exit status: 1: 200000"), "{error}");
    }

    #[test]
    fn a_command_that_overruns_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let limits = CommandLimits {
            time: Duration::from_millis(300),
            ..LIMITS
        };
        let mark_later = format!("(sleep 1; touch {0}) & sleep 30", mark.display());
        for command in [mark_later.as_str(), "sleep 30", "exec >&- 2>&-; sleep 30"] {
            let begin = Instant::now();
            let error = output(command, limits).unwrap_err();
            assert!(begin.elapsed() < Duration::from_secs(5), "{command}");
            assert!(
                error.ends_with(
                    "expected a command that ends within 0.3 s, found one that still ran, and was killed"
                ),
                "{error}"
            );
        }
        std::thread::sleep(Duration::from_millis(900));
        assert!(!mark.exists());
    }

    #[test]
    fn output_without_end_is_cut_off() {
        let error = output("yes", LIMITS).unwrap_err();
        assert_eq!(
            error,
            "yes: expected at most 1048576 bytes of output, found more"
        );
    }
}
