//! Packets without channels: seqpacket sockets, and what one `sendmsg` or `recvmsg` moves.
//!
//! The channels stand on [`Socket`]. It is public for programs that want the packets themselves, with [`Socket::send_packet`] and
//! [`Socket::receive_packet`], or one typed message at a time. A socket knows nothing of splitting, cloning or limits of its own.
//!
//! ```
//! use breezeway::socket::{Family, Protocol, SocketType, socketpair};
//! use std::io::IoSlice;
//!
//! let (left, right) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None)?;
//! left.send_packet(&[IoSlice::new(b"two "), IoSlice::new(b"parts")], &[])?;
//! let packet = right.receive_packet(64)?.expect("the other end is open");
//! assert_eq!(packet.bytes, b"two parts");
//! # Ok::<(), std::io::Error>(())
//! ```

use crate::codec::{self, PairId};
use crate::error::{AdoptError, AdoptFault, Fault, RecvError, SendError, SystemError};
use crate::limits::Limits;
use crate::packet::List;
use crate::sys::{self, message::Room};
use crate::transport::{self, Leave, NotReceived, NotSent, Wait};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Which addresses a socket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// `AF_UNIX`: processes on one machine.
    Unix,
}

/// How a socket carries data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocketType {
    /// `SOCK_SEQPACKET`: connected, ordered, reliable, and packets stay whole.
    SeqPacket,
}

/// Which protocol of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// The only one that unix sockets have.
    None,
}

/// Two sockets connected with each other, both close-on-exec and neither on descriptor 0, 1 or 2. `socketpair(2)`
///
/// # Errors
///
/// What the kernel says: no descriptor is free, or no memory.
pub fn socketpair(family: Family, kind: SocketType, protocol: Protocol) -> io::Result<(Socket, Socket)> {
    // One variant each; another becomes an error here and not a wrong socket.
    let (Family::Unix, SocketType::SeqPacket, Protocol::None) = (family, kind, protocol);
    let (left, right) = transport::pair()?;
    Ok((Socket(left), Socket(right)))
}

/// A connected seqpacket socket.
#[derive(Debug)]
#[must_use = "a socket is closed when it is dropped"]
pub struct Socket(OwnedFd);

/// What [`Socket::receive_packet`] received.
#[derive(Debug)]
#[non_exhaustive]
pub struct RawPacket {
    /// The bytes, as many as there was room for.
    pub bytes: Vec<u8>,
    /// The descriptors, in the order of sending; close-on-exec, none of them 0, 1 or 2.
    pub descriptors: Vec<OwnedFd>,
    /// Whether the packet was longer than the room; the rest is lost.
    pub truncated: bool,
    /// Whether descriptors were lost because this process's table is full.
    pub descriptors_lost: bool,
}

impl Socket {
    /// Sends the parts as one packet, with duplicates of the descriptors. One `sendmsg`; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// - `BrokenPipe`: the other end is closed.
    /// - `InvalidInput`: the packet is larger than the send queue, has more than 1,024 parts or more than 253 descriptors.
    /// - What else `sendmsg` says. Nothing was sent.
    pub fn send_packet(&self, parts: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        match transport::send_parts(self.as_fd(), parts, descriptors, Wait::Forever) {
            Ok(()) => Ok(()),
            Err(NotSent::Fault(fault)) => Err((*fault).into()),
            Err(NotSent::Full | NotSent::Closed) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Receives one packet of up to `room` bytes; `None` when the other end is closed and everything has been received. One `recvmsg`;
    /// waits for a packet.
    ///
    /// # Errors
    ///
    /// - `InvalidData`: an empty packet, which sockets of this kind cannot tell from the end once the peer has gone.
    /// - `OutOfMemory`: `room` cannot be allocated. Nothing was received.
    /// - What else `recvmsg` says.
    pub fn receive_packet(&self, room: usize) -> io::Result<Option<RawPacket>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(room)?;
        let mut descriptors = List::new();
        match transport::receive_parts(self.as_fd(), &mut [], [&mut bytes, &mut Vec::new()], &mut descriptors, Wait::Forever) {
            Ok(arrival) => {
                // The allocator may have given more room than was asked for.
                let truncated = arrival.cut || bytes.len() > room;
                bytes.truncate(room);
                Ok(Some(RawPacket { bytes, descriptors: descriptors.into_vec(), truncated, descriptors_lost: arrival.descriptors_cut }))
            }
            Err(NotReceived::Closed | NotReceived::Empty) => Ok(None),
            Err(NotReceived::Fault(fault)) => Err((*fault).into()),
        }
    }

    /// Sends one message, with the default [`Limits`]. Waits while the queue is full.
    ///
    /// A reference is a message too: `send(&message)`.
    ///
    /// # Errors
    ///
    /// A [`SendError`] as an `io::Error`: `BrokenPipe` when the other end is closed, `InvalidInput` for a message that cannot be sent.
    pub fn send<T: Serialize>(&mut self, message: T) -> io::Result<()> {
        self.deliver(&message, &Limits::default(), None, None, Wait::Forever).map_err(|error| match error {
            NotSent::Fault(fault) => (*fault).into(),
            NotSent::Full | NotSent::Closed => SendError::Closed(()).into(),
        })
    }

    /// Receives one message, with the default [`Limits`]. Waits for it.
    ///
    /// # Errors
    ///
    /// A [`RecvError`] as an `io::Error`: `UnexpectedEof` when the other end is closed, `InvalidData` for what is no `T`. A batch
    /// ([`Sender::send_all`](crate::Sender::send_all)) is none: a socket has no place for the rest of it.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        self.obtain(&Limits::default(), Wait::Forever).map_err(|error| match error {
            NotReceived::Fault(fault) => (*fault).into(),
            NotReceived::Empty | NotReceived::Closed => RecvError::Closed.into(),
        })
    }

    /// Closes the socket. What was sent can still be received by the other end.
    pub fn close(self) {
        drop(self);
    }

    /// A socket that `transport::pair` has made.
    pub(crate) fn connected(fd: OwnedFd) -> Socket {
        Socket(fd)
    }

    /// Encodes and sends. The one way by which values leave.
    #[inline]
    pub(crate) fn deliver<T: Serialize + ?Sized>(
        &self,
        message: &T,
        limits: &Limits,
        via: Option<PairId>,
        leave: Option<Leave<'_>>,
        wait: Wait,
    ) -> Result<(), NotSent> {
        let packet = codec::encode(message, limits, via)?;
        transport::send(self.as_fd(), &packet, leave, wait)
    }

    /// Receives and decodes. The one way by which values arrive.
    pub(crate) fn obtain<T: DeserializeOwned>(&self, limits: &Limits, wait: Wait) -> Result<T, NotReceived> {
        let packet = transport::receive(self.as_fd(), limits, wait)?;
        Ok(codec::decode(packet, limits)?)
    }

    /// Whether the peer can no longer receive.
    pub(crate) fn is_deaf(&self) -> bool {
        // A socket that cannot even be asked carries nothing.
        sys::message::room(self.as_fd()).unwrap_or(Room::Never) == Room::Never
    }

    /// Whether the peer can no longer send; what it sent may still wait.
    pub(crate) fn is_mute(&self) -> bool {
        sys::poll::hangup(self.as_fd()).unwrap_or(true)
    }

    /// Throws away what is queued, on a socket that has been shut down for receiving, so that nothing more can come.
    pub(crate) fn discard_queue(&self) {
        let limits = Limits::new().max_message(0);
        loop {
            match transport::receive(self.as_fd(), &limits, Wait::Not) {
                // What cannot be received cannot be thrown away either.
                Err(NotReceived::Empty | NotReceived::Closed) => return,
                Err(NotReceived::Fault(fault)) if matches!(*fault, Fault::System(_)) => return,
                Ok(_) | Err(NotReceived::Fault(_)) => {}
            }
        }
    }

    /// Shuts a direction down for every holder. That the peer has gone already is no error.
    pub(crate) fn shutdown(&self, direction: sys::socket::Direction) {
        let _ = sys::socket::shutdown(self.as_fd(), direction);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> OwnedFd {
        socket.0
    }
}

impl TryFrom<OwnedFd> for Socket {
    type Error = AdoptError;

    /// Takes a descriptor that another part of the program, or another program, made: it must be a connected unix seqpacket socket.
    ///
    /// Options that a channel does not expect (credentials, time stamps, time limits) are switched off.
    fn try_from(fd: OwnedFd) -> Result<Socket, AdoptError> {
        match examine(fd.as_fd()) {
            Ok(()) => match sys::fd::above_stdio(fd.as_fd()) {
                Ok(None) => Ok(Socket(fd)),
                Ok(Some(moved)) => Ok(Socket(moved)),
                Err(error) => Err(AdoptError { fd, source: SystemError { call: "fcntl", source: error }.into() }),
            },
            Err(source) => Err(AdoptError { fd, source }),
        }
    }
}

fn examine(fd: BorrowedFd<'_>) -> Result<(), AdoptFault> {
    // As when a pair is made: the program may soon forbid itself the calls.
    sys::stack::end();
    let kind = sys::socket::kind(fd).map_err(SystemError::in_call("getsockopt"))?.ok_or(AdoptFault::NotASocket)?;
    if !(kind.unix && kind.seqpacket) {
        return Err(AdoptFault::NotSeqpacket);
    }
    if !kind.connected {
        return Err(AdoptFault::NotConnected);
    }
    sys::socket::reset_options(fd).map_err(SystemError::in_call("setsockopt"))?;
    Ok(())
}
