//! Waiting for a descriptor, or for one of two, until a moment of the monotonic clock. `ppoll(2)`

use super::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Interest {
    Read,
    Write,
    Both,
}

impl Interest {
    fn events(self) -> libc::c_short {
        match self {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
            Interest::Both => libc::POLLIN | libc::POLLOUT,
        }
    }
}

/// Waits until the descriptor is ready, or broken, or the deadline has passed: `false`. Without a deadline it waits for ever.
///
/// A signal does not end it. A deadline in the past makes it a single look.
pub(crate) fn ready(fd: BorrowedFd<'_>, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
    let mut looked_at = [pollfd(fd, interest.events())];
    wait(&mut looked_at, deadline)?;
    Ok(looked_at[0].revents != 0)
}

/// The same for a descriptor and a second one that is only read: whether each is ready.
pub(crate) fn either(fd: BorrowedFd<'_>, interest: Interest, second: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<[bool; 2]> {
    let mut looked_at = [pollfd(fd, interest.events()), pollfd(second, libc::POLLIN)];
    wait(&mut looked_at, deadline)?;
    Ok(looked_at.map(|found| found.revents != 0))
}

/// Whether nothing more will arrive, though what has arrived may still wait. Never waits itself.
pub(crate) fn hangup(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut looked_at = [pollfd(fd, libc::POLLRDHUP)];
    poll(&mut looked_at, Some(Duration::ZERO))?;
    Ok(looked_at[0].revents & libc::POLLRDHUP != 0)
}

fn pollfd(fd: BorrowedFd<'_>, events: libc::c_short) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }
}

/// `ppoll`, again where a signal ended it.
fn wait(looked_at: &mut [libc::pollfd], deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match poll(looked_at, left) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// One `ppoll`; what it found is in each `revents`, 0 everywhere when the time is over.
fn poll(looked_at: &mut [libc::pollfd], left: Option<Duration>) -> io::Result<()> {
    let left = left.map(|left| libc::timespec {
        tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    let left = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let (first, count) = (looked_at.as_mut_ptr(), looked_at.len() as libc::nfds_t);
    // SAFETY: `count` pollfds are there, `left` is null or points to a timespec that outlives the call, and a null mask changes no signals.
    check(unsafe { libc::ppoll(first, count, left, std::ptr::null()) })?;
    Ok(())
}
