//! What an end knows of the process at its other end: that it is a child, whose death ends the channel also where somebody else still
//! holds its end; and that it is another program, which says hello first.
//!
//! Waiting here is an attempt without waiting, then `ppoll` on the socket and on the child's pidfd, then another attempt. What the child
//! had sent is in the socket before its pidfd says that it has ended, so the last attempt finds it.

use super::hello::{Agreed, Greeting, Look};
use crate::error::{Fault, HelloError, SystemError};
use crate::limits::Limits;
use crate::sys::poll::{self, Interest};
use crate::transport::{NotReceived, NotSent, Wait};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The process at the other end, as far as this one knows it.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The pidfd of a child.
    child: Option<Arc<OwnedFd>>,
    /// The child has ended and all that it sent has been received; whoever else holds its end is not listened to any more.
    over: AtomicBool,
    /// Another program's hello, which is expected or has come.
    greeting: Option<Greeting>,
}

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Ready,
    ChildEnded,
    TimeOver,
}

impl Peer {
    pub(crate) fn new(child: Option<Arc<OwnedFd>>, greeting: Option<Greeting>) -> Peer {
        Peer { child, over: AtomicBool::new(false), greeting }
    }

    /// Whether the child has ended.
    pub(super) fn has_ended(&self) -> bool {
        let ended = |child: &Arc<OwnedFd>| poll::ready(child.as_fd(), Interest::Read, Some(Instant::now())).unwrap_or(false);
        self.child.as_ref().is_some_and(ended)
    }

    /// Whether the other program has not said hello yet, as far as one look can tell.
    pub(super) fn is_hello_pending(&self, socket: BorrowedFd<'_>) -> bool {
        self.greeting.as_ref().is_some_and(|greeting| hear(greeting, socket).is_none())
    }

    pub(super) fn receive<T>(
        &self,
        socket: BorrowedFd<'_>,
        limits: &Limits,
        wait: Wait,
        attempt: impl Fn(&Limits, Wait) -> Result<T, NotReceived>,
    ) -> Result<T, NotReceived> {
        let limits = match &self.greeting {
            None => *limits,
            Some(greeting) => match self.meet(greeting, socket, wait)? {
                Ok(agreed) => agreed.within(limits),
                // Told once, and then the end, so that who goes on after faults comes to it.
                Err(error) if greeting.tell() => return Err(Fault::Hello(error.clone()).into()),
                Err(_) => return Err(NotReceived::Closed),
            },
        };
        if self.child.is_none() {
            return attempt(&limits, wait);
        }
        let mut ended = false;
        while !self.over.load(Ordering::Relaxed) {
            match attempt(&limits, Wait::Not) {
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

    /// What a message may be that is sent now. A hello that has come is heard, so that who only sends learns of it too.
    pub(super) fn limits(&self, socket: BorrowedFd<'_>, limits: &Limits) -> Result<Limits, HelloError> {
        match self.greeting.as_ref().and_then(|greeting| hear(greeting, socket)) {
            None => Ok(*limits),
            Some(Ok(agreed)) => Ok(agreed.within(limits)),
            Some(Err(error)) => Err(error.clone()),
        }
    }

    pub(super) fn send(&self, socket: BorrowedFd<'_>, wait: Wait, attempt: impl Fn(Wait) -> Result<(), NotSent>) -> Result<(), NotSent> {
        if self.child.is_none() {
            return attempt(wait);
        }
        while !self.over.load(Ordering::Relaxed) {
            match attempt(Wait::Not) {
                Err(NotSent::Full) => match self.wait(socket, Interest::Write, wait)? {
                    Woken::Ready => {}
                    Woken::ChildEnded => return Err(NotSent::Closed),
                    // The kernel calls a queue writable when three quarters of it are free, and takes a packet long before that.
                    Woken::TimeOver if matches!(wait, Wait::Until(_)) => return attempt(Wait::Not),
                    Woken::TimeOver => return Err(NotSent::Full),
                },
                result => return result,
            }
        }
        Err(NotSent::Closed)
    }

    /// Waits for the other program's hello, if one is expected.
    pub(super) fn ready(&self, socket: BorrowedFd<'_>, wait: Wait) -> Result<(), NotReceived> {
        match self.greeting.as_ref().map(|greeting| self.meet(greeting, socket, wait)).transpose()? {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(Fault::Hello(error.clone()).into()),
        }
    }

    fn meet<'a>(&self, greeting: &'a Greeting, socket: BorrowedFd<'_>, wait: Wait) -> Result<&'a Result<Agreed, HelloError>, NotReceived> {
        let mut ended = false;
        loop {
            match greeting.look(socket, ended)? {
                Look::Met(outcome) => return Ok(outcome),
                Look::Heard => {}
                Look::Nothing if ended => {
                    self.over.store(true, Ordering::Relaxed);
                    return Err(NotReceived::Closed);
                }
                Look::Nothing => match self.wait(socket, Interest::Read, wait.until_at_most(greeting.deadline()))? {
                    Woken::Ready => {}
                    Woken::ChildEnded => ended = true,
                    Woken::TimeOver if wait.is_over() => return Err(NotReceived::Empty),
                    // The greeting's time is over, which the next look finds.
                    Woken::TimeOver => {}
                },
            }
        }
    }

    fn wait(&self, socket: BorrowedFd<'_>, interest: Interest, wait: Wait) -> Result<Woken, SystemError> {
        let deadline = match wait {
            Wait::Not => return Ok(if self.has_ended() { Woken::ChildEnded } else { Woken::TimeOver }),
            Wait::Forever => None,
            Wait::Until(deadline) => Some(deadline),
        };
        let found = match &self.child {
            Some(child) => poll::either(socket, interest, child.as_fd(), deadline),
            None => poll::ready(socket, interest, deadline).map(|ready| [ready, false]),
        };
        Ok(match found.map_err(SystemError::in_call("ppoll"))? {
            [_, true] => Woken::ChildEnded,
            [true, false] => Woken::Ready,
            [false, false] => Woken::TimeOver,
        })
    }
}

/// What the other program's hello came to, if it has come.
fn hear<'a>(greeting: &'a Greeting, socket: BorrowedFd<'_>) -> Option<&'a Result<Agreed, HelloError>> {
    loop {
        match greeting.look(socket, false) {
            Ok(Look::Met(outcome)) => return Some(outcome),
            Ok(Look::Heard) => {}
            // Whatever is wrong with the socket, the operation itself will say.
            Ok(Look::Nothing) | Err(_) => return None,
        }
    }
}
