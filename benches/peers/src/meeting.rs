//! How the two processes of a contestant find each other: by sockets or pipes that they have as standard input and output.

use crate::Result;
use std::io::{Read, Write, stdin, stdout};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// What a contestant is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A unix seqpacket socket, as standard input.
    Packets,
    /// A unix stream socket, as standard input.
    Stream,
    /// A pipe to read from, as standard input, and one to write to, as standard output.
    Pipes,
    /// As `Stream`; the far side is started by the near one, not beside it.
    Parent,
}

/// What one side knows when it starts.
pub(crate) struct Meeting {
    /// Whether this side begins.
    pub(crate) near: bool,
    /// Bytes of a request.
    pub(crate) size: usize,
    /// Whether the other side runs on the same processor.
    pub(crate) shared: bool,
    /// Of this pair, and of no other.
    pub(crate) name: String,
    /// The arguments with which the near side starts the far one, if it does.
    pub(crate) far: Vec<String>,
}

impl Meeting {
    /// The socket that leads to the other side.
    pub(crate) fn socket(&self) -> Result<OwnedFd> {
        Ok(stdin().as_fd().try_clone_to_owned()?)
    }

    /// The pipes from and to the other side.
    pub(crate) fn pipes(&self) -> Result<(OwnedFd, OwnedFd)> {
        Ok((self.socket()?, stdout().as_fd().try_clone_to_owned()?))
    }

    /// The socket, for what the two say before they begin.
    pub(crate) fn talk(&self) -> Result<UnixStream> {
        Ok(self.socket()?.into())
    }

    /// Waits until the other side is here too.
    pub(crate) fn wait(&self) -> Result<()> {
        let mut other = self.talk()?;
        other.write_all(b".")?;
        Ok(other.read_exact(&mut [0])?)
    }
}
