//! The other processes of a run on one machine, started by its rank 0.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long they have to end by themselves.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ranks 1 and up. They are ended with this process, however it ends.
#[derive(Debug)]
pub(super) struct LocalRanks(Vec<Child>);

impl LocalRanks {
    /// Starts this program with the same arguments as ranks 1 to `size - 1`, which find the store at `host` and `port`.
    ///
    /// # Errors
    /// [`Error::Io`] naming the program.
    pub(super) fn start(size: usize, host: &str, port: u16) -> Result<Self> {
        let program = std::env::current_exe().map_err(Error::io("the path of this program"))?;
        let mut started = Self(Vec::new());
        for rank in 1..size {
            let mut command = Command::new(&program);
            command
                .arg0(std::env::args_os().next().unwrap_or_default())
                .args(std::env::args_os().skip(1))
                .stdin(Stdio::null())
                .env("MASTER_ADDR", host)
                .env("MASTER_PORT", port.to_string());
            for (name, value) in [
                ("RANK", rank),
                ("LOCAL_RANK", rank),
                ("WORLD_SIZE", size),
                ("LOCAL_WORLD_SIZE", size),
            ] {
                command.env(name, value.to_string());
            }
            end_with_parent(&mut command);
            started
                .0
                .push(command.spawn().map_err(Error::io(&program))?);
        }
        Ok(started)
    }

    /// The first rank that has ended without success, and how.
    pub(super) fn failed(&mut self) -> Option<(usize, ExitStatus)> {
        let ranks = (1..).zip(&mut self.0);
        ranks
            .filter_map(|(rank, child)| Some((rank, child.try_wait().ok()??)))
            .find(|(_, status)| !status.success())
    }
}

impl Drop for LocalRanks {
    /// Waits for them, and kills those that do not end.
    fn drop(&mut self) {
        let began = Instant::now();
        for child in &mut self.0 {
            while matches!(child.try_wait(), Ok(None)) {
                if began.elapsed() > PATIENCE {
                    let _ = child.kill();
                    let _ = child.wait();
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn end_with_parent(command: &mut Command) {
    // SAFETY: prctl with these arguments only sets a flag of the new process, and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent(_: &mut Command) {}
