//! What an end has received and nobody has taken from it: the rest of a batch, and a fault that stands behind messages already handed out.
//!
//! It lives in this end's memory alone: no poller sees it, and it goes with no descriptor. So whoever waits for the end, or gives it away, asks
//! here first, which is one load of an atomic, and those that the end is registered with are told when there is something and when there is
//! no more.

use super::source::Registered;
use crate::codec;
use crate::error::{Fault, SystemError};
use crate::limits::Limits;
use crate::packet::Body;
use crate::wire;
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Whether anything is held. Changed under the lock only.
    occupied: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Taken first. Boxed, because there is hardly ever one.
    fault: Option<Box<Fault>>,
    /// A batch's body.
    batch: Option<Body>,
    /// How much of it has been taken.
    taken: usize,
}

/// The one who puts in or takes out. Messages are decoded under the lock: a `Deserialize` that receives on the very end that its message came
/// on is refused, and one that panics loses its own message only.
pub(super) struct Turn<'a> {
    inbox: &'a Inbox,
    registered: &'a Registered,
    held: MutexGuard<'a, Held>,
    /// Whether anything was held before.
    before: bool,
}

impl Inbox {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.occupied.load(Ordering::Relaxed)
    }

    pub(super) fn turn<'a>(&'a self, registered: &'a Registered) -> Result<Turn<'a>, Fault> {
        let held = match self.held.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let why = "a message of this end is being decoded";
                let source = io::Error::new(ErrorKind::ResourceBusy, why);
                return Err(SystemError { call: "receiving within a `Deserialize`", source }.into());
            }
        };
        Ok(Turn { inbox: self, registered, held, before: !self.is_empty() })
    }

    /// Throws away what is held.
    pub(super) fn clear(&self, registered: &Registered) {
        if let Ok(mut turn) = self.turn(registered) {
            *turn.held = Held::default();
        }
    }
}

impl Turn<'_> {
    /// Puts a batch into an inbox that holds none.
    pub(super) fn put(&mut self, batch: Body) {
        (self.held.batch, self.held.taken) = (Some(batch), 0);
        // While its first message is decoded nobody may receive what comes after the batch, nor another one.
        self.inbox.occupied.store(true, Ordering::Relaxed);
    }

    /// Puts a fault in front of everything.
    pub(super) fn put_fault(&mut self, fault: Box<Fault>) {
        self.held.fault = Some(fault);
    }

    /// Takes the next message, or what is wrong with it; `None` when nothing is left.
    #[inline]
    pub(super) fn next<T: DeserializeOwned>(&mut self, limits: &Limits) -> Option<Result<T, Box<Fault>>> {
        let Held { fault, batch, taken } = &mut *self.held;
        if let Some(fault) = fault.take() {
            return Some(Err(fault));
        }
        let body = batch.as_ref()?.as_slice();
        let left = body.get(*taken..).filter(|left| !left.is_empty())?;
        match wire::batch::split(left) {
            Ok((message, rest)) => {
                *taken = body.len() - rest.len();
                Some(codec::batch::decode(message, limits))
            }
            // Where the next one would begin is not known.
            Err(error) => {
                *taken = body.len();
                Some(Err(Box::new(error.into())))
            }
        }
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        let Held { fault, batch, taken } = &mut *self.held;
        if batch.as_ref().is_some_and(|body| *taken >= body.as_slice().len()) {
            // The thread has its buffer back.
            *batch = None;
        }
        let occupied = fault.is_some() || batch.is_some();
        self.inbox.occupied.store(occupied, Ordering::Relaxed);
        if occupied != self.before {
            self.registered.tell(occupied);
        }
    }
}
