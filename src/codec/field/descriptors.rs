//! Descriptors: files and sockets of the standard library, and [`Fd`] for types with plain serde derives.

use super::{Field, Message};
use crate::codec::frame;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, OwnedFd};

macro_rules! descriptors {
    ($($type:ty),+ $(,)?) => {$(
        impl Field for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                frame::put_descriptor(self.as_fd(), serializer)
            }

            fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                frame::take_descriptor(deserializer).map(|(_, descriptor)| descriptor.into())
            }
        }
    )+};
}

descriptors!(
    std::fs::File,
    OwnedFd,
    std::os::unix::net::UnixStream,
    std::os::unix::net::UnixListener,
    std::os::unix::net::UnixDatagram,
    std::net::TcpStream,
    std::net::TcpListener,
    std::net::UdpSocket,
);

#[cfg(std_pipe)]
#[allow(clippy::incompatible_msrv, reason = "`std_pipe` says that they are there")]
mod pipes {
    use super::*;
    descriptors!(std::io::PipeReader, std::io::PipeWriter);
}

/// A descriptor in a type with plain serde derives, or as a whole message: `Channel<Fd<File>>`.
///
/// `T` is any type that owns one descriptor and can be made of one: `File`, `OwnedFd`, `TcpListener`, … Serialising duplicates the
/// descriptor; it can only be serialised to a channel, and any other serializer gets an error that says so. What arrives is close-on-exec.
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

impl<'de, T: From<OwnedFd>> Deserialize<'de> for Fd<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fd<T>, D::Error> {
        frame::take_descriptor(deserializer).map(|(_, descriptor)| Fd(descriptor.into()))
    }
}

impl<T: AsFd + From<OwnedFd> + 'static> Field for Fd<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fd<T>, D::Error> {
        Deserialize::deserialize(deserializer)
    }
}

impl<T: AsFd + From<OwnedFd> + 'static> Message for Fd<T> {
    const NAME: &'static str = "Fd";
}
