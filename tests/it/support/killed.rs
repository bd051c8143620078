//! A run of the program that is killed at a chosen change of the file system.

use std::io;
use std::mem::size_of;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr::null_mut;

use libc::{c_int, c_long, pid_t, ptrace};

/// The system calls that change what others see in folders.
const CHANGES: [c_long; 10] = [
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_rmdir,
    libc::SYS_mkdir,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_fsync,
];

/// Kills the program before its change number `change`, counted from 0; false when it came to its end before.
pub fn killed_at(folder: &Path, args: &[&str], change: usize) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unbraid"));
    command
        .env("OMP_NUM_THREADS", "1")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: between fork and exec the child makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            match ptrace(libc::PTRACE_TRACEME, 0, null_mut::<u8>(), null_mut::<u8>()) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
    let pid = command.spawn().unwrap().id() as pid_t;
    assert!(libc::WIFSTOPPED(wait(pid)), "the child is traced");
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    // SAFETY: the child is stopped and ours.
    unsafe {
        ptrace(
            libc::PTRACE_SETOPTIONS,
            pid,
            null_mut::<u8>(),
            options as usize,
        )
    };
    let (mut changes, mut signal) = (0, 0);
    loop {
        // SAFETY: as above.
        unsafe { ptrace(libc::PTRACE_SYSCALL, pid, null_mut::<u8>(), signal as usize) };
        let status = wait(pid);
        if !libc::WIFSTOPPED(status) {
            return false;
        }
        signal = libc::WSTOPSIG(status);
        if signal != libc::SIGTRAP | 0x80 {
            continue;
        }
        signal = 0;
        if entered(pid).is_some_and(|call| CHANGES.contains(&call)) {
            if changes == change {
                // SAFETY: as above.
                unsafe { libc::kill(pid, libc::SIGKILL) };
                wait(pid);
                return true;
            }
            changes += 1;
        }
    }
}

fn wait(pid: pid_t) -> c_int {
    let mut status = 0;
    // SAFETY: the child is ours and not waited for by anybody else.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    status
}

/// The system call at whose entry a traced child stopped.
fn entered(pid: pid_t) -> Option<c_long> {
    // SAFETY: all zeros are a valid value, of which the kernel fills at most the size that it is told; the union holds an
    // entry when the operation says so.
    unsafe {
        let mut info: libc::ptrace_syscall_info = std::mem::zeroed();
        let size = size_of::<libc::ptrace_syscall_info>();
        ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &mut info);
        (info.op == libc::PTRACE_SYSCALL_INFO_ENTRY).then_some(info.u.entry.nr as c_long)
    }
}
