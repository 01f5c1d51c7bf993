//! A set of descriptors of which the kernel tells those that are ready. `epoll(7)`

use super::poll::Ready;
use super::{check, fd};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The set. Itself a descriptor, which is readable while anything in it is ready.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

/// What a descriptor is watched for. That it is broken, or its peer gone, is told in any case.
#[derive(Clone, Copy, Debug)]
pub(crate) enum For {
    Reading,
    Writing,
    Both,
    /// Any of what is wanted of a socket.
    Socket(Ready),
    /// Each write to it from elsewhere, told to one waiting thread, once.
    Arrivals,
}

impl For {
    fn events(self) -> u32 {
        let bit = |wanted: bool, event| if wanted { event } else { 0 };
        let events: libc::c_int = match self {
            For::Reading => libc::EPOLLIN,
            For::Writing => libc::EPOLLOUT,
            For::Both => libc::EPOLLIN | libc::EPOLLOUT,
            For::Socket(Ready { read, write, hangup, .. }) => {
                bit(read, libc::EPOLLIN) | bit(write, libc::EPOLLOUT) | bit(hangup, libc::EPOLLRDHUP)
            }
            For::Arrivals => libc::EPOLLIN | libc::EPOLLET,
        };
        events as u32
    }
}

/// A descriptor in the set, under the number by which the kernel has it there.
///
/// It serves to take that descriptor out of the set, as long as it is open: later the number may be another's.
#[derive(Debug)]
pub(crate) struct Watched(RawFd);

/// Most keys that one look tells. Chosen, not tuned: 768 bytes on the stack.
pub(crate) const MOST: usize = 64;

/// The keys of what is ready.
pub(crate) struct Keys {
    events: [libc::epoll_event; MOST],
    count: usize,
}

impl Keys {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.events.iter().take(self.count).map(|event| event.u64)
    }
}

impl Epoll {
    /// An empty set; close-on-exec, and not on 0, 1 or 2. `epoll_create1(2)`
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: a plain call.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: just made, and nothing else owns it.
        Ok(Epoll(fd::keep_above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })?))
    }

    /// Puts a descriptor into the set, once. What is ready already is told by the next look, also to a thread that is waiting.
    ///
    /// The kernel has it in the set until the *file* is closed everywhere. So it is taken out before it is closed here: a duplicate in
    /// a message or in another process would go on being told of, and nobody could take it out any more.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, what: For, key: u64) -> io::Result<Watched> {
        let mut event = libc::epoll_event { events: what.events(), u64: key };
        // SAFETY: both descriptors are open, and the kernel reads one event.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event) })?;
        Ok(Watched(fd.as_raw_fd()))
    }

    /// Takes a descriptor out. It must still be open.
    pub(crate) fn remove(&self, watched: &Watched) {
        // It is there, so there is nothing to report.
        // SAFETY: a plain call; since Linux 2.6.9 it takes no event.
        let _ = check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, watched.0, std::ptr::null_mut()) });
    }

    /// Tells what is ready; with `block`, waits until something is. A signal does not end it. `epoll_wait(2)`
    ///
    /// Where more is ready than one look tells, the next look tells others first.
    pub(crate) fn look(&self, block: bool) -> io::Result<Keys> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MOST];
        let timeout = if block { -1 } else { 0 };
        loop {
            // SAFETY: there is room for as many events as the call is told.
            match check(unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), MOST as libc::c_int, timeout) }) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(|count| Keys { events, count: usize::try_from(count).unwrap_or(0) }),
            }
        }
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
