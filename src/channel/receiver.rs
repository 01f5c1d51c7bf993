//! The receiving end of a one-way channel, or the receiving half of a split one.

use super::end::{End, Half, OneReader};
use super::verbs::receiving_verbs;
use super::waiting::Waiting;
use crate::error::{AdoptError, IntoFdError};
use crate::limits::Limits;
use crate::sys::socket::Direction;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The end that receives messages of type `T`: made by [`channel`](super::channel) or [`Channel::split`](super::Channel::split).
///
/// There is one: two would take each other's messages. It can move to another thread, be captured by a fork, and travel in a message
/// as a field; half of a split channel does not travel. Dropping it makes every further send fail.
#[must_use = "the channel ends when its receiver is dropped"]
pub struct Receiver<T> {
    half: Arc<Half>,
    limits: Limits,
    messages: PhantomData<fn() -> T>,
    /// Not `Sync`: two threads would take each other's messages.
    one_reader: PhantomData<OneReader>,
}

impl<T> Receiver<T> {
    pub(super) fn whole(end: End) -> Receiver<T> {
        Receiver::of(Arc::new(Half::whole(end, Direction::Receive)), Limits::default())
    }

    pub(super) fn split(end: &Arc<End>, limits: Limits) -> Receiver<T> {
        Receiver::of(Arc::new(Half::split(end, Direction::Receive)), limits)
    }

    fn of(half: Arc<Half>, limits: Limits) -> Receiver<T> {
        Receiver { half, limits, messages: PhantomData, one_reader: PhantomData }
    }

    pub(super) fn half(&self) -> &Half {
        &self.half
    }

    pub(super) fn end(&self) -> &End {
        self.half.end()
    }

    /// Accepts messages within these limits from now on.
    pub fn with_limits(mut self, limits: Limits) -> Receiver<T> {
        self.limits = limits;
        self
    }

    /// Waits for messages in this way from now on, in this process. What it says stays with this end: it does not travel in a message.
    pub fn with_waiting(self, waiting: Waiting) -> Receiver<T> {
        self.end().waiting.set(waiting);
        self
    }

    /// Whether every sender is gone. Messages that they sent may still wait. Never waits itself; one system call.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.end().is_mute()
    }

    receiving_verbs!(T);
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("fd", &self.as_fd()).finish()
    }
}

/// For waiting on more than one thing, in a [`Select`](crate::select::Select) or in any other poller: poll it **for reading, then call
/// [`try_recv`](Receiver::try_recv) until it says `Empty`** (or `Closed`) before polling again. Readable may be less than a message, and a
/// hang-up is no reason to stop before `Closed`; messages that [it holds already](Receiver::has_buffered) are not seen by a poller. Take it out of an
/// `epoll` before it goes. `docs/readiness.md` has the whole contract.
impl<T> AsFd for Receiver<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end().as_fd()
    }
}

/// Takes a connected unix seqpacket socket, whose other end sends messages of type `T`.
impl<T> TryFrom<OwnedFd> for Receiver<T> {
    type Error = AdoptError;

    fn try_from(fd: OwnedFd) -> Result<Receiver<T>, AdoptError> {
        End::adopt(fd).map(Receiver::whole)
    }
}

/// Gives the socket away, with what waits in it. Half of a split channel cannot become a descriptor.
impl<T> TryFrom<Receiver<T>> for OwnedFd {
    type Error = IntoFdError<Receiver<T>>;

    fn try_from(receiver: Receiver<T>) -> Result<OwnedFd, Self::Error> {
        let limits = receiver.limits;
        Half::into_fd(receiver.half, |half| Receiver::of(half, limits))
    }
}
