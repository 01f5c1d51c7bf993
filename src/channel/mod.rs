//! Typed channels: [`Sender`], [`Receiver`] and the two-way [`Channel`].
//!
//! An end is a socket and a type. What an end may do beyond sending and receiving (being cloned, split, sent in a message, becoming a
//! descriptor) and who learns of its closing is decided here; `docs/ends.md` has the table. Stands on [`crate::socket`].

mod batch;
mod buffered;
mod duplex;
mod end;
mod hello;
mod inbox;
mod iter;
mod peer;
mod receiver;
mod sender;
mod source;
mod unfinished;
mod verbs;
mod waiting;

pub use buffered::BufferedSender;
pub use duplex::Channel;
pub use iter::{IntoIter, Iter, TryIter};
pub use receiver::Receiver;
pub use sender::Sender;
pub use source::Source;

pub use hello::Hello;
pub use waiting::Waiting;

pub(crate) use crate::sys::poll::Ready;
pub(crate) use buffered::forked;
pub(crate) use end::End;
pub(crate) use hello::Greeting;
pub(crate) use peer::Peer;
pub(crate) use source::{Registry, Sealed, Waitable};

use crate::codec::field::{Field, part};
use crate::error::{AdoptError, SystemError};
use crate::schema::Schema;
use crate::schema::constant::Kind;
use serde::{Deserialize, Deserializer, Serializer};
use std::io;
use std::os::fd::OwnedFd;

/// A one-way channel for messages of type `T`: what is sent on the [`Sender`] arrives, once and in order, at the [`Receiver`].
///
/// Both ends start in this process. To let another process have one, fork (captured by the closure; the child then holds the other end
/// too, see [`ForkedProcess`](crate::process::Child::spawn)), or send it in a message. The
/// sender may be cloned; the channel ends when the last copy in the last process is gone, and the receiver gets everything that was
/// sent before it learns of the end. A process that gave its sender to others and waits for them has to drop its own copy.
///
/// # Errors
///
/// What the kernel says: no descriptor is free, or no memory.
///
/// ```
/// let (sender, receiver) = breezeway::channel::<String>()?;
/// sender.send("hello".into())?;
/// drop(sender);
/// assert_eq!(receiver.recv()?, "hello");
/// assert!(receiver.recv().unwrap_err().is_closed());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn channel<T>() -> io::Result<(Sender<T>, Receiver<T>)> {
    Ok(one_way()?)
}

/// The same with the error as it came.
pub(crate) fn one_way<T>() -> Result<(Sender<T>, Receiver<T>), SystemError> {
    let (sending, receiving) = End::pair()?;
    Ok((Sender::whole(sending), Receiver::whole(receiving)))
}

/// Where a descriptor in a message must be an end.
fn take_end<'de, E: TryFrom<OwnedFd, Error = AdoptError>, D: Deserializer<'de>>(deserializer: D) -> Result<E, D::Error> {
    use crate::codec::frame;
    let (index, descriptor) = frame::take_descriptor(deserializer)?;
    E::try_from(descriptor).map_err(|error| frame::refuse_kind(index, error.fd, "a connected unix seqpacket socket"))
}

// An end is a field where its message is one too: the other process must know what comes out of it.
impl<T: Field> Field for Sender<T> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Sender(part::<T>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer)
    }
}

impl<T: Field> Field for Receiver<T> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Receiver(part::<T>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.half().put(serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take_end(deserializer)
    }
}

impl<S: Field, R: Field> Field for Channel<S, R> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Channel(part::<S>(), part::<R>()));

    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        self.end().put(false, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take_end(deserializer)
    }
}

/// A sender may be a value of plain serde types too: it is the one end that can be cloned, so sending a copy of it takes nothing away.
impl<T> serde::Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.half().put(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take_end(deserializer)
    }
}

/// What must hold for every message type, `Send` or not: an end holds none.
const _: () = {
    struct NotSend(std::marker::PhantomData<*const ()>);
    const fn send<E: Send>() {}
    const fn sync_and_clone<E: Sync + Clone>() {}
    send::<Sender<NotSend>>();
    sync_and_clone::<Sender<NotSend>>();
    send::<Receiver<NotSend>>();
    send::<Channel<NotSend, NotSend>>();
};
