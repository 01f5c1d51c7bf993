//! Typed channels between processes.
//!
//! A message is a Rust type. Files, sockets and other channels travel inside it as ordinary fields, and the process at the other end
//! may be hostile, slow or dead: the program still gets every message, or a clear error.
//!
//! ```
//! use breezeway::{Channel, Message};
//! use std::{fs::File, io::Read, path::PathBuf};
//!
//! #[derive(Message)]
//! enum Job {
//!     Count { name: PathBuf, file: File }, // the file itself travels
//!     Stop,
//! }
//!
//! #[derive(Message)]
//! enum Report {
//!     Bytes(u64),
//!     Failed(String),
//! }
//!
//! let (parent, worker) = Channel::<Job, Report>::pair()?;
//! parent.send(Job::Count { name: "Cargo.toml".into(), file: File::open("Cargo.toml")? })?;
//!
//! // … in the other process:
//! if let Job::Count { mut file, .. } = worker.recv()? {
//!     let mut text = Vec::new();
//!     worker.send(match file.read_to_end(&mut text) {
//!         Ok(count) => Report::Bytes(count as u64),
//!         Err(error) => Report::Failed(error.to_string()),
//!     })?;
//! }
//! assert!(matches!(parent.recv()?, Report::Bytes(1..)));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! - [`channel()`] gives a [`Sender`] and a [`Receiver`], [`Channel::pair`] two two-way ends. They are used as those of `std::sync::mpsc`.
//! - [`macro@protocol`] makes of one trait the messages of both directions, a client and a service; [`mod@protocol`] says how.
//! - [`process::ForkedProcess`] runs a closure in a fork of this process, with a channel to it.
//! - [`schema`] tells what a message looks like on the wire, so that two programs can compare what they mean.
//! - [`process::CommandExt`] starts another program with a channel to it, which that program takes by [`process::inherited`].
//! - [`select`] waits for many ends, children, descriptors and deadlines at once.
//! - [`memory`] is for bytes that several processes read without a copy: [`SharedBytes`].
//! - [`socket`] is the layer below: packets and descriptors without types.
//!
//! One message is one packet, sent by one `sendmsg` and received by one `recvmsg`; one of more than 4 MiB takes several, and many small ones may share one
//! ([`Sender::send_all`], [`Sender::buffered`]). How that works, what it costs and what a peer may
//! do is in the project's `docs/`.
//!
//! # Features
//!
//! - `testing`: the module `testing`, a raw peer that sends literal bytes and a ledger of open descriptors.
//! - `tokio`: forking inside a tokio runtime is refused.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "breezeway works on Linux only. To build your program elsewhere too, depend on it for Linux alone, in Cargo.toml: \
     [target.'cfg(target_os = \"linux\")'.dependencies] breezeway = \"0.1\""
);

mod channel;
mod codec;
mod error;
mod limits;
pub mod memory;
mod packet;
pub mod process;
pub mod protocol;
pub mod schema;
pub mod select;
pub mod socket;
mod sys;
#[cfg(feature = "testing")]
pub mod testing;

mod transport;
mod wire;

pub use breezeway_derive::{Message, protocol};
pub use bytes::Bytes;
pub use channel::{BufferedSender, Channel, Hello, IntoIter, Iter, Receiver, Sender, TryIter, Waiting, channel};
pub use codec::field::{Blob, Fd, Field, Message};
pub use error::{
    AdoptError, AdoptFault, DecodeError, EncodeError, Fault, HelloError, IntoFdError, ProtocolError, RecvError, RecvTimeoutError,
    SendAllError, SendError, SendFault, SendTimeoutError, SystemError, TryRecvError, TrySendError, TypeMismatch,
};
pub use limits::Limits;
pub use memory::{SharedBytes, SharedMemory};

/// What `#[derive(Message)]` names. Not for use by hand: it changes without notice.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "testing")]
    pub use crate::codec::bench;
    pub use crate::codec::field::{Field, Message};
    pub use crate::protocol;
    pub use crate::schema::Schema;
    pub use crate::schema::constant::{Child, Kind, Payload};
    pub use breezeway_derive::Message as DeriveMessage;
    pub use serde;
}

/// The code blocks of the project's pages, compiled with the tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/architecture.md")]
    mod architecture {}
    #[doc = include_str!("../docs/ends.md")]
    mod ends {}
    #[doc = include_str!("../docs/schema.md")]
    mod schema {}
    #[doc = include_str!("../docs/performance.md")]
    mod performance {}
    #[doc = include_str!("../docs/peers.md")]
    mod peers {}
    #[doc = include_str!("../docs/processes.md")]
    mod processes {}
    #[doc = include_str!("../docs/readiness.md")]
    mod readiness {}
    #[doc = include_str!("../docs/protocols.md")]
    mod protocols {}
    #[doc = include_str!("../docs/wire-format.md")]
    mod wire_format {}
}
