//! One error type per operation of an end, with what that operation can report and nothing else.
//!
//! An error of a send gives the message back. None of them needs `T: Debug`, and none prints a message.

use super::{Fault, SendFault};
use std::fmt;
use std::io::{self, ErrorKind};

/// The error types of sending: `$condition` beside `Closed` and `Fault`.
macro_rules! send_errors {
    ($($(#[$doc:meta])* $name:ident { $($(#[$condition_doc:meta])* $condition:ident: $text:literal, $kind:ident, $is:ident;)? })+) => {$(
        $(#[$doc])*
        pub enum $name<T = ()> {
            $($(#[$condition_doc])*
            $condition(T),)?
            /// Nobody can receive any more: the other end, and every copy of it, is gone.
            Closed(T),
            /// The message cannot be sent as it is. The channel goes on.
            Fault(T, SendFault),
        }

        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($name::$condition(_) => f.write_str($text),)?
                    $name::Closed(_) => f.write_str("the other end of the channel is closed"),
                    $name::Fault(_, fault) => fault.fmt(f),
                }
            }
        }

        /// The fault speaks for itself: it is what the error says, and its cause is the error's.
        impl<T> std::error::Error for $name<T> {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                self.fault()?.source()
            }
        }

        impl<T> $name<T> {
            /// Gives the message back.
            #[must_use]
            pub fn into_message(self) -> T {
                match self {
                    $($name::$condition(message) => message,)?
                    $name::Closed(message) | $name::Fault(message, _) => message,
                }
            }

            /// Drops the message, for `?` into an error that must be `Sync` when the message is not (it holds a receiver, say).
            #[must_use]
            pub fn without_message(self) -> $name {
                match self {
                    $($name::$condition(_) => $name::$condition(()),)?
                    $name::Closed(_) => $name::Closed(()),
                    $name::Fault(_, fault) => $name::Fault((), fault),
                }
            }

            /// Whether nobody can receive any more.
            #[must_use]
            pub fn is_closed(&self) -> bool {
                matches!(self, $name::Closed(_))
            }

            $(
            /// Whether it would have gone through with more time, or more room.
            #[must_use]
            pub fn $is(&self) -> bool {
                matches!(self, $name::$condition(_))
            }
            )?

            /// What is wrong with the message, if that is why.
            #[must_use]
            pub fn fault(&self) -> Option<&SendFault> {
                match self {
                    $name::Fault(_, fault) => Some(fault),
                    _ => None,
                }
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($name::$condition(_) => f.write_str(concat!(stringify!($condition), "(..)")),)?
                    $name::Closed(_) => f.write_str("Closed(..)"),
                    $name::Fault(_, fault) => f.debug_tuple("Fault").field(fault).finish(),
                }
            }
        }

        /// Without the message, so that it may be of any type.
        impl<T> From<$name<T>> for io::Error {
            fn from(error: $name<T>) -> io::Error {
                match error.without_message() {
                    $($name::$condition(()) => io::Error::new(ErrorKind::$kind, $name::$condition(())),)?
                    $name::Closed(()) => io::Error::new(ErrorKind::BrokenPipe, $name::Closed(())),
                    $name::Fault((), fault) => fault.into(),
                }
            }
        }
    )+};
}

send_errors! {
    /// Why a message was not sent.
    SendError {}
    /// Why a message was not sent at once.
    TrySendError {
        /// As much is waiting to be received as the kernel queues. Nothing was sent.
        Full: "the channel is full: the other end has not received what was sent before", WouldBlock, is_full;
    }
    /// Why a message was not sent in time.
    SendTimeoutError {
        /// The channel stayed full until the deadline. Nothing was sent.
        Timeout: "the channel stayed full until the deadline", TimedOut, is_timeout;
    }
}

/// Why not all of many messages were sent: [`send_all`](crate::Sender::send_all).
#[derive(thiserror::Error)]
#[error("{sent} messages were sent, and the next was not")]
pub struct SendAllError<T, E: std::error::Error + 'static = SendError> {
    /// How many were sent.
    pub sent: usize,
    /// Those that were taken from the iterator and not sent, in order.
    pub unsent: Vec<T>,
    /// Why. A fault of a message is that of the first of them.
    pub source: E,
}

impl<T, E: std::error::Error> fmt::Debug for SendAllError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAllError").field("sent", &self.sent).field("unsent", &self.unsent.len()).field("source", &self.source).finish()
    }
}

/// Without the messages, and without how many were sent.
impl<T, E: std::error::Error + Into<io::Error>> From<SendAllError<T, E>> for io::Error {
    fn from(error: SendAllError<T, E>) -> io::Error {
        error.source.into()
    }
}

/// The error types of receiving.
macro_rules! receive_errors {
    ($($(#[$doc:meta])* $name:ident { $($(#[$condition_doc:meta])* $condition:ident: $text:literal, $kind:ident, $is:ident;)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, thiserror::Error)]
        pub enum $name {
            $($(#[$condition_doc])*
            #[error($text)]
            $condition,)?
            /// Every sender is gone, and everything that they sent has been received. An end, not a failure.
            #[error("the other end of the channel is closed")]
            Closed,
            /// What arrived is no message of this type, or a system call failed. What came with it is closed, and the next message can be received.
            #[error(transparent)]
            Fault(#[from] Fault),
        }

        impl $name {
            /// Whether this is the end of the channel.
            #[must_use]
            pub fn is_closed(&self) -> bool {
                matches!(self, $name::Closed)
            }

            $(
            /// Whether there is nothing yet.
            #[must_use]
            pub fn $is(&self) -> bool {
                matches!(self, $name::$condition)
            }
            )?

            /// What is wrong with what arrived, if that is why.
            #[must_use]
            pub fn fault(&self) -> Option<&Fault> {
                match self {
                    $name::Fault(fault) => Some(fault),
                    _ => None,
                }
            }

            fn kind(&self) -> ErrorKind {
                match self {
                    $($name::$condition => ErrorKind::$kind,)?
                    $name::Closed => ErrorKind::UnexpectedEof,
                    $name::Fault(fault) => fault.kind(),
                }
            }
        }

        impl From<$name> for io::Error {
            fn from(error: $name) -> io::Error {
                match error {
                    $name::Fault(fault) => fault.into(),
                    condition => io::Error::new(condition.kind(), condition),
                }
            }
        }
    )+};
}

receive_errors! {
    /// Why no message was received.
    RecvError {}
    /// Why no message was received at once.
    TryRecvError {
        /// Nothing has arrived.
        Empty: "nothing has arrived on the channel", WouldBlock, is_empty;
    }
    /// Why no message was received in time.
    RecvTimeoutError {
        /// Nothing arrived until the deadline.
        Timeout: "nothing arrived on the channel until the deadline", TimedOut, is_timeout;
    }
}
