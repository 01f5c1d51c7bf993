//! The other end of a channel, without types: it says what it is told to.

use crate::channel::{Channel, Hello, Peer, Receiver, Sender};
use crate::codec::field::Message;
use crate::error::AdoptError;
use crate::socket::{Family, Protocol, RawPacket, Socket, SocketType, socketpair};
use crate::wire::{BLOB_ENTRY, Header, Kind, batch};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A bare socket at the other end of a channel, which sends literal bytes and shows what arrives.
///
/// ```
/// use breezeway::testing::{RawPeer, packet};
/// use breezeway::{Fault, ProtocolError, RecvError};
///
/// let (peer, receiver) = RawPeer::of_receiver::<u32>()?;
/// peer.send(b"short", &[])?;
/// peer.send(&packet(&7_u32.to_le_bytes(), &[], 0), &[])?;
/// assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::Protocol(ProtocolError::ShortHeader { found: 5, .. })))));
/// assert_eq!(receiver.recv()?, 7);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct RawPeer {
    socket: Socket,
}

impl RawPeer {
    /// A receiver, and a peer that sends to it.
    ///
    /// # Errors
    ///
    /// What the kernel says: no descriptor is free, or no memory.
    pub fn of_receiver<T>() -> io::Result<(RawPeer, Receiver<T>)> {
        RawPeer::of()
    }

    /// A sender, and a peer that receives from it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn of_sender<T>() -> io::Result<(RawPeer, Sender<T>)> {
        RawPeer::of()
    }

    /// A two-way end, and its peer.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn of_channel<S, R>() -> io::Result<(RawPeer, Channel<S, R>)> {
        RawPeer::of()
    }

    /// An end that expects a hello, as a parent's does of the program that it has started, and its peer, which finds the end's own hello.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn of_program<S: Message, R: Message>(hello: Hello) -> io::Result<(RawPeer, Channel<S, R>)> {
        let (peer, mut end) = RawPeer::of_channel::<S, R>()?;
        let greeting = end.greet(&hello)?;
        end.end().know(Peer::new(None, Some(greeting)));
        Ok((peer, end))
    }

    fn of<E: TryFrom<OwnedFd, Error = AdoptError>>() -> io::Result<(RawPeer, E)> {
        let (socket, theirs) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None)?;
        Ok((RawPeer { socket }, E::try_from(theirs.into())?))
    }

    /// Sends these bytes as one packet, with duplicates of these descriptors.
    ///
    /// # Errors
    ///
    /// As [`Socket::send_packet`].
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.socket.send_packet(&[IoSlice::new(bytes)], descriptors)
    }

    /// Receives one packet, header and all; `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Socket::receive_packet`].
    pub fn receive(&self) -> io::Result<Option<RawPacket>> {
        self.socket.receive_packet(8 << 20)
    }

    /// The socket, for anything else that a peer may do to it.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }
}

impl AsFd for RawPeer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The bytes of a well-formed packet: header, body, blob table, blobs. `descriptors` is how many its header announces.
#[must_use]
pub fn packet(body: &[u8], blobs: &[&[u8]], descriptors: u16) -> Vec<u8> {
    let header = Header {
        kind: Kind::Message,
        memory: false,
        nested: false,
        descriptors,
        blobs: u16::try_from(blobs.len()).unwrap_or(u16::MAX),
        body: body.len() as u64,
    };
    let table = blobs.iter().map(|blob| (blob.len() as u64).to_le_bytes());
    let mut packet = header.encode().to_vec();
    packet.extend_from_slice(body);
    packet.reserve(blobs.len() * BLOB_ENTRY);
    table.for_each(|entry| packet.extend_from_slice(&entry));
    blobs.iter().for_each(|blob| packet.extend_from_slice(blob));
    packet
}

/// The bytes of a well-formed batch: header, and each message behind its length.
#[must_use]
pub fn batch_packet(messages: &[&[u8]]) -> Vec<u8> {
    let frames = messages.iter().flat_map(|message| [batch::length(message.len()).as_slice(), message].concat());
    let body: Vec<u8> = frames.collect();
    let header = Header { kind: Kind::Batch, memory: false, nested: false, descriptors: 0, blobs: 0, body: body.len() as u64 };
    [header.encode().as_slice(), &body].concat()
}
