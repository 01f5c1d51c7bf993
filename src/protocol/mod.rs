//! Calls between processes: one trait gives the message enums of both directions, a client and a service.
//!
//! ```
//! use breezeway::protocol::{Call, CallError, Feed, Stream};
//! use std::{fs::File, path::PathBuf};
//!
//! /// Files of another process.
//! #[breezeway::protocol]
//! pub trait Files {
//!     /// Opens a file for reading.
//!     fn open(path: PathBuf) -> Result<File, String>;
//!     /// The names in a directory.
//!     fn list(path: PathBuf) -> Stream<PathBuf, String>;
//! }
//!
//! struct Plain;
//!
//! impl FilesService for Plain {
//!     fn open(&self, _: &Call, path: PathBuf) -> Result<File, String> {
//!         File::open(path).map_err(|error| error.to_string())
//!     }
//!
//!     fn list(&self, _: &Call, path: PathBuf, names: Feed<PathBuf, String>) {
//!         let sent = match std::fs::read_dir(path) {
//!             Ok(directory) => directory.flatten().all(|entry| names.send(entry.path()).is_ok()) && names.finish().is_ok(),
//!             Err(error) => names.fail(error.to_string()).is_ok(),
//!         };
//!         if !sent {
//!             eprintln!("the reader has gone");
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = Files::in_process(Plain)?; // a thread; for a process, see below
//! let manifest: File = files.open("Cargo.toml".into())?;
//! assert!(matches!(files.open("missing".into()), Err(CallError::Answer(_reason))));
//! let names = files.list("src".into())?.collect::<Result<Vec<_>, _>>()?;
//! assert!(names.contains(&"src/lib.rs".into()));
//! # Ok(()) }
//! ```
//!
//! # What the trait gives
//!
//! Of `trait Files`, [`#[protocol]`](macro@crate::protocol) makes:
//!
//! - `FilesRequest` and `FilesReply`, the calls and answers as messages: to log, to match, to compare.
//! - `FilesClient`, on a [`ClientEnd<Files>`](ClientEnd): `open(path)` calls and waits, `start_open(path)` gives a [`Pending`] to wait for later.
//! - `FilesService`, the trait that a service implements. Its methods get a [`Call`] beside the arguments: who called, and for how long
//!   the answer is wanted.
//! - `Files` itself, with `Files::serve(service, channel)`, `Files::server(service)` for a [`Server`] with options, `Files::pair()` and
//!   `Files::in_process(service)`.
//!
//! The ends are ordinary channels. A forked child serves by
//! `ForkedProcess::spawn(|channel: ServiceEnd<Files>| Files::serve(Plain, channel))`, and its parent calls by
//! `FilesClient::new(child.into_parts().0)`; a program that was started says `Files::serve(Plain, process::inherited()?)`. Many clients are
//! served by one loop: [`clients`](clients()) and [`Server::serve_all`].
//!
//! # How a method answers
//!
//! | in the trait | the client gets | the service's method |
//! |---|---|---|
//! | `fn f(a: A) -> T;` | `Result<T, CallError>` | returns `T` |
//! | `fn f(a: A) -> Result<T, E>;` | `Result<T, CallError<E>>`, with `E` in [`CallError::Answer`] | returns `Result<T, E>` |
//! | `fn f(a: A) -> Stream<T>;` or `Stream<T, E>` | a [`Stream`], as soon as the method begins | gets a [`Feed`] |
//! | `#[later] fn f(a: A) -> T;` | as without `#[later]` | gets a [`Reply`], to answer from anywhere |
//! | `#[oneway] fn f(a: A);` | `Result<(), CallError>`, of sending alone | returns nothing |
//!
//! Arguments and results are whatever may be a field of a message: files, channels, streams, and clients of this or other protocols.
//!
//! # Who waits for whom
//!
//! A client has no thread: of the callers that wait, one receives for all, and one that has no room to send receives meanwhile. A service
//! reads from a client only while it can answer it, and never waits for one that does not read. So neither side ever only sends, and what
//! one client makes a service hold is bounded ([`Server::calls`]).

mod call;
mod client;
mod clients;
mod connection;
mod error;
mod in_process;
mod message;
mod pending;
mod reply;
mod server;
mod serving;
mod stream;
mod table;
mod turns;

#[doc(hidden)]
pub use crate::error::SystemError;
pub use call::{Call, ClientId, Incoming};
pub use client::Caller;
pub use clients::{Arrivals, Clients, clients};
pub use error::CallError;
pub use in_process::InProcess;
pub use message::{CallFault, Request, Response};
pub use pending::{Canceller, Pending};
pub use reply::Reply;
pub use server::{Server, Stop};
pub use stream::{Feed, Item, Stream, StreamError, stream};

use crate::channel::Channel;
use crate::codec::field::Message;
use std::io;

/// A protocol: what may be asked, and what is answered. Implemented by the attribute of that name for the type that it makes of the trait's name.
pub trait Protocol: Sized + 'static {
    /// The trait's name.
    const NAME: &'static str;
    /// The enum of all calls: a variant for each method, with its arguments as fields.
    type Request: Message + Send;
    /// The enum of all answers: a variant for each method that has one, with what it returns.
    type Reply: Message + Send;
}

/// The client's end of a channel on which the protocol `P` is spoken.
pub type ClientEnd<P> = Channel<Request<<P as Protocol>::Request>, Response<<P as Protocol>::Reply>>;
/// The service's end of a channel on which the protocol `P` is spoken.
pub type ServiceEnd<P> = Channel<Response<<P as Protocol>::Reply>, Request<<P as Protocol>::Request>>;

/// Both ends of a channel on which `P` is spoken: used by generated code.
#[doc(hidden)]
#[allow(clippy::missing_errors_doc, reason = "told by the generated code")]
pub fn pair<P: Protocol>() -> io::Result<(ClientEnd<P>, ServiceEnd<P>)> {
    Channel::pair()
}

/// What `-> Result<T, E>` of a method is made of, where the macro cannot see it.
#[diagnostic::on_unimplemented(
    message = "a method of a protocol that returns a type called `Result` returns the standard library's",
    label = "this is another `Result`",
    note = "rename the type, or give it another name by `use … as …`"
)]
#[doc(hidden)]
pub trait Answer {
    /// What a call gives.
    type Ok;
    /// What the service answers instead.
    type Err;

    /// The same as the standard library's type.
    #[allow(clippy::missing_errors_doc, reason = "the value itself")]
    fn into_result(self) -> Result<Self::Ok, Self::Err>;
}

impl<T, E> Answer for Result<T, E> {
    type Ok = T;
    type Err = E;

    fn into_result(self) -> Result<T, E> {
        self
    }
}
