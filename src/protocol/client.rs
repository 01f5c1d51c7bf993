//! The client: calls from any number of threads over one channel, and no thread of its own.
//!
//! Of the callers that wait, one receives for all ([`table`](super::table)). A caller that has no room to send receives meanwhile, so that a
//! service that has no room to answer gets on too: neither side ever only sends.

use super::error::CallError;
use super::message::{Asked, CallFault, CallId, Envelope, Request, Response, noting};
use super::pending::Pending;
use super::table::{Answered, Event, Table};
use super::{ClientEnd, Protocol};
use crate::channel::{Channel, End, Ready};
use crate::codec::field::{Field, part};
use crate::error::SendTimeoutError;
use crate::limits::Limits;
use crate::schema::Schema;
use crate::schema::constant::Kind;
use crate::transport::{NotReceived, NotSent, Wait};
use serde::{Deserializer, Serializer, ser};
use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The most messages that a caller receives before it looks at the time again. Chosen, not tuned.
const AT_ONCE: usize = 64;

/// What the client of a protocol is made of: the channel, the calls under way, and how long to wait. Clones share the first two.
pub struct Caller<P: Protocol> {
    shared: Arc<Shared<P>>,
    patience: Patience,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
enum Patience {
    Endless,
    Each(Duration),
    Until(Instant),
}

pub(super) struct Shared<P: Protocol> {
    end: Arc<End>,
    limits: Limits,
    table: Mutex<Table<P::Reply>>,
}

impl<P: Protocol> Caller<P> {
    /// A client on this channel, whose calls wait as long as it takes.
    pub fn new(channel: ClientEnd<P>) -> Caller<P> {
        let shared = Shared { end: Arc::clone(channel.end()), limits: channel.limits(), table: Mutex::new(Table::new()) };
        Caller { shared: Arc::new(shared), patience: Patience::Endless }
    }

    /// The same client, each of whose calls waits this long at most: for room to send it, and for its answer.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Caller<P> {
        Caller { shared: Arc::clone(&self.shared), patience: Patience::Each(timeout) }
    }

    /// The same client, whose calls wait until then at most.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Caller<P> {
        Caller { shared: Arc::clone(&self.shared), patience: Patience::Until(deadline) }
    }

    /// Whether the service is gone, or takes no more calls. Never waits; one system call.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.end.is_deaf()
    }

    /// Sends a call. `take` finds its answer in the enum of all answers.
    pub fn start<T, E>(&self, request: P::Request, take: fn(P::Reply) -> Option<Result<T, E>>) -> Pending<P, T, E> {
        let deadline = self.deadline();
        Pending::new(Arc::clone(&self.shared), self.shared.begin(request, deadline), deadline, take)
    }

    /// Sends a call and waits for its answer.
    ///
    /// # Errors
    ///
    /// Every [`CallError`] but `Cancelled`.
    pub fn call<T, E>(&self, request: P::Request, take: fn(P::Reply) -> Option<Result<T, E>>) -> Result<T, CallError<E>> {
        self.start(request, take).wait()
    }

    /// Sends a call that is not answered.
    ///
    /// # Errors
    ///
    /// `NotSent`.
    pub fn notify(&self, request: P::Request) -> Result<(), CallError> {
        self.shared.send(&Request(Envelope::OneWay { request: Asked(request) }), self.deadline()).map_err(CallError::NotSent)
    }

    fn deadline(&self) -> Option<Instant> {
        match self.patience {
            Patience::Endless => None,
            // Beyond the end of the clock is for ever.
            Patience::Each(timeout) => Instant::now().checked_add(timeout),
            Patience::Until(deadline) => Some(deadline),
        }
    }
}

impl<P: Protocol> Shared<P> {
    pub(super) fn lock(&self) -> MutexGuard<'_, Table<P::Reply>> {
        // Nothing of the user's runs under the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, request: P::Request, deadline: Option<Instant>) -> Result<CallId, CallError> {
        let id = self.lock().begin().ok_or(CallError::NotSent(SendTimeoutError::Closed(())))?;
        let remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let call = Request(Envelope::Call { id, remaining, request: Asked(request) });
        let unsent = Unsent(self, id);
        self.send(&call, deadline).map_err(CallError::NotSent)?;
        std::mem::forget(unsent);
        Ok(id)
    }

    /// Sends; while there is no room, receives.
    fn send(&self, message: &Request<P::Request>, deadline: Option<Instant>) -> Result<(), SendTimeoutError> {
        loop {
            let last = deadline.is_some_and(|deadline| deadline <= Instant::now());
            match self.end.send(message, &self.limits, Wait::Not) {
                Ok(()) => return Ok(()),
                Err(NotSent::Full) if last => return Err(SendTimeoutError::Timeout(())),
                Err(NotSent::Full) => {}
                Err(NotSent::Closed) => return Err(SendTimeoutError::Closed(())),
                Err(NotSent::Fault(fault)) => return Err(SendTimeoutError::Fault((), *fault)),
            }
            let drained = self.drain();
            let ready = self.end.wait(Ready::EITHER, None, deadline).map_err(|error| SendTimeoutError::Fault((), error.into()))?;
            if ready.read && !drained {
                // For the one who reads.
                thread::yield_now();
            }
        }
    }

    /// Receives what is there, or a part of it; `false` if somebody else does.
    fn drain(&self) -> bool {
        if !self.lock().read() {
            return false;
        }
        let reader = Reader(self);
        // A service that never stops sending keeps nobody beyond his time.
        let _ = (0..AT_ONCE).all(|_| reader.step(Wait::Not));
        true
    }

    /// Waits for the answer to a call until it is there or the time is over: `None`. A message to `interrupt` also makes it look again.
    pub(super) fn wait(&self, id: CallId, deadline: Option<Instant>, interrupt: Option<BorrowedFd<'_>>) -> Option<Answered<P::Reply>> {
        let mut table = self.lock();
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let found = table.take(id);
            if found.is_some() || left.is_some_and(|left| left.is_zero()) {
                // Perhaps it was this caller that was woken to read.
                table.pass_on();
                return found.or_else(|| {
                    // What has arrived was in time, if nobody had the time to look.
                    drop(table);
                    self.drain();
                    self.lock().take(id)
                });
            }
            if table.read() {
                drop(table);
                let reader = Reader(self);
                match interrupt {
                    None => _ = reader.step(deadline.map_or(Wait::Forever, Wait::Until)),
                    Some(interrupt) => {
                        let waited =
                            if reader.step(Wait::Not) { Ok(Ready::READ) } else { self.end.wait(Ready::READ, Some(interrupt), deadline) };
                        if let Err(error) = waited {
                            reader.settle(Event::Garbled(CallError::Fault(Arc::new(error.into()))));
                        }
                    }
                }
                table = reader.back();
            } else {
                table.sleeps(id, thread::current());
                drop(table);
                left.map_or_else(thread::park, thread::park_timeout);
                table = self.lock();
                table.woke(id);
            }
        }
    }

    /// The answer to a call is no longer wanted; the service is told, if there is room for telling.
    pub(super) fn cancel(&self, id: CallId) {
        if self.forget(id) {
            self.tell_cancelled(id);
        }
    }

    pub(super) fn tell_cancelled(&self, id: CallId) {
        let _ = self.end.send(&Request::<P::Request>(Envelope::Cancel { id }), &self.limits, Wait::Not);
    }

    /// Whether an answer was still to come.
    fn forget(&self, id: CallId) -> bool {
        let (awaited, answer) = self.lock().end(id);
        drop(answer);
        awaited
    }
}

/// A call that has a number and is not sent yet. Dropped, also by a panic of a type's own `Serialize`, it is none.
struct Unsent<'a, P: Protocol>(&'a Shared<P>, CallId);

impl<P: Protocol> Drop for Unsent<'_, P> {
    fn drop(&mut self) {
        self.0.forget(self.1);
    }
}

/// The caller that receives for all. Dropped, also by a panic of a type's own `Deserialize`, it makes way for another.
struct Reader<'a, P: Protocol>(&'a Shared<P>);

impl<'a, P: Protocol> Reader<'a, P> {
    /// Receives one message and puts it where it belongs; `false` if there was none.
    fn step(&self, wait: Wait) -> bool {
        let event = self.receive(wait);
        let some = !matches!(event, Event::Nothing | Event::Closed);
        self.settle(event);
        some
    }

    fn settle(&self, event: Event<P::Reply>) {
        let late = self.0.lock().settle(event);
        // Without the lock: what it carries may take its time to close.
        drop(late);
    }

    fn receive(&self, wait: Wait) -> Event<P::Reply> {
        let (received, note) = noting(|| self.0.end.receive::<Response<P::Reply>>(&self.0.limits, wait));
        match received {
            Ok(Response(response)) => Event::Answer(response.id, response.outcome.map_err(CallError::from)),
            Err(NotReceived::Empty) => Event::Nothing,
            Err(NotReceived::Closed) => Event::Closed,
            Err(NotReceived::Fault(fault)) => {
                let error = CallError::Fault(Arc::new(*fault));
                match note.id {
                    Some(id) => Event::Answer(id, Err(error)),
                    None => Event::Garbled(error),
                }
            }
        }
    }

    /// Ends being the reader, and has the table at once, so that the same caller may go on.
    fn back(self) -> MutexGuard<'a, Table<P::Reply>> {
        let mut table = self.0.lock();
        table.stop_reading();
        std::mem::forget(self);
        table
    }
}

impl<P: Protocol> Drop for Reader<'_, P> {
    fn drop(&mut self) {
        let mut table = self.0.lock();
        table.stop_reading();
        table.pass_on();
    }
}

impl CallFault {
    /// What is told of a message that is no call.
    pub(super) fn malformed(error: &dyn std::error::Error) -> CallFault {
        CallFault::Malformed(error.to_string())
    }
}

impl<P: Protocol> Clone for Caller<P> {
    fn clone(&self) -> Caller<P> {
        Caller { shared: Arc::clone(&self.shared), patience: self.patience }
    }
}

impl<P: Protocol> fmt::Debug for Caller<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("protocol", &P::NAME).field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// A client is an argument or a result of a method as any end of a channel is: the only copy of it, with no call under way.
impl<P: Protocol> Field for Caller<P> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Same(part::<ClientEnd<P>>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if Arc::strong_count(&self.shared) > 1 || !self.shared.lock().is_empty() {
            return Err(ser::Error::custom("a client that has copies, or calls under way, cannot be sent: their answers would be lost"));
        }
        self.shared.end.put(false, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Channel<_, _> as Field>::deserialize(deserializer).map(Caller::new)
    }
}
