//! What is done with a descriptor as a number: keep it off 0, 1 and 2, and put another file under it.

use super::check;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A duplicate above 2 for a descriptor that landed on 0, 1 or 2; any other may stay where it is.
///
/// A program may start with those closed, and what then lands there is written to by every `println!` of the process.
pub(crate) fn above_stdio(fd: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    // `try_clone_to_owned` asks for the lowest free number from 3 on (`F_DUPFD_CLOEXEC`).
    if fd.as_raw_fd() > 2 { Ok(None) } else { fd.try_clone_to_owned().map(Some) }
}

/// The same, moved.
pub(crate) fn keep_above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    Ok(above_stdio(fd.as_fd())?.unwrap_or(fd))
}

/// Makes `fd` refer to the file behind `with`, closing what it referred to; close-on-exec. `dup3(2)`
pub(crate) fn replace(fd: BorrowedFd<'_>, with: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both are open for the duration of the call. Whoever owns `fd` still owns an open descriptor afterwards.
    check(unsafe { libc::dup3(with.as_raw_fd(), fd.as_raw_fd(), libc::O_CLOEXEC) })?;
    Ok(())
}
