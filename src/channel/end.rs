//! What all ends have in common: a socket, whose pair it is of, the child at its other end, and whether it is shared by the halves of a split.

use super::watch::Watch;
use crate::codec::{self, PairId, frame};
use crate::error::{AdoptError, IntoFdError, SystemError};
use crate::limits::Limits;
use crate::socket::Socket;
use crate::sys::poll::{self, Ready};
use crate::sys::socket::Direction;
use crate::transport::{self, NotReceived, NotSent, Wait};
use serde::{Serialize, Serializer, de::DeserializeOwned};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// One end's socket.
#[derive(Debug)]
pub(crate) struct End {
    socket: Socket,
    /// The same on both ends of a pair made here, so that an end is not sent over itself. One of its own for an end that came from elsewhere.
    pair: PairId,
    /// The child at the other end, if this process has started one there.
    watch: OnceLock<Watch>,
}

impl End {
    pub(crate) fn pair() -> Result<(End, End), SystemError> {
        let (left, right) = transport::pair()?;
        let pair = new_pair();
        let end = |fd| End { socket: Socket::connected(fd), pair, watch: OnceLock::new() };
        Ok((end(left), end(right)))
    }

    pub(crate) fn adopt(fd: OwnedFd) -> Result<End, AdoptError> {
        Ok(End { socket: Socket::try_from(fd)?, pair: new_pair(), watch: OnceLock::new() })
    }

    /// From now on this end also ends when the child does whose pidfd this is.
    pub(crate) fn watch(&self, child: Arc<OwnedFd>) {
        // An end has one child, and is told once.
        let _ = self.watch.set(Watch::new(child));
    }

    /// Whether the peer can no longer receive.
    pub(crate) fn is_deaf(&self) -> bool {
        self.socket.is_deaf() || self.watch.get().is_some_and(Watch::has_ended)
    }

    /// Whether the peer can no longer send; what it sent may still wait.
    pub(crate) fn is_mute(&self) -> bool {
        self.socket.is_mute() || self.watch.get().is_some_and(Watch::has_ended)
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    #[inline]
    pub(crate) fn send<T: Serialize>(&self, message: &T, limits: &Limits, wait: Wait) -> Result<(), NotSent> {
        match self.watch.get() {
            None => self.socket.deliver(message, limits, Some(self.pair), wait),
            Some(watch) => {
                let packet = codec::encode(message, limits, Some(self.pair))?;
                watch.send(self.as_fd(), wait, || transport::send(self.as_fd(), &packet, Wait::Not))
            }
        }
    }

    #[inline]
    pub(crate) fn receive<T: DeserializeOwned>(&self, limits: &Limits, wait: Wait) -> Result<T, NotReceived> {
        match self.watch.get() {
            None => self.socket.obtain(limits, wait),
            Some(watch) => watch.receive(self.as_fd(), wait, || self.socket.obtain(limits, Wait::Not)),
        }
    }

    /// Waits until something of what is wanted can be done, `other` is readable, or the deadline has passed: nothing is found then. Of an end
    /// whose peer is gone everything can be done, and will say so.
    pub(crate) fn wait(&self, wanted: Ready, other: Option<BorrowedFd<'_>>, deadline: Option<Instant>) -> Result<Ready, SystemError> {
        let pidfd = self.watch.get().map(Watch::pidfd);
        let found = poll::first(self.as_fd(), wanted, [other, pidfd], deadline).map_err(SystemError::in_call("ppoll"))?;
        let [socket, other, child] = found;
        let ended = child.other;
        Ok(Ready {
            read: socket.read || ended && wanted.read,
            write: socket.write || ended && wanted.write,
            hangup: socket.hangup || ended,
            other: other.other,
        })
    }

    /// The descriptor itself, or a duplicate where somebody else holds the end too.
    pub(crate) fn into_fd(end: Arc<End>) -> Result<OwnedFd, (Arc<End>, io::Error)> {
        match Arc::try_unwrap(end) {
            Ok(end) => Ok(end.socket.into()),
            Err(end) => end.as_fd().try_clone_to_owned().map_err(|error| (end, error)),
        }
    }

    /// Puts a duplicate of the end into the message being encoded.
    pub(crate) fn put<S: Serializer>(&self, half: bool, serializer: S) -> Result<S::Ok, S::Error> {
        frame::put_end(self.as_fd(), self.pair, half, serializer)
    }
}

/// A number that no other end of this process has; a fork goes on from the same, which its inherited ends do not reach.
fn new_pair() -> PairId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    PairId(NEXT.fetch_add(1, Ordering::Relaxed))
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Makes an end that receives `Send` and not `Sync`: two threads would take each other's messages.
pub(crate) struct OneReader(#[allow(dead_code, reason = "for its lack of `Sync`")] Cell<()>);

/// One direction of an end: all there is of a one-way channel's end, or half of a split channel.
#[derive(Debug)]
pub(crate) struct Half {
    end: Arc<End>,
    direction: Direction,
    /// For half of a split channel: the process that split it. The other half keeps the socket open, so when this one goes there, the
    /// peer has to be told.
    split_by: Option<u32>,
}

impl Half {
    pub(crate) fn whole(end: End, direction: Direction) -> Half {
        Half { end: Arc::new(end), direction, split_by: None }
    }

    pub(crate) fn split(end: &Arc<End>, direction: Direction) -> Half {
        Half { end: Arc::clone(end), direction, split_by: Some(std::process::id()) }
    }

    pub(crate) fn end(&self) -> &End {
        &self.end
    }

    pub(crate) fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.end.put(self.split_by.is_some(), serializer)
    }

    /// The descriptor, for an end that is whole.
    pub(crate) fn into_fd<E>(half: Arc<Half>, back: impl FnOnce(Arc<Half>) -> E) -> Result<OwnedFd, IntoFdError<E>> {
        if half.split_by.is_some() {
            return Err(IntoFdError::SplitHalf(back(half)));
        }
        let (end, direction) = (Arc::clone(&half.end), half.direction);
        drop(half);
        End::into_fd(end).map_err(|(end, error)| IntoFdError::Duplicate(back(Arc::new(Half { end, direction, split_by: None })), error))
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        // Not in a fork of the process that split it: there it is an inherited copy, whose end means nothing.
        if self.split_by.is_some_and(|process| process == std::process::id()) {
            self.end.socket.shutdown(self.direction);
            if matches!(self.direction, Direction::Receive) {
                // What is queued would stay until the other half goes, and with it the descriptors in it.
                self.end.socket.discard_queue();
            }
        }
    }
}
