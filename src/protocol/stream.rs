//! Many values as an answer, or as an argument: a channel of its own, whose end says whether it is complete.

use crate::channel::{Receiver, Sender, one_way};
use crate::codec::field::{Field, part};
use crate::error::{Fault, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use crate::schema::Schema;
use crate::schema::constant::Kind;
use serde::{Deserializer, Serializer};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// What travels in a stream.
#[derive(breezeway_derive::Message)]
#[message(crate = "crate")]
#[serde(rename_all = "snake_case")]
pub enum Item<T, E = Infallible> {
    /// A value.
    Next(T),
    /// All values were sent.
    Finished,
    /// There is no next value, for this reason.
    Failed(E),
}

/// Values of type `T` from another process, as an iterator: what a method that returns `Stream<T>` gives.
///
/// It has a channel of its own: a reader that is slow makes the [`Feed`] wait, and one that drops it makes the feed's sends fail. It ends
/// when the feed has said [`finish`](Feed::finish), or with the feed's own error `E`. A feed that goes without either, because its
/// process died or its thread panicked, leaves the error [`StreamError::Broken`], so that a part is not taken for the whole.
///
/// ```
/// use breezeway::protocol::stream;
///
/// let (feed, values) = stream::<u32>()?;
/// feed.send(1)?;
/// feed.send(2)?;
/// feed.finish()?;
/// assert_eq!(values.collect::<Result<Vec<_>, _>>()?, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a stream that is dropped makes its feed fail"]
pub struct Stream<T, E = Infallible> {
    receiver: Receiver<Item<T, E>>,
    over: bool,
}

/// The other end of a [`Stream`]: what a handler gets for a method that returns one.
///
/// Dropped without [`finish`](Feed::finish) or [`fail`](Feed::fail), the stream ends as broken.
#[must_use = "a stream whose feed is dropped ends as broken: finish it"]
pub struct Feed<T, E = Infallible> {
    sender: Sender<Item<T, E>>,
}

/// Why a stream gave no value.
#[derive(Debug, thiserror::Error)]
pub enum StreamError<E = Infallible> {
    /// The feed's own error, after which there is nothing.
    #[error("{0}")]
    Failed(E),
    /// The feed went without having finished: what was received is only a part.
    #[error("the stream broke off: its feed is gone and had not finished")]
    Broken,
    /// Nothing came in time. Only from [`next_timeout`](Stream::next_timeout) and [`next_deadline`](Stream::next_deadline); the stream goes on.
    #[error("nothing came in time")]
    TimedOut,
    /// What arrived is no value, or a system call failed.
    #[error("receiving failed")]
    Fault(#[source] Fault),
}

/// A feed without errors of its own, and its stream, in this process; either may be an argument or an answer.
///
/// # Errors
///
/// What the kernel says: no descriptor is free, or no memory.
pub fn stream<T>() -> io::Result<(Feed<T>, Stream<T>)> {
    Stream::pair()
}

impl<T, E> Stream<T, E> {
    /// A feed and its stream, in this process; either may be an argument or an answer.
    ///
    /// # Errors
    ///
    /// What the kernel says: no descriptor is free, or no memory.
    pub fn pair() -> io::Result<(Feed<T, E>, Stream<T, E>)> {
        let (sender, receiver) = one_way()?;
        Ok((Feed { sender }, Stream { receiver, over: false }))
    }
}

impl<T: Field, E: Field> Feed<T, E> {
    /// Sends a value. Waits while the stream is full.
    ///
    /// # Errors
    ///
    /// `Closed` when the stream was dropped, `Fault` for a value that cannot be sent. Each gives the value back.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.sender.send(Item::Next(value)).map_err(|error| match error {
            SendError::Closed(item) => SendError::Closed(value_of(item)),
            SendError::Fault(item, fault) => SendError::Fault(value_of(item), fault),
        })
    }

    /// Sends a value if there is room now. Never waits.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Feed::send), and `Full`.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.sender.try_send(Item::Next(value)).map_err(|error| match error {
            TrySendError::Full(item) => TrySendError::Full(value_of(item)),
            TrySendError::Closed(item) => TrySendError::Closed(value_of(item)),
            TrySendError::Fault(item, fault) => TrySendError::Fault(value_of(item), fault),
        })
    }

    /// Sends a value. Waits at most `timeout` while the stream is full.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Feed::send), and `Timeout`.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.sender.send_timeout(Item::Next(value), timeout).map_err(|error| match error {
            SendTimeoutError::Timeout(item) => SendTimeoutError::Timeout(value_of(item)),
            SendTimeoutError::Closed(item) => SendTimeoutError::Closed(value_of(item)),
            SendTimeoutError::Fault(item, fault) => SendTimeoutError::Fault(value_of(item), fault),
        })
    }

    /// Ends the stream: all values were sent. Waits while the stream is full.
    ///
    /// # Errors
    ///
    /// `Closed` when the stream was dropped.
    pub fn finish(self) -> Result<(), SendError> {
        self.sender.send(Item::Finished).map_err(SendError::without_message)
    }

    /// Ends the stream with an error of the feed's own. Waits while the stream is full.
    ///
    /// # Errors
    ///
    /// `Closed` when the stream was dropped, `Fault` for an error that cannot be sent.
    pub fn fail(self, error: E) -> Result<(), SendError> {
        self.sender.send(Item::Failed(error)).map_err(SendError::without_message)
    }

    /// Whether the stream was dropped, so that sending would fail. Never waits; one system call.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The value of an item that came back.
fn value_of<T, E>(item: Item<T, E>) -> T {
    match item {
        Item::Next(value) => value,
        Item::Finished | Item::Failed(_) => unreachable!("an error of a send gives back what was sent"),
    }
}

impl<T: Field, E: Field> Stream<T, E> {
    /// The next value if it is there now; `None` at the end. Never waits.
    ///
    /// # Errors
    ///
    /// Every [`StreamError`]; `TimedOut` when there is nothing yet.
    pub fn try_next(&mut self) -> Result<Option<T>, StreamError<E>> {
        self.step(|receiver| {
            receiver.try_recv().map_err(|error| match error {
                TryRecvError::Empty => StreamError::TimedOut,
                TryRecvError::Closed => StreamError::Broken,
                TryRecvError::Fault(fault) => StreamError::Fault(fault),
            })
        })
    }

    /// The next value; `None` at the end. Waits at most `timeout`.
    ///
    /// # Errors
    ///
    /// Every [`StreamError`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<T>, StreamError<E>> {
        self.step(|receiver| receiver.recv_timeout(timeout).map_err(in_time))
    }

    /// The next value; `None` at the end. Waits until `deadline`.
    ///
    /// # Errors
    ///
    /// Every [`StreamError`].
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<T>, StreamError<E>> {
        self.step(|receiver| receiver.recv_deadline(deadline).map_err(in_time))
    }

    fn step(
        &mut self,
        receive: impl FnOnce(&Receiver<Item<T, E>>) -> Result<Item<T, E>, StreamError<E>>,
    ) -> Result<Option<T>, StreamError<E>> {
        if self.over {
            return Ok(None);
        }
        let error = match receive(&self.receiver) {
            Ok(Item::Next(value)) => return Ok(Some(value)),
            Ok(Item::Finished) => {
                self.over = true;
                return Ok(None);
            }
            Ok(Item::Failed(error)) => StreamError::Failed(error),
            Err(error) => error,
        };
        // A fault costs one value; one of the system may come for ever.
        self.over = matches!(error, StreamError::Failed(_) | StreamError::Broken | StreamError::Fault(Fault::System(_)));
        Err(error)
    }
}

fn in_time<E>(error: RecvTimeoutError) -> StreamError<E> {
    match error {
        RecvTimeoutError::Timeout => StreamError::TimedOut,
        RecvTimeoutError::Closed => StreamError::Broken,
        RecvTimeoutError::Fault(fault) => StreamError::Fault(fault),
    }
}

impl<T: Field, E: Field> Iterator for Stream<T, E> {
    type Item = Result<T, StreamError<E>>;

    /// Waits for the next value.
    fn next(&mut self) -> Option<Self::Item> {
        let receive = |receiver: &Receiver<_>| {
            receiver.recv().map_err(|error| match error {
                crate::error::RecvError::Closed => StreamError::Broken,
                crate::error::RecvError::Fault(fault) => StreamError::Fault(fault),
            })
        };
        self.step(receive).transpose()
    }
}

impl<T: Field, E: Field> FusedIterator for Stream<T, E> {}

/// For waiting on more than one thing: poll it for reading, then call [`try_next`](Stream::try_next) until it says `TimedOut` before
/// polling again.
impl<T, E> AsFd for Stream<T, E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

macro_rules! as_its_end {
    ($($name:ident { $end:ident: $kind:ty } $make:expr;)+) => {$(
        impl<T: Field, E: Field> Field for $name<T, E> {
            const SCHEMA: Schema = Schema::new::<Self>("", Kind::Same(part::<$kind>()));

            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Field::serialize(&self.$end, serializer)
            }

            fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Field::deserialize(deserializer).map($make)
            }
        }

        impl<T, E> fmt::Debug for $name<T, E> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("fd", &self.$end.as_fd()).finish()
            }
        }
    )+};
}

as_its_end! {
    Stream { receiver: Receiver<Item<T, E>> } |receiver| Stream { receiver, over: false };
    Feed { sender: Sender<Item<T, E>> } |sender| Feed { sender };
}
