//! Waiting for one descriptor, until a moment of the monotonic clock. `ppoll(2)`

use super::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Interest {
    Read,
    Write,
}

/// Waits until the descriptor is ready, or broken, or the deadline has passed: `false`. Without a deadline it waits for ever.
///
/// A signal does not end it. A deadline in the past makes it a single look.
pub(crate) fn ready(fd: BorrowedFd<'_>, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
    let events = match interest {
        Interest::Read => libc::POLLIN,
        Interest::Write => libc::POLLOUT,
    };
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match poll(fd, events, left) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Ok(result? != 0),
        }
    }
}

/// What is known about the other end without receiving anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hangup {
    /// Nothing more will arrive, though what has arrived may still wait.
    pub(crate) receiving: bool,
    /// Nothing will arrive and nothing can be sent.
    pub(crate) both: bool,
}

pub(crate) fn hangup(fd: BorrowedFd<'_>) -> io::Result<Hangup> {
    let found = poll(fd, libc::POLLRDHUP, Some(Duration::ZERO))?;
    Ok(Hangup { receiving: found & libc::POLLRDHUP != 0, both: found & libc::POLLHUP != 0 })
}

/// One `ppoll`; 0 when the time is over.
fn poll(fd: BorrowedFd<'_>, events: libc::c_short, left: Option<Duration>) -> io::Result<libc::c_short> {
    let mut pollfd = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    let left = left.map(|left| libc::timespec {
        tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    let left = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: one pollfd is passed and counted, `left` is null or points to a timespec that outlives the call, and a null mask changes no signals.
    check(unsafe { libc::ppoll(&raw mut pollfd, 1, left, std::ptr::null()) })?;
    Ok(pollfd.revents)
}
