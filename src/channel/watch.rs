//! The end of a channel to a child, which ends when the child does, also where somebody else still holds its end.
//!
//! Waiting here is an attempt without waiting, then `ppoll` on the socket and on the child's pidfd, then another attempt. What the child
//! had sent is in the socket before its pidfd says that it has ended, so the last attempt finds it.

use crate::error::SystemError;
use crate::sys::poll::{self, Interest};
use crate::transport::{NotReceived, NotSent, Wait};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A child's pidfd beside the socket to it.
#[derive(Debug)]
pub(super) struct Watch {
    pidfd: Arc<OwnedFd>,
    /// The child has ended and all that it sent has been received; whoever else holds its end is not listened to any more.
    over: AtomicBool,
}

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Ready,
    ChildEnded,
    TimeOver,
}

impl Watch {
    pub(super) fn new(pidfd: Arc<OwnedFd>) -> Watch {
        Watch { pidfd, over: AtomicBool::new(false) }
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Whether the child has ended.
    pub(super) fn has_ended(&self) -> bool {
        poll::ready(self.pidfd.as_fd(), Interest::Read, Some(Instant::now())).unwrap_or(false)
    }

    pub(super) fn receive<T>(
        &self,
        socket: BorrowedFd<'_>,
        wait: Wait,
        attempt: impl Fn() -> Result<T, NotReceived>,
    ) -> Result<T, NotReceived> {
        let mut ended = false;
        while !self.over.load(Ordering::Relaxed) {
            match attempt() {
                Err(NotReceived::Empty) if ended => self.over.store(true, Ordering::Relaxed),
                Err(NotReceived::Empty) => match self.wait(socket, Interest::Read, wait)? {
                    Woken::Ready => {}
                    Woken::ChildEnded => ended = true,
                    Woken::TimeOver => return Err(NotReceived::Empty),
                },
                result => return result,
            }
        }
        Err(NotReceived::Closed)
    }

    pub(super) fn send(&self, socket: BorrowedFd<'_>, wait: Wait, attempt: impl Fn() -> Result<(), NotSent>) -> Result<(), NotSent> {
        while !self.over.load(Ordering::Relaxed) {
            match attempt() {
                Err(NotSent::Full) => match self.wait(socket, Interest::Write, wait)? {
                    Woken::Ready => {}
                    Woken::ChildEnded => return Err(NotSent::Closed),
                    // The kernel calls a queue writable when three quarters of it are free, and takes a packet long before that.
                    Woken::TimeOver if matches!(wait, Wait::Until(_)) => return attempt(),
                    Woken::TimeOver => return Err(NotSent::Full),
                },
                result => return result,
            }
        }
        Err(NotSent::Closed)
    }

    fn wait(&self, socket: BorrowedFd<'_>, interest: Interest, wait: Wait) -> Result<Woken, SystemError> {
        let deadline = match wait {
            Wait::Not => return Ok(if self.has_ended() { Woken::ChildEnded } else { Woken::TimeOver }),
            Wait::Forever => None,
            Wait::Until(deadline) => Some(deadline),
        };
        let found = poll::either(socket, interest, self.pidfd.as_fd(), deadline).map_err(SystemError::in_call("ppoll"))?;
        Ok(match found {
            [_, true] => Woken::ChildEnded,
            [true, false] => Woken::Ready,
            [false, false] => Woken::TimeOver,
        })
    }
}
