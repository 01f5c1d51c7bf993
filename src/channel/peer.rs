//! What an end knows of the process at its other end: that it is a child, whose death ends the channel also where somebody else still
//! holds its end; and that it is another program, which says hello first.
//!
//! Waiting here is an attempt without waiting, then `ppoll` on the socket and on the child's pidfd, then another attempt. What the child
//! had sent is in the socket before its pidfd says that it has ended, so the last attempt finds it.

use super::hello::{Agreed, Greeting, Look};
use crate::error::{Fault, HelloError, SendFault, SystemError};
use crate::limits::Limits;
use crate::sys::poll::{self, Interest, Ready};
use crate::sys::socket;
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

/// How many packets an operation takes that must not wait, before it says that there is nothing. Chosen, not tuned.
const AT_ONCE: usize = 16;

impl Peer {
    pub(crate) fn new(child: Option<Arc<OwnedFd>>, mut greeting: Option<Greeting>) -> Peer {
        greeting.iter_mut().for_each(Greeting::start_clock);
        Peer { child, over: AtomicBool::new(false), greeting }
    }

    /// The child's pidfd.
    pub(super) fn child(&self) -> Option<&Arc<OwnedFd>> {
        self.child.as_ref()
    }

    /// Whether the child has ended.
    pub(super) fn has_ended(&self) -> bool {
        let ended = |child: &Arc<OwnedFd>| poll::ready(child.as_fd(), Interest::Read, Some(Instant::now())).unwrap_or(false);
        self.child.as_ref().is_some_and(ended)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Whether it is not known yet what came of meeting the other program.
    pub(super) fn is_meeting(&self) -> bool {
        self.greeting.as_ref().is_some_and(|greeting| !greeting.is_over())
    }

    /// Whether the other program has not said hello yet, as far as a look can tell.
    pub(super) fn is_hello_pending(&self, socket: BorrowedFd<'_>) -> bool {
        self.greeting.as_ref().is_some_and(|greeting| !self.is_over() && self.meet(greeting, socket, Wait::Not).is_err())
    }

    /// The receiving half of this end goes: after this no hello will be heard.
    pub(super) fn stop_listening(&self, socket: BorrowedFd<'_>) {
        if self.is_hello_pending(socket) {
            self.greeting.iter().for_each(Greeting::stop_listening);
        }
    }

    /// What it takes until something may be sent, and by when that is known: where the other program's schemas are to come first, that is
    /// something to read.
    pub(super) fn before_sending(&self, wanted: Ready, deadline: Option<Instant>) -> (Ready, Option<Instant>) {
        match self.greeting.as_ref().filter(|_| wanted.write).and_then(Greeting::exchanging) {
            Some((sent, until)) => (Ready { read: true, write: !sent, ..wanted }, [deadline, until].into_iter().flatten().min()),
            None => (wanted, deadline),
        }
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
        let (mut ended, mut looks) = (false, 0);
        while !self.is_over() {
            match attempt(&limits, Wait::Not) {
                // A look that takes many parts stops before there is nothing. All looks take more of them than a queue holds.
                Err(NotReceived::Empty) if ended && looks < AT_ONCE && is_anything_queued(socket)? => looks += 1,
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

    /// What a message may be that is sent now. A hello that has come is heard, so that who only sends learns of it too; one that has not is not
    /// waited for, but nothing is sent to a program whose types are known to be others.
    pub(super) fn limits(&self, socket: BorrowedFd<'_>, limits: &Limits, wait: Wait) -> Result<Limits, NotSent> {
        let Some(greeting) = &self.greeting else { return Ok(*limits) };
        match self.listen(greeting, socket, wait, false)? {
            Heard::Met(Ok(agreed)) => Ok(agreed.within(limits)),
            Heard::Met(Err(error)) => Err(SendFault::Hello(error.clone()).into()),
            Heard::Nothing => Ok(*limits),
            Heard::TimeOver => Err(NotSent::Full),
            Heard::Closed => Err(NotSent::Closed),
        }
    }

    pub(super) fn send(&self, socket: BorrowedFd<'_>, wait: Wait, attempt: impl Fn(Wait) -> Result<(), NotSent>) -> Result<(), NotSent> {
        while !self.is_over() {
            let pending = self.greeting.as_ref().filter(|greeting| !greeting.is_over());
            if self.child.is_none() && pending.is_none() {
                return attempt(wait);
            }
            match attempt(Wait::Not) {
                Err(NotSent::Full) => {
                    // What may come is a hello, and that it does not come in time is one answer too.
                    let (interest, until) = match pending {
                        Some(greeting) => (Interest::Both, wait.until_at_most(greeting.deadline())),
                        None => (Interest::Write, wait),
                    };
                    match self.wait(socket, interest, until)? {
                        Woken::Ready => {}
                        Woken::ChildEnded => return Err(self.why_closed(socket)),
                        // The kernel calls a queue writable when three quarters of it are free, and takes a packet long before that.
                        Woken::TimeOver if wait.is_over() && matches!(wait, Wait::Until(_)) => return attempt(Wait::Not),
                        Woken::TimeOver if wait.is_over() => return Err(NotSent::Full),
                        Woken::TimeOver => {}
                    }
                    if pending.is_some() {
                        self.limits(socket, &Limits::new(), wait)?;
                    }
                }
                Err(NotSent::Closed) => return Err(self.why_closed(socket)),
                result => return result,
            }
        }
        Err(NotSent::Closed)
    }

    /// That the other program is gone, or what it said before it went.
    fn why_closed(&self, socket: BorrowedFd<'_>) -> NotSent {
        match self.greeting.as_ref().map(|greeting| self.meet(greeting, socket, Wait::Not)) {
            Some(Ok(Err(error))) => SendFault::Hello(error.clone()).into(),
            _ => NotSent::Closed,
        }
    }

    /// Waits for the other program's hello, if one is expected.
    pub(super) fn ready(&self, socket: BorrowedFd<'_>, wait: Wait) -> Result<(), NotReceived> {
        match self.greeting.as_ref().map(|greeting| self.meet(greeting, socket, wait)).transpose()? {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(Fault::Hello(error.clone()).into()),
        }
    }

    /// The same, and what came of it.
    fn meet<'a>(&self, greeting: &'a Greeting, socket: BorrowedFd<'_>, wait: Wait) -> Result<&'a Result<Agreed, HelloError>, NotReceived> {
        match self.listen(greeting, socket, wait, true)? {
            Heard::Met(outcome) => Ok(outcome),
            Heard::Nothing | Heard::TimeOver => Err(NotReceived::Empty),
            Heard::Closed => Err(NotReceived::Closed),
        }
    }

    /// Looks for the other program's hello, and waits for it if that is `patient`; for its schemas, where they are due, it waits in any case.
    fn listen<'a>(&self, greeting: &'a Greeting, socket: BorrowedFd<'_>, wait: Wait, patient: bool) -> Result<Heard<'a>, SystemError> {
        let (mut ended, mut taken) = (false, 0);
        loop {
            if self.is_over() {
                return Ok(Heard::Closed);
            }
            let (interest, until) = match greeting.look(socket, || ended || self.has_ended()) {
                Ok(Look::Met(outcome)) => return Ok(Heard::Met(outcome)),
                Ok(Look::Heard) => {
                    taken += 1;
                    if taken >= AT_ONCE && wait.is_over() {
                        return Ok(Heard::TimeOver);
                    }
                    continue;
                }
                Ok(Look::Nothing) if ended => {
                    self.over.store(true, Ordering::Relaxed);
                    return Ok(Heard::Closed);
                }
                Ok(Look::Nothing) if !patient => return Ok(Heard::Nothing),
                Ok(Look::Nothing) => (Interest::Read, greeting.deadline()),
                Ok(Look::Differs { sent, until }) => (if sent { Interest::Read } else { Interest::Both }, until),
                Err(NotReceived::Closed) => {
                    self.over.store(true, Ordering::Relaxed);
                    return Ok(Heard::Closed);
                }
                Err(NotReceived::Empty) => return Ok(Heard::TimeOver),
                Err(NotReceived::Fault(fault)) => match *fault {
                    Fault::System(error) => return Err(error),
                    _ => return Ok(Heard::Nothing),
                },
            };
            match self.wait(socket, interest, wait.until_at_most(until))? {
                Woken::Ready => {}
                Woken::ChildEnded => ended = true,
                Woken::TimeOver if wait.is_over() => return Ok(Heard::TimeOver),
                // The greeting's time is over, which the next look finds.
                Woken::TimeOver => {}
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

fn is_anything_queued(socket: BorrowedFd<'_>) -> Result<bool, SystemError> {
    socket::queued(socket).map(|bytes| bytes > 0).map_err(SystemError::in_call("ioctl"))
}

/// What listening for a hello came to.
enum Heard<'a> {
    Met(&'a Result<Agreed, HelloError>),
    Nothing,
    TimeOver,
    Closed,
}
