//! Errors of turning a descriptor into an end and an end into a descriptor. Both give back what they were given.

use super::SystemError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;

/// A descriptor that cannot become an end of a channel. It is given back, as it was.
#[derive(Debug, thiserror::Error)]
#[error("the descriptor cannot be an end of a channel")]
pub struct AdoptError {
    /// The descriptor.
    pub fd: OwnedFd,
    /// Why not.
    pub source: AdoptFault,
}

/// Why a descriptor cannot become an end of a channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptFault {
    /// It is no socket.
    #[error("it is no socket")]
    NotASocket,
    /// It is a socket of another family or type.
    #[error("it is no unix seqpacket socket")]
    NotSeqpacket,
    /// It listens, or was never connected.
    #[error("it is not connected")]
    NotConnected,
    /// It could not be examined, or its options could not be reset.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<AdoptError> for io::Error {
    fn from(error: AdoptError) -> io::Error {
        io::Error::new(ErrorKind::InvalidInput, error.source)
    }
}

/// An end that cannot become a descriptor now. It is given back, and still works.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum IntoFdError<E> {
    /// It is half of a split channel, whose other half uses the same socket.
    #[error("half of a split channel cannot become a descriptor of its own")]
    SplitHalf(E),
    /// The program at its other end has not said hello yet, which only this end can hear: [`Channel::wait_ready`](crate::Channel::wait_ready).
    #[error("the program at the other end has not said hello yet: wait for it (`Channel::wait_ready`)")]
    HelloPending(E),
    /// It has received messages which nobody has taken from it ([`Receiver::has_buffered`](crate::Receiver::has_buffered)), or parts of one.
    #[error("it has received messages, or parts of one, which were not taken: receive them (`try_recv` until `Empty`) first")]
    NotEmpty(E),
    /// Clones of it remain, so the descriptor had to be duplicated, and that failed.
    #[error("the descriptor could not be duplicated")]
    Duplicate(E, #[source] io::Error),
}

impl<E> IntoFdError<E> {
    /// Gives the end back.
    #[must_use]
    pub fn into_end(self) -> E {
        match self {
            IntoFdError::SplitHalf(end) | IntoFdError::HelloPending(end) | IntoFdError::NotEmpty(end) | IntoFdError::Duplicate(end, _) => {
                end
            }
        }
    }
}

impl<E> fmt::Debug for IntoFdError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntoFdError::SplitHalf(_) => f.write_str("SplitHalf(..)"),
            IntoFdError::HelloPending(_) => f.write_str("HelloPending(..)"),
            IntoFdError::NotEmpty(_) => f.write_str("NotEmpty(..)"),
            IntoFdError::Duplicate(_, error) => f.debug_tuple("Duplicate").field(error).finish(),
        }
    }
}

impl<E> From<IntoFdError<E>> for io::Error {
    fn from(error: IntoFdError<E>) -> io::Error {
        match error {
            IntoFdError::SplitHalf(_) => io::Error::new(ErrorKind::InvalidInput, IntoFdError::SplitHalf(())),
            IntoFdError::HelloPending(_) => io::Error::new(ErrorKind::WouldBlock, IntoFdError::HelloPending(())),
            IntoFdError::NotEmpty(_) => io::Error::new(ErrorKind::WouldBlock, IntoFdError::NotEmpty(())),
            IntoFdError::Duplicate(_, source) => source,
        }
    }
}
