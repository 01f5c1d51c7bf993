//! What a handler is told of a call, and what the generated code does with it.

use super::Protocol;
use super::connection::{Accepted, Connection, Open};
use super::message::{CallFault, CallId};
use super::reply::Reply;
use super::stream::{Feed, Stream};
use crate::codec::field::Field;
use crate::error::panic_text;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which client of a service: numbered from 0 in the order in which the services of this process were given their channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub(super) u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The call that is being handled: who called, and for how long the answer is wanted.
pub struct Call<'a> {
    client: ClientId,
    open: &'a Open,
    /// Not to be sent to another thread: looking may read, and only the loop's own thread does.
    look: &'a dyn Fn(),
}

impl Call<'_> {
    /// Which client called.
    #[must_use]
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// When the caller gives up, if ever: what remained of its time when it sent the call, counted from when the call was read.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.open.deadline
    }

    /// How long the caller will still wait, if not for ever.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.open.remaining()
    }

    /// Whether the caller still waits: it has not cancelled the call, its time is not over, and it is not gone. Never waits, and may
    /// read on to find out.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        (self.look)();
        self.open.is_wanted()
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("client", &self.client).field("deadline", &self.open.deadline).finish_non_exhaustive()
    }
}

/// A call on its way from the loop to its handler: used by generated code.
///
/// Dropped without being answered, and after a panic of the handler, the caller gets an error.
pub struct Incoming<'a, P: Protocol> {
    connection: &'a Arc<Connection<P>>,
    /// None for a message that is not answered.
    id: Option<CallId>,
    open: Arc<Open>,
    /// Somebody else has the duty to answer.
    kept: bool,
}

impl<'a, P: Protocol> Incoming<'a, P> {
    pub(super) fn new(connection: &'a Arc<Connection<P>>, call: Accepted<P::Request>) -> (P::Request, Self) {
        let Accepted { id, open, request } = call;
        (request, Incoming { connection, id, open, kept: false })
    }

    /// Calls a handler that returns the answer.
    pub fn answer(self, handler: impl FnOnce(&Call<'_>) -> P::Reply) {
        if let Some(reply) = self.run(handler) {
            self.end(Ok(reply));
        }
    }

    /// Calls a handler that gives no answer.
    pub fn note(self, handler: impl FnOnce(&Call<'_>)) {
        let _ = self.run(handler);
    }

    /// Answers with a stream, and then calls the handler with its other end.
    pub fn stream<T: Field, E: Field>(self, wrap: fn(Stream<T, E>) -> P::Reply, handler: impl FnOnce(&Call<'_>, Feed<T, E>)) {
        match Stream::pair() {
            Ok((feed, stream)) => {
                self.end(Ok(wrap(stream)));
                // Of a panic, the reader of the stream learns that it was cut short.
                let _ = self.run(|call| handler(call, feed));
            }
            Err(error) => self.end(Err(CallFault::Unable(error.to_string()))),
        }
    }

    /// Calls a handler that answers when it likes.
    pub fn later<T>(mut self, wrap: fn(T) -> P::Reply, handler: impl FnOnce(&Call<'_>, Reply<P, T>)) {
        if let Err(error) = self.connection.others_act() {
            return self.end(Err(CallFault::Unable(error.to_string())));
        }
        let (reply, handling) = Reply::new(Arc::clone(self.connection), self.id, Arc::clone(&self.open), wrap);
        let _ = self.run(|call| handler(call, reply));
        // It answers, now or later, unless a panic in the handler has dropped it.
        self.kept = !handling.has_ended_without_reply();
    }

    /// Runs a handler; of a panic the caller is told.
    fn run<T>(&self, handler: impl FnOnce(&Call<'_>) -> T) -> Option<T> {
        let look = || self.connection.look();
        let call = Call { client: self.connection.client, open: &self.open, look: &look };
        match catch_unwind(AssertUnwindSafe(|| handler(&call))) {
            Ok(value) => Some(value),
            Err(payload) => {
                self.end(Err(CallFault::Panicked(panic_text(payload))));
                None
            }
        }
    }

    fn end(&self, outcome: Result<P::Reply, CallFault>) {
        if let Some(id) = self.id {
            self.connection.answer(id, &self.open, outcome);
        }
    }
}

impl<P: Protocol> Drop for Incoming<'_, P> {
    fn drop(&mut self) {
        if !self.kept {
            self.end(Err(CallFault::Unanswered));
        }
    }
}

impl<P: Protocol> fmt::Debug for Incoming<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("client", &self.connection.client).field("id", &self.id).finish_non_exhaustive()
    }
}
