//! What can become of a call, apart from the answer that was hoped for.

use super::message::CallFault;
use crate::error::{Fault, SendTimeoutError};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

/// Why a call did not give what its method returns.
///
/// `E` is the method's own error: that of `-> Result<T, E>`. A method that returns no `Result` has none, and the variant `Answer` cannot be.
///
/// ```
/// use breezeway::protocol::CallError;
///
/// fn size(outcome: Result<String, CallError<u32>>) -> Result<usize, CallError<u32>> {
///     match outcome {
///         Ok(text) => Ok(text.len()),
///         Err(CallError::Answer(404)) => Ok(0),
///         Err(other) => Err(other),
///     }
/// }
/// assert_eq!(size(Err(CallError::Answer(404))).unwrap(), 0);
/// assert!(size(Err(CallError::TimedOut)).unwrap_err().is_timeout());
/// ```
#[derive(Debug, thiserror::Error)]
pub enum CallError<E = Infallible> {
    /// The service's own answer: the error that its method returned.
    #[error("{0}")]
    Answer(E),
    /// No answer came in time. The service is told that it is no longer wanted; whether it has carried out the call is not known.
    #[error("no answer came in time")]
    TimedOut,
    /// The service is gone. Whether it has carried out the call is not known.
    #[error("the service is gone")]
    Closed,
    /// The call was cancelled by a [`Canceller`](super::Canceller). Whether the service has carried it out is not known.
    #[error("the call was cancelled")]
    Cancelled,
    /// The call was not sent, and so not carried out: the service is gone or takes no more calls (`Closed`), there was no room in time
    /// (`Timeout`), or the arguments cannot be sent (`Fault`).
    #[error("the call was not sent")]
    NotSent(#[source] SendTimeoutError),
    /// The service has no such method.
    #[error("the service has no such method")]
    UnknownMethod,
    /// The service could not read the call, for this reason.
    #[error("the service could not read the call: {0}")]
    Malformed(String),
    /// The method panicked, with this message. The service goes on.
    #[error("the method panicked: {0}")]
    Panicked(String),
    /// The method ended without an answer.
    #[error("the method ended without an answer")]
    Unanswered,
    /// The service has as many calls of this client open as it allows, and has not begun this one.
    #[error("the service has too many calls of this client open")]
    Busy,
    /// The service could not do what answering takes, for this reason.
    #[error("the service could not answer: {0}")]
    Unable(String),
    /// The service answered another method's question.
    #[error("the service answered another method's question")]
    Mismatched,
    /// What arrived is no answer, or a system call failed. What came with it is closed.
    #[error("receiving the answer failed")]
    Fault(#[source] Arc<Fault>),
}

impl<E> CallError<E> {
    /// Whether the service is gone, or takes no more calls.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, CallError::Closed | CallError::NotSent(SendTimeoutError::Closed(())))
    }

    /// Whether the time was too short, for the answer or already for sending the call.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, CallError::TimedOut | CallError::NotSent(SendTimeoutError::Timeout(())))
    }

    /// The service's own answer, if that is why.
    #[must_use]
    pub fn answer(self) -> Option<E> {
        match self {
            CallError::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// The same with another error of the method's own.
    #[must_use]
    pub fn map_answer<F>(self, change: impl FnOnce(E) -> F) -> CallError<F> {
        match self {
            CallError::Answer(answer) => CallError::Answer(change(answer)),
            CallError::TimedOut => CallError::TimedOut,
            CallError::Closed => CallError::Closed,
            CallError::Cancelled => CallError::Cancelled,
            CallError::NotSent(error) => CallError::NotSent(error),
            CallError::UnknownMethod => CallError::UnknownMethod,
            CallError::Malformed(text) => CallError::Malformed(text),
            CallError::Panicked(text) => CallError::Panicked(text),
            CallError::Unanswered => CallError::Unanswered,
            CallError::Busy => CallError::Busy,
            CallError::Unable(text) => CallError::Unable(text),
            CallError::Mismatched => CallError::Mismatched,
            CallError::Fault(fault) => CallError::Fault(fault),
        }
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            CallError::Answer(_) | CallError::Panicked(_) | CallError::Unanswered | CallError::Unable(_) => io::ErrorKind::Other,
            CallError::TimedOut | CallError::NotSent(SendTimeoutError::Timeout(())) => io::ErrorKind::TimedOut,
            CallError::Closed | CallError::NotSent(SendTimeoutError::Closed(())) => io::ErrorKind::BrokenPipe,
            // Not `Interrupted`, which loops take for a reason to try again.
            CallError::Cancelled => io::ErrorKind::Other,
            CallError::NotSent(SendTimeoutError::Fault((), fault)) => fault.kind(),
            CallError::Busy => io::ErrorKind::ResourceBusy,
            CallError::UnknownMethod => io::ErrorKind::Unsupported,
            CallError::Malformed(_) | CallError::Mismatched => io::ErrorKind::InvalidData,
            CallError::Fault(fault) => fault.kind(),
        }
    }
}

impl From<CallFault> for CallError {
    fn from(fault: CallFault) -> CallError {
        match fault {
            CallFault::UnknownMethod => CallError::UnknownMethod,
            CallFault::Malformed(text) => CallError::Malformed(text),
            CallFault::Panicked(text) => CallError::Panicked(text),
            CallFault::Unanswered => CallError::Unanswered,
            CallFault::Busy => CallError::Busy,
            CallFault::Unable(text) => CallError::Unable(text),
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<CallError<E>> for io::Error {
    fn from(error: CallError<E>) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}
