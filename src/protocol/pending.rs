//! A call that has been sent and is waited for later.

use super::Protocol;
use super::client::Shared;
use super::error::CallError;
use super::message::CallId;
use super::table::Answered;
use crate::channel::{Receiver, one_way};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A call under way: made by the `start_…` methods of a client.
///
/// Answers are received by whoever waits for one, so a call that nobody waits for holds no thread, and its answer waits in the channel.
/// Dropping it cancels the call: the service is told, and an answer that comes all the same is dropped with its descriptors, when
/// somebody next receives.
#[must_use = "the call is cancelled when this is dropped: wait for it"]
pub struct Pending<P: Protocol, T, E = Infallible> {
    call: Sent<P>,
    take: fn(P::Reply) -> Option<Result<T, E>>,
    deadline: Option<Instant>,
}

/// A call that is told to the service as cancelled when this is dropped before the answer was taken.
struct Sent<P: Protocol> {
    shared: Arc<Shared<P>>,
    id: CallId,
    /// What is known without waiting: that it was not sent.
    known: Option<CallError>,
    interrupt: Option<Receiver<()>>,
}

impl<P: Protocol, T, E> Pending<P, T, E> {
    pub(super) fn new(
        shared: Arc<Shared<P>>,
        begun: Result<CallId, CallError>,
        deadline: Option<Instant>,
        take: fn(P::Reply) -> Option<Result<T, E>>,
    ) -> Self {
        let (id, known) = begun.map_or_else(|error| (CallId::EVERY, Some(error)), |id| (id, None));
        Pending { call: Sent { shared, id, known, interrupt: None }, take, deadline }
    }

    /// Waits for the answer, as long as the client that sent the call waits.
    ///
    /// # Errors
    ///
    /// Every [`CallError`]. After `TimedOut`, the call is cancelled.
    pub fn wait(mut self) -> Result<T, CallError<E>> {
        match self.call.wait(self.deadline) {
            Some(answered) => self.unpack(answered),
            None => Err(CallError::TimedOut),
        }
    }

    /// Waits at most `timeout`, and gives the call back if there is no answer yet.
    ///
    /// # Errors
    ///
    /// The call itself, which goes on. What came of it is inside `Ok`, as [`wait`](Pending::wait) gives it: `TimedOut` too, when the time of
    /// the client that sent it is over.
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<Result<T, CallError<E>>, Self> {
        let until = Instant::now().checked_add(timeout);
        let first = [until, self.deadline].into_iter().flatten().min();
        match self.call.wait(first) {
            Some(answered) => Ok(self.unpack(answered)),
            None if first == self.deadline => Ok(Err(CallError::TimedOut)),
            None => Err(self),
        }
    }

    /// Something by which another thread can cancel the call while this one waits. It holds two descriptors until both are dropped.
    ///
    /// # Errors
    ///
    /// What the kernel says: no descriptor is free, or no memory.
    pub fn canceller(&mut self) -> io::Result<Canceller> {
        let (interrupt, receiver) = one_way::<()>()?;
        self.call.interrupt = Some(receiver);
        let (shared, id) = (Arc::clone(&self.call.shared), self.call.id);
        let cancel = move || {
            if shared.lock().cancel(id) {
                shared.tell_cancelled(id);
                // A sleeping caller has been woken; one that receives looks at this.
                let _ = interrupt.try_send(());
            }
        };
        Ok(Canceller { cancel: Arc::new(cancel) })
    }

    fn unpack(self, answered: Answered<P::Reply>) -> Result<T, CallError<E>> {
        let reply = answered.map_err(|error| error.map_answer(|never| match never {}))?;
        (self.take)(reply).ok_or(CallError::Mismatched)?.map_err(CallError::Answer)
    }
}

impl<P: Protocol> Sent<P> {
    fn wait(&mut self, deadline: Option<Instant>) -> Option<Answered<P::Reply>> {
        match self.known.take() {
            Some(error) => Some(Err(error)),
            None => self.shared.wait(self.id, deadline, self.interrupt.as_ref().map(AsFd::as_fd)),
        }
    }
}

impl<P: Protocol> Drop for Sent<P> {
    fn drop(&mut self) {
        self.shared.cancel(self.id);
    }
}

impl<P: Protocol, T, E> fmt::Debug for Pending<P, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("protocol", &P::NAME).field("id", &self.call.id.0).finish_non_exhaustive()
    }
}

/// Cancels one call from any thread: made by [`Pending::canceller`].
#[derive(Clone)]
pub struct Canceller {
    cancel: Arc<dyn Fn() + Send + Sync>,
}

impl Canceller {
    /// Cancels the call: whoever waits for it gets [`CallError::Cancelled`] at once, and the service is told. After the answer has come, and
    /// a second time, it does nothing. Never waits.
    pub fn cancel(&self) {
        (self.cancel)();
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canceller")
    }
}
