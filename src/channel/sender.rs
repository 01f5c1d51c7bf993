//! The sending end of a one-way channel, or the sending half of a split one.

use super::buffered::BufferedSender;
use super::end::{End, Half};
use super::verbs::sending_verbs;
use crate::error::{AdoptError, IntoFdError};
use crate::limits::Limits;
use crate::sys::socket::Direction;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The end that sends messages of type `T`: made by [`channel`](super::channel) or [`Channel::split`](super::Channel::split).
///
/// A clone costs no descriptor, and any number of clones, threads and processes may send at once: messages stay whole, and each
/// sender's arrive in its order. The channel ends when the last copy in the last process is gone. A copy travels in messages as a
/// field; half of a split channel does not.
#[must_use = "the channel ends when its last sender is dropped"]
pub struct Sender<T> {
    half: Arc<Half>,
    limits: Limits,
    messages: PhantomData<fn(T)>,
}

impl<T> Sender<T> {
    pub(super) fn whole(end: End) -> Sender<T> {
        Sender::of(Arc::new(Half::whole(end, Direction::Send)), Limits::default())
    }

    /// For messages that may be lost, so that it need not be asked, in a dozen calls, what the descriptor is and which options are set: none of
    /// them matters to a [`try_send`](Sender::try_send).
    pub(crate) fn unexamined(fd: OwnedFd) -> Sender<T> {
        Sender::whole(End::unexamined(fd))
    }

    pub(super) fn split(end: &Arc<End>, limits: Limits) -> Sender<T> {
        Sender::of(Arc::new(Half::split(end, Direction::Send)), limits)
    }

    fn of(half: Arc<Half>, limits: Limits) -> Sender<T> {
        Sender { half, limits, messages: PhantomData }
    }

    pub(super) fn half(&self) -> &Half {
        &self.half
    }

    pub(super) fn end(&self) -> &End {
        self.half.end()
    }

    /// Sends within these limits from now on. Clones have their own.
    pub fn with_limits(mut self, limits: Limits) -> Sender<T> {
        self.limits = limits;
        self
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// A clone that collects messages and sends many in one packet: for sending in a loop.
    pub fn buffered(&self) -> BufferedSender<T> {
        BufferedSender::new(self.clone())
    }

    /// Whether nobody can receive any more, so that sending would fail. Never waits; one system call.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.end().is_deaf()
    }

    /// Ends the channel for every copy of this sender in every process: what was sent is still received, then comes the end.
    ///
    /// Dropping a sender ends the channel only if it is the last.
    pub fn close(self) {
        self.end().socket().shutdown(Direction::Send);
    }

    sending_verbs!(T);
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender::of(Arc::clone(&self.half), self.limits)
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("fd", &self.as_fd()).finish()
    }
}

/// For waiting until there is room: call [`try_send`](Sender::try_send) until it says `Full`, and only then poll it **for writing**. The kernel
/// says writable when three quarters of the queue are free, and takes messages long before that. What a poller says of reading, or of a
/// hang-up, means nothing here; `try_send` says `Closed`. `docs/readiness.md` has the whole contract.
impl<T> AsFd for Sender<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end().as_fd()
    }
}

/// Takes a connected unix seqpacket socket, whose other end receives messages of type `T`.
impl<T> TryFrom<OwnedFd> for Sender<T> {
    type Error = AdoptError;

    fn try_from(fd: OwnedFd) -> Result<Sender<T>, AdoptError> {
        End::adopt(fd).map(Sender::whole)
    }
}

/// Gives the socket away. Where clones remain, it is a duplicate. Half of a split channel cannot become a descriptor.
impl<T> TryFrom<Sender<T>> for OwnedFd {
    type Error = IntoFdError<Sender<T>>;

    fn try_from(sender: Sender<T>) -> Result<OwnedFd, Self::Error> {
        let limits = sender.limits;
        Half::into_fd(sender.half, |half| Sender::of(half, limits))
    }
}
