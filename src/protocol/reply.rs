//! An answer that is given later.

use super::Protocol;
use super::connection::{Connection, Open};
use super::message::{CallFault, CallId};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// The duty to answer one call of a `#[later]` method, from any thread and at any time.
///
/// It is used once, by [`send`](Reply::send). Dropped without that, the caller gets [`CallError::Unanswered`](super::CallError::Unanswered).
#[must_use = "dropped without an answer, the caller gets an error"]
pub struct Reply<P: Protocol, T> {
    connection: Arc<Connection<P>>,
    id: Option<CallId>,
    open: Arc<Open>,
    wrap: fn(T) -> P::Reply,
    handling: Arc<Handling>,
}

/// Whether the handler that got the reply still runs. A panic in it drops the reply before it is known what the panic says.
pub(super) struct Handling {
    thread: ThreadId,
    running: AtomicBool,
    dropped: AtomicBool,
}

impl Handling {
    /// Called when the handler has ended: whether it panicked with the reply in its hands.
    pub(super) fn has_ended_without_reply(&self) -> bool {
        self.running.store(false, Ordering::Relaxed);
        self.dropped.load(Ordering::Relaxed)
    }
}

impl<P: Protocol, T> Reply<P, T> {
    pub(super) fn new(
        connection: Arc<Connection<P>>,
        id: Option<CallId>,
        open: Arc<Open>,
        wrap: fn(T) -> P::Reply,
    ) -> (Reply<P, T>, Arc<Handling>) {
        let handling = Handling { thread: thread::current().id(), running: AtomicBool::new(true), dropped: AtomicBool::new(false) };
        let handling = Arc::new(handling);
        (Reply { connection, id, open, wrap, handling: Arc::clone(&handling) }, handling)
    }

    /// Answers the call. Never waits: where there is no room, the service's loop sends it as soon as there is.
    ///
    /// An answer that nobody waits for any more is dropped, and what it carries closed.
    pub fn send(mut self, answer: T) {
        if let Some(id) = self.id.take() {
            self.connection.answer(id, &self.open, Ok((self.wrap)(answer)));
        }
    }

    /// Whether the caller still waits, as far as the service's loop has read.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.open.is_wanted()
    }

    /// When the caller gives up, if ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.open.deadline
    }

    /// How long the caller will still wait, if not for ever.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.open.remaining()
    }
}

impl<P: Protocol, T> Drop for Reply<P, T> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let Handling { thread, running, dropped } = &*self.handling;
        if thread::panicking() && *thread == thread::current().id() && running.load(Ordering::Relaxed) {
            dropped.store(true, Ordering::Relaxed);
        } else {
            self.connection.answer(id, &self.open, Err(CallFault::Unanswered));
        }
    }
}

impl<P: Protocol, T> fmt::Debug for Reply<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("protocol", &P::NAME).field("id", &self.id).finish_non_exhaustive()
    }
}
