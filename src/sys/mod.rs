//! The system calls, one function each, and the only room of the library with `unsafe` in it.
//!
//! Inputs are `BorrowedFd` and slices, outputs `OwnedFd` and values, errors `io::Error`. A descriptor is owned on the line after the
//! kernel made it, and close-on-exec is set by the call that makes it. No policy lives here: what to do about `EAGAIN` or a closed
//! peer is decided above. Stands on `libc` alone.

#![allow(unsafe_code)]

pub(crate) mod alone;
pub(crate) mod apart;
pub(crate) mod clock;
pub(crate) mod epoll;
pub(crate) mod event;
pub(crate) mod exec;
pub(crate) mod fd;
pub(crate) mod kind;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod stack;
pub(crate) mod writable;

use std::io;

/// The one place where -1 becomes an error.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The same for calls that return a length.
fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
