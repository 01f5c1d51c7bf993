//! The two-way end.

use super::end::{End, OneReader};
use super::hello::{Greeting, Hello};
use super::peer::Peer;
use super::verbs::{receiving_verbs, sending_verbs};
use super::waiting::Waiting;
use super::{Receiver, Sender};
use crate::codec::field::Message;
use crate::error::{AdoptError, Fault, HelloError, IntoFdError, RecvTimeoutError, SystemError};
use crate::limits::Limits;
use crate::transport::{NotReceived, Wait};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// One end of a two-way channel: it sends messages of type `S` and receives messages of type `R`.
///
/// A whole channel can be captured by a fork and travel in a message as a field. Dropping it ends both directions: the peer receives
/// what was sent, then the end, and its sends fail.
///
/// ```
/// use breezeway::Channel;
///
/// let (ours, theirs) = Channel::<u32, String>::pair()?;
/// ours.send(42)?;
/// theirs.send(format!("{}!", theirs.recv()?))?;
/// assert_eq!(ours.recv()?, "42!");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "the channel ends when it is dropped"]
pub struct Channel<S, R = S> {
    end: Arc<End>,
    limits: Limits,
    messages: PhantomData<fn(S) -> R>,
    /// Not `Sync`, because its receiving side is not: split it to send from several threads.
    one_reader: PhantomData<OneReader>,
}

type Ends<S, R> = (Channel<S, R>, Channel<R, S>);

impl<S, R> Channel<S, R> {
    /// Two connected ends: what one sends, the other receives.
    ///
    /// # Errors
    ///
    /// What the kernel says: no descriptor is free, or no memory.
    pub fn pair() -> io::Result<(Channel<S, R>, Channel<R, S>)> {
        Ok(Channel::two_way()?)
    }

    /// The same with the error as it came.
    pub(crate) fn two_way() -> Result<Ends<S, R>, SystemError> {
        let (ours, theirs) = End::pair()?;
        Ok((Channel::of(ours), Channel::of(theirs)))
    }

    fn of(end: End) -> Channel<S, R> {
        Channel::shared(Arc::new(end), Limits::default())
    }

    fn shared(end: Arc<End>, limits: Limits) -> Channel<S, R> {
        Channel { end, limits, messages: PhantomData, one_reader: PhantomData }
    }

    pub(crate) fn end(&self) -> &Arc<End> {
        &self.end
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Waits at most `timeout` until the program at the other end has said what it speaks, and it fits. At once where no hello is expected:
    /// within one program, and once it has been heard.
    ///
    /// Nothing has to be waited for before the first message; what does not fit is reported by whatever is done next. This is for who wants to
    /// know first, and for an end that is to be sent elsewhere, which it cannot be before.
    ///
    /// # Errors
    ///
    /// - `Timeout`: it has not said hello in this time. [`Hello::timeout`] is another, after which it counts as silent.
    /// - `Closed`: it ended, or closed its end, before it said hello.
    /// - `Fault`: [`Fault::Hello`] says what does not fit.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        Ok(self.end.ready(Wait::at_most(timeout))?)
    }

    /// Sends and accepts messages within these limits from now on. Between programs, within those that were agreed on ([`Hello::limits`]).
    pub fn with_limits(mut self, limits: Limits) -> Channel<S, R> {
        self.limits = limits;
        self
    }

    /// Takes the two directions apart, so that one thread can receive while others send.
    ///
    /// The halves stay in this process: they share one socket, so neither can be sent in a message or become a descriptor. When the
    /// last sender is dropped here the peer receives the end, and when the receiver is dropped the peer's sends fail. Copies of a half
    /// in a fork of this process count for nothing. **A half that a fork's closure captured is dropped here**, and with it that direction
    /// ends for the child too: give a child a whole channel, and let it split that.
    pub fn split(self) -> (Sender<S>, Receiver<R>) {
        (Sender::split(&self.end, self.limits), Receiver::split(&self.end, self.limits))
    }

    /// Waits for messages in this way from now on, in this process. What it says stays with this end: it does not travel in a message.
    pub fn with_waiting(self, waiting: Waiting) -> Channel<S, R> {
        self.end.waiting.set(waiting);
        self
    }

    /// Whether the peer can no longer receive, so that sending would fail. What it sent may still wait. Never waits; one system call.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.end.is_deaf()
    }

    sending_verbs!(S);
    receiving_verbs!(R);
}

/// Between programs.
impl<S: Message, R: Message> Channel<S, R> {
    /// Says hello, ahead of everything else.
    pub(crate) fn greet(&mut self, hello: &Hello) -> Result<Greeting, SystemError> {
        self.limits = hello.limits;
        Greeting::say::<S, R>(self.as_fd(), hello)
    }

    /// The same, and waits for the other program's.
    pub(crate) fn meet(mut self, hello: &Hello) -> Result<Channel<S, R>, Fault> {
        let greeting = self.greet(hello)?;
        self.end.know(Peer::new(None, Some(greeting)));
        match self.end.ready(Wait::Forever) {
            Ok(()) => Ok(self),
            Err(NotReceived::Fault(fault)) => Err(*fault),
            Err(NotReceived::Closed | NotReceived::Empty) => Err(HelloError::Closed.into()),
        }
    }
}

impl<S, R> fmt::Debug for Channel<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("fd", &self.as_fd()).finish()
    }
}

/// For waiting on more than one thing, in a [`Select`](crate::select::Select) or in any other poller: poll it **for reading, then call
/// [`try_recv`](Channel::try_recv) until it says `Empty`** (or `Closed`) before polling again. Readable may be less than a message, and a
/// hang-up is no reason to stop before `Closed`; messages that [it holds already](Channel::has_buffered) are not seen by a poller. Take it out of an
/// `epoll` before it goes. `docs/readiness.md` has the
/// whole contract; poll it for writing as a [`Sender`].
impl<S, R> AsFd for Channel<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// Takes a connected unix seqpacket socket, whose other end is a `Channel<R, S>`.
impl<S, R> TryFrom<OwnedFd> for Channel<S, R> {
    type Error = AdoptError;

    fn try_from(fd: OwnedFd) -> Result<Channel<S, R>, AdoptError> {
        End::adopt(fd).map(Channel::of)
    }
}

/// Gives the socket away, with what waits in it.
impl<S, R> TryFrom<Channel<S, R>> for OwnedFd {
    type Error = IntoFdError<Channel<S, R>>;

    fn try_from(channel: Channel<S, R>) -> Result<OwnedFd, Self::Error> {
        if channel.end.is_hello_pending() {
            return Err(IntoFdError::HelloPending(channel));
        }
        if !channel.end.is_movable() {
            return Err(IntoFdError::NotEmpty(channel));
        }
        let limits = channel.limits;
        End::into_fd(channel.end).map_err(|(end, error)| IntoFdError::Duplicate(Channel::shared(end, limits), error))
    }
}
