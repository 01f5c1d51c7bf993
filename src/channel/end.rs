//! What all ends have in common: a socket, whose pair it is of, who is at its other end, and whether it is shared by the halves of a split.

use super::inbox::{Inbox, Turn};
use super::peer::Peer;
use super::source::Registered;
use super::unfinished::Unfinished;
use super::waiting::Policy;
use crate::codec::{self, PairId, frame};
use crate::error::{AdoptError, EncodeError, Fault, IntoFdError, ProtocolError, SystemError};
use crate::limits::Limits;
use crate::packet::{Body, Packet};
use crate::socket::Socket;
use crate::sys::poll::{self, Ready};
use crate::sys::socket::Direction;
use crate::transport::{self, ALL, Leave, NotReceived, NotSent, Right, Wait};
use crate::wire::Kind;
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
    /// Who waits for it. Dropped, and so left, before the socket is.
    registered: Registered,
    socket: Socket,
    /// The same on both ends of a pair made here, so that an end is not sent over itself. One of its own for an end that came from elsewhere.
    pair: PairId,
    /// The process at the other end, if it is one that this process has started, or another program.
    peer: OnceLock<Peer>,
    /// How a receive waits.
    pub(super) waiting: Policy,
    /// What has been received and not taken.
    inbox: Inbox,
    /// What has been received of a message that is not whole.
    unfinished: Unfinished,
    /// Whether large messages may go in parts.
    right: Right,
}

impl End {
    pub(crate) fn pair() -> Result<(End, End), SystemError> {
        let (left, right) = transport::pair()?;
        let pair = new_pair();
        let end = |fd| End::of(Socket::connected(fd), pair, Right::new(true));
        Ok((end(left), end(right)))
    }

    fn of(socket: Socket, pair: PairId, right: Right) -> End {
        let (registered, peer, waiting) = (Registered::default(), OnceLock::new(), Policy::new());
        End { registered, socket, pair, peer, waiting, inbox: Inbox::default(), unfinished: Unfinished::default(), right }
    }

    pub(crate) fn adopt(fd: OwnedFd) -> Result<End, AdoptError> {
        Ok(End::of(Socket::try_from(fd)?, new_pair(), Right::new(false)))
    }

    /// Takes whatever this is. What cannot be sent on says so when it is tried.
    pub(crate) fn unexamined(fd: OwnedFd) -> End {
        End::of(Socket::connected(fd), new_pair(), Right::new(false))
    }

    /// Tells this end who is at the other.
    pub(crate) fn know(&self, peer: Peer) {
        // That does not change, and is told once.
        let _ = self.peer.set(peer);
    }

    /// Waits for another program's hello, if one is expected.
    pub(crate) fn ready(&self, wait: Wait) -> Result<(), NotReceived> {
        self.peer.get().map_or(Ok(()), |peer| peer.ready(self.as_fd(), wait))
    }

    /// Whether another program has not said hello yet: a packet that means nothing to whoever else might receive it.
    pub(super) fn is_hello_pending(&self) -> bool {
        self.peer.get().is_some_and(|peer| peer.is_hello_pending(self.as_fd()))
    }

    /// Whether it is not known yet what another program takes.
    pub(super) fn is_meeting(&self) -> bool {
        self.peer.get().is_some_and(Peer::is_meeting)
    }

    /// Its pidfd, if there is such a child.
    pub(crate) fn child(&self) -> Option<&Arc<OwnedFd>> {
        self.peer.get().and_then(Peer::child)
    }

    /// Lets large messages go in parts, because this process has no other descriptor of its socket.
    pub(crate) fn grant_parts(&self) {
        self.right.grant();
    }

    pub(crate) fn registered(&self) -> &Registered {
        &self.registered
    }

    /// Whether the peer can no longer receive.
    pub(crate) fn is_deaf(&self) -> bool {
        self.socket.is_deaf() || self.peer.get().is_some_and(Peer::has_ended)
    }

    /// Whether the peer can no longer send; what it sent may still wait.
    pub(crate) fn is_mute(&self) -> bool {
        self.socket.is_mute() || self.peer.get().is_some_and(Peer::has_ended)
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    #[inline]
    pub(crate) fn send<T: Serialize>(&self, message: &T, limits: &Limits, wait: Wait) -> Result<(), NotSent> {
        match self.peer.get() {
            None => self.socket.deliver(message, limits, Some(self.pair), self.leave(wait), wait),
            Some(_) => {
                let limits = self.sending_limits(limits, wait)?;
                let packet = codec::encode(message, &limits, Some(self.pair))?;
                self.send_packet(&packet, wait)
            }
        }
    }

    /// What a message may be that is sent now.
    pub(super) fn sending_limits(&self, limits: &Limits, wait: Wait) -> Result<Limits, NotSent> {
        self.peer.get().map_or(Ok(*limits), |peer| peer.limits(self.as_fd(), limits, wait))
    }

    pub(super) fn pair_id(&self) -> PairId {
        self.pair
    }

    pub(super) fn send_packet(&self, packet: &Packet, wait: Wait) -> Result<(), NotSent> {
        let leave = self.leave(wait);
        self.attempt_to_send(wait, |wait| transport::send(self.as_fd(), packet, leave, wait))
    }

    /// Sends a packet that has nothing but a body.
    pub(super) fn send_body(&self, kind: Kind, body: &[u8], wait: Wait) -> Result<(), NotSent> {
        self.attempt_to_send(wait, |wait| transport::send_body(kind, self.as_fd(), body, wait))
    }

    /// For a send that may wait, because parts wait for each other.
    fn leave(&self, wait: Wait) -> Option<Leave<'_>> {
        if matches!(wait, Wait::Not) { None } else { Some(self.right.leave(wait)) }
    }

    #[inline]
    fn attempt_to_send(&self, wait: Wait, attempt: impl Fn(Wait) -> Result<(), NotSent>) -> Result<(), NotSent> {
        match self.peer.get() {
            None => attempt(wait),
            Some(peer) => peer.send(self.as_fd(), wait, attempt),
        }
    }

    #[inline]
    pub(crate) fn receive<T: DeserializeOwned>(&self, limits: &Limits, wait: Wait) -> Result<T, NotReceived> {
        if !self.inbox.is_empty() {
            if let Some(result) = self.turn()?.next(limits) {
                return Ok(result?);
            }
        }
        let result = self.receive_new(limits, wait);
        if matches!(result, Err(NotReceived::Closed)) {
            self.registered.leave();
            self.unfinished.clear();
        }
        result
    }

    /// Receives what the kernel has. Only for an inbox that is empty.
    #[inline]
    pub(super) fn receive_new<T: DeserializeOwned>(&self, limits: &Limits, wait: Wait) -> Result<T, NotReceived> {
        if matches!(wait, Wait::Not) || self.waiting.blocks() {
            return self.fetch(limits, wait);
        }
        let look = || match self.fetch(limits, Wait::Not) {
            Err(NotReceived::Empty) => None,
            result => Some(result),
        };
        self.waiting.look(wait.deadline(), look).unwrap_or_else(|| self.fetch(limits, wait))
    }

    #[inline]
    fn fetch<T: DeserializeOwned>(&self, limits: &Limits, wait: Wait) -> Result<T, NotReceived> {
        match self.peer.get() {
            None => self.obtain(limits, wait),
            Some(peer) => peer.receive(self.as_fd(), limits, wait, |limits, wait| self.obtain(limits, wait)),
        }
    }

    /// Receives a packet: its message, or the first of its messages.
    #[inline]
    fn obtain<T: DeserializeOwned>(&self, limits: &Limits, wait: Wait) -> Result<T, NotReceived> {
        let first = if self.unfinished.is_empty() { Some(transport::receive_kind(&ALL, self.as_fd(), limits, wait)?) } else { None };
        let (kind, packet) = match first {
            Some((header, packet)) if header.kind != Kind::Part => (header.kind, packet),
            first => self.unfinished.receive(first, self.as_fd(), limits, wait)?,
        };
        match kind {
            Kind::Batch => self.begin(packet.body, limits),
            _ => Ok(codec::decode(packet, limits)?),
        }
    }

    /// Takes the first message of a batch; the rest stays in the inbox.
    #[inline(never)]
    fn begin<T: DeserializeOwned>(&self, batch: Body, limits: &Limits) -> Result<T, NotReceived> {
        let mut turn = self.turn()?;
        turn.put(batch);
        // The header says that there is one.
        Ok(turn.next(limits).unwrap_or_else(|| Err(Box::new(ProtocolError::EmptyBatch.into())))?)
    }

    /// Whether nothing has been received that nobody has taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.inbox.is_empty()
    }

    /// Whether somebody else could go on receiving where this end stopped.
    pub(super) fn is_movable(&self) -> bool {
        self.inbox.is_empty() && self.unfinished.is_empty()
    }

    pub(super) fn turn(&self) -> Result<Turn<'_>, Fault> {
        self.inbox.turn(&self.registered)
    }

    /// Throws away what has been received and not taken.
    pub(crate) fn clear(&self) {
        self.inbox.clear(&self.registered);
        self.unfinished.clear();
    }

    /// Waits until something of what is wanted can be done, `other` is readable, or the deadline has passed: nothing is found then. Of an end
    /// whose peer is gone everything can be done, and will say so. Where nothing may be sent before something has been read, writing means that.
    pub(crate) fn wait(&self, wanted: Ready, other: Option<BorrowedFd<'_>>, deadline: Option<Instant>) -> Result<Ready, SystemError> {
        let (wanted, deadline) = self.peer.get().map_or((wanted, deadline), |peer| peer.before_sending(wanted, deadline));
        // The kernel knows nothing of what is here already.
        let here = wanted.read && !self.is_empty();
        let deadline = if here { Some(Instant::now()) } else { deadline };
        let pidfd = self.child().map(|pidfd| pidfd.as_fd());
        let found = poll::first(self.as_fd(), wanted, [other, pidfd], deadline).map_err(SystemError::in_call("ppoll"))?;
        let [socket, other, child] = found;
        let ended = child.other;
        Ok(Ready {
            read: here || socket.read || ended && wanted.read,
            write: socket.write || ended && wanted.write,
            hangup: socket.hangup || ended,
            other: other.other,
        })
    }

    /// The descriptor itself, or a duplicate where somebody else holds the end too.
    pub(crate) fn into_fd(end: Arc<End>) -> Result<OwnedFd, (Arc<End>, io::Error)> {
        end.registered.leave();
        match Arc::try_unwrap(end) {
            Ok(end) => Ok(end.socket.into()),
            Err(end) => {
                end.right.forgo();
                end.as_fd().try_clone_to_owned().map_err(|error| (end, error))
            }
        }
    }

    /// Puts a duplicate of the end into the message being encoded.
    pub(crate) fn put<S: Serializer>(&self, half: bool, serializer: S) -> Result<S::Ok, S::Error> {
        let refused = match () {
            () if half => Some(EncodeError::SplitHalf),
            () if self.is_hello_pending() => Some(EncodeError::HelloPending),
            () if !self.is_movable() => Some(EncodeError::NotEmpty),
            () => None,
        };
        if refused.is_none() {
            self.right.forgo();
        }
        frame::put_end(self.as_fd(), self.pair, refused, serializer)
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
        if !half.end.is_movable() {
            return Err(IntoFdError::NotEmpty(back(half)));
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
            let receives = matches!(self.direction, Direction::Receive);
            if receives {
                self.end.registered.leave();
                self.end.clear();
                self.end.peer.get().into_iter().for_each(|peer| peer.stop_listening(self.end.as_fd()));
            }
            self.end.socket.shutdown(self.direction);
            if receives {
                // What is queued would stay until the other half goes, and with it the descriptors in it.
                self.end.socket.discard_queue();
            }
        }
    }
}
