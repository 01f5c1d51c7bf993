//! A lock on a file that one process at a time has. fcntl(2), "POSIX advisory record locks"
//!
//! It belongs to the process: a fork does not have it, and the kernel takes it off a process that ends, however it ends. And it is gone as soon
//! as the process closes *any* descriptor of the same file. It works on sockets too (Linux 6.18, tried).

use super::check;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Takes the lock; `false` where another process has it, or a sandbox does not let this one ask.
pub(crate) fn try_lock(file: BorrowedFd<'_>) -> io::Result<bool> {
    match set(file, libc::F_WRLCK) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::PermissionDenied) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives the lock back.
pub(crate) fn unlock(file: BorrowedFd<'_>) -> io::Result<()> {
    set(file, libc::F_UNLCK)
}

fn set(file: BorrowedFd<'_>, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: a struct of integers, for which zeros are the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    // SAFETY: the kernel reads one struct flock.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) })?;
    Ok(())
}
