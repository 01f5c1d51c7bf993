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

/// What is waited for on a socket and beside it, or what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// One of the directions is shut down. Found, it is also that the socket is broken, whether or not that was asked for.
    pub(crate) hangup: bool,
    /// What stands beside the socket can be read.
    pub(crate) other: bool,
}

impl Ready {
    pub(crate) const READ: Ready = Ready { read: true, write: false, hangup: false, other: false };
    pub(crate) const EITHER: Ready = Ready { read: true, write: true, hangup: false, other: false };
}

/// Waits for any of this on a socket, for one of two further descriptors to be readable, or until the deadline has passed: nothing is found
/// then. Without a deadline it waits for ever. Of a broken socket everything that was asked is found.
pub(crate) fn first(
    fd: BorrowedFd<'_>,
    wanted: Ready,
    others: [Option<BorrowedFd<'_>>; 2],
    deadline: Option<Instant>,
) -> io::Result<[Ready; 3]> {
    let bit = |wanted: bool, events| if wanted { events } else { 0 };
    let events = bit(wanted.read, libc::POLLIN) | bit(wanted.write, libc::POLLOUT) | bit(wanted.hangup, libc::POLLRDHUP);
    // The kernel passes over a number below 0.
    let [second, third] = others.map(|other| libc::pollfd { fd: other.map_or(-1, |fd| fd.as_raw_fd()), events: libc::POLLIN, revents: 0 });
    let mut looked_at = [pollfd(fd, events), second, third];
    wait(&mut looked_at, deadline)?;
    Ok(looked_at.map(|found| {
        let broken = found.revents & (libc::POLLHUP | libc::POLLERR) != 0;
        Ready {
            read: found.revents & libc::POLLIN != 0 || broken && wanted.read,
            write: found.revents & libc::POLLOUT != 0 || broken && wanted.write,
            hangup: found.revents & libc::POLLRDHUP != 0 || broken,
            other: found.revents != 0,
        }
    }))
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
