//! Files, sockets and ends of channels, in every container.

use crate::shapes::{Named, Newtype, Tuple, Unit};
use bz::{Blob, Bytes, Channel, Message, Receiver, Sender};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

/// A descriptor in every container.
#[derive(Message, Debug)]
#[message(crate = "bz")]
pub struct Everywhere<D> {
    /// Alone.
    pub plain: D,
    /// In an option.
    pub option: Option<D>,
    /// In a list of options.
    pub list: Vec<Option<D>>,
    /// In a queue.
    pub queue: VecDeque<D>,
    /// In a map.
    pub hashed: HashMap<String, D>,
    /// In an ordered map.
    pub ordered: BTreeMap<u8, D>,
    /// In a tuple.
    pub pair: (u8, D),
    /// In an array.
    pub array: [D; 2],
    /// In a box.
    pub boxed: Box<D>,
    /// In a result.
    pub result: Result<D, String>,
}

/// Every type of descriptor.
#[derive(Message, Debug)]
#[message(crate = "bz")]
pub enum Descriptor {
    /// Of no type.
    Any(OwnedFd),
    /// A file.
    File(File),
    /// A unix stream.
    UnixStream(UnixStream),
    /// A unix listener.
    UnixListener(UnixListener),
    /// A unix datagram socket.
    UnixDatagram(UnixDatagram),
    /// A TCP stream.
    TcpStream(TcpStream),
    /// A TCP listener.
    TcpListener(TcpListener),
    /// A UDP socket.
    UdpSocket(UdpSocket),
}

/// Ends of channels.
#[derive(Message)]
#[message(crate = "bz")]
pub struct Ends<T> {
    /// Sends what somebody else receives.
    pub sender: Sender<Named>,
    /// Receives what somebody else sends.
    pub receiver: Receiver<Newtype>,
    /// Both.
    pub channel: Channel<Unit, Tuple>,
    /// Of a parameter, in containers.
    pub more: Vec<Option<Sender<T>>>,
}

/// Bytes.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct AllBytes {
    /// Copied into the message.
    pub copied: Vec<u8>,
    /// Not copied by the sender where it is large.
    pub shared: Bytes,
    /// The same under the name that plain serde types use.
    pub blob: Blob,
}
