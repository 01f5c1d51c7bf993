//! Descriptors: files and sockets of the standard library, and [`Fd`] for types with plain serde derives. What arrives is looked at: a field takes
//! only what its type is for.

use super::{Field, Message};
use crate::codec::frame::{self, Wanted};
use crate::schema::Schema;
use crate::schema::constant::{self as schema, Child};
use crate::sys::kind::Kind;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::TypeId;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, OwnedFd};

/// The last of some names.
macro_rules! last {
    ($name:ident) => { stringify!($name) };
    ($first:ident $($more:ident)+) => { last!($($more)+) };
}

/// A type that owns a descriptor of one kind.
trait Owner: Field {
    const WANTED: Wanted;
}

macro_rules! descriptors {
    ($($($path:ident)::+: $name:literal if $kind:expr;)+) => {$(
        impl Owner for $($path)::+ {
            const WANTED: Wanted = Wanted { kind: $kind, name: $name };
        }

        impl Field for $($path)::+ {
            const SCHEMA: Schema = Schema::new::<Self>("", schema::Kind::Descriptor(last!($($path)+)));

            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                frame::put_descriptor(self.as_fd(), serializer)
            }

            fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                frame::take_kind(Self::WANTED, deserializer).map(Into::into)
            }
        }
    )+};
}

descriptors! {
    std::fs::File: "a file that is no socket" if |kind| !kind.is_socket() && kind != Kind::Unknown;
    std::os::unix::net::UnixStream: "a unix stream socket" if |kind| kind == Kind::UnixStream;
    std::os::unix::net::UnixListener: "a listening unix stream socket" if |kind| kind == Kind::UnixListener;
    std::os::unix::net::UnixDatagram: "a unix datagram socket" if |kind| kind == Kind::UnixDatagram;
    std::net::TcpStream: "a TCP socket" if |kind| kind == Kind::TcpStream;
    std::net::TcpListener: "a listening TCP socket" if |kind| kind == Kind::TcpListener;
    std::net::UdpSocket: "a UDP socket" if |kind| kind == Kind::UdpSocket;
}

/// Any descriptor at all.
impl Field for OwnedFd {
    const SCHEMA: Schema = Schema::new::<Self>("", schema::Kind::Descriptor("OwnedFd"));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame::put_descriptor(self.as_fd(), serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        frame::take_descriptor(deserializer).map(|(_, descriptor)| descriptor)
    }
}

#[cfg(std_pipe)]
#[allow(clippy::incompatible_msrv, reason = "`std_pipe` says that they are there")]
mod pipes {
    use super::*;
    descriptors! {
        std::io::PipeReader: "the reading end of a pipe" if |kind| matches!(kind, Kind::PipeReader | Kind::PipeBoth);
        std::io::PipeWriter: "the writing end of a pipe" if |kind| matches!(kind, Kind::PipeWriter | Kind::PipeBoth);
    }

    pub(super) const OWNERS: &[Known] = &[known::<std::io::PipeReader>(), known::<std::io::PipeWriter>()];
}

/// A descriptor in a type with plain serde derives, or as a whole message: `Channel<Fd<File>>`.
///
/// `T` is any type that owns one descriptor and can be made of one: `File`, `OwnedFd`, `TcpListener`, … Serialising duplicates the
/// descriptor; it can only be serialised to a channel, and any other serializer gets an error that says so. What arrives is close-on-exec, and
/// for a type of the standard library it is of that kind: a `Fd<TcpListener>` is a listening TCP socket, a `Fd<File>` is no socket.
///
/// ```
/// use breezeway::{Fd, channel};
/// use std::{fs::File, io::Read};
///
/// let (sender, receiver) = channel::<Fd<File>>()?;
/// sender.send(Fd(File::open("Cargo.toml")?))?;
/// let mut text = String::new();
/// receiver.recv()?.read_to_string(&mut text)?;
/// assert!(text.contains("breezeway"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fd<T>(pub T);

impl<T> Fd<T> {
    /// The descriptor's owner itself.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Fd<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Fd<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Fd<T> {
    fn from(owner: T) -> Fd<T> {
        Fd(owner)
    }
}

impl<T: AsFd> fmt::Debug for Fd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fd").field(&self.0.as_fd()).finish()
    }
}

/// Only for what can be received again: half of a split channel, say, is no `Fd`.
impl<T: AsFd + From<OwnedFd>> Serialize for Fd<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame::put_descriptor(self.0.as_fd(), serializer)
    }
}

impl<'de, T: From<OwnedFd> + 'static> Deserialize<'de> for Fd<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fd<T>, D::Error> {
        let descriptor = match known_as::<T>() {
            Some((_, _, wanted)) => frame::take_kind(*wanted, deserializer)?,
            None => frame::take_descriptor(deserializer)?.1,
        };
        Ok(Fd(descriptor.into()))
    }
}

impl<T: AsFd + From<OwnedFd> + 'static> Field for Fd<T> {
    const SCHEMA: Schema = Schema::new::<Self>("", schema::Kind::Same(Child::Of(owned_by::<T>)));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fd<T>, D::Error> {
        Deserialize::deserialize(deserializer)
    }
}

/// A type that owns a descriptor, what it looks like on the wire, and what it takes.
type Known = (fn() -> TypeId, fn() -> &'static Schema, Wanted);

const fn known<T: Owner>() -> Known {
    (TypeId::of::<T>, T::node, T::WANTED)
}

const OWNERS: &[Known] = &[
    known::<std::fs::File>(),
    known::<std::os::unix::net::UnixStream>(),
    known::<std::os::unix::net::UnixListener>(),
    known::<std::os::unix::net::UnixDatagram>(),
    known::<std::net::TcpStream>(),
    known::<std::net::TcpListener>(),
    known::<std::net::UdpSocket>(),
];

fn known_as<T: 'static>() -> Option<&'static Known> {
    #[cfg(std_pipe)]
    let pipes = pipes::OWNERS;
    #[cfg(not(std_pipe))]
    let pipes: &[Known] = &[];
    OWNERS.iter().chain(pipes).find(|(id, ..)| id() == TypeId::of::<T>())
}

/// The schema of what an [`Fd`] holds: of a type of the standard library its own, of any other that of a descriptor that may be anything.
fn owned_by<T: 'static>() -> &'static Schema {
    known_as::<T>().map_or_else(OwnedFd::node, |(_, schema, _)| schema())
}

impl<T: AsFd + From<OwnedFd> + 'static> Message for Fd<T> {
    const NAME: &'static str = "Fd";
}
