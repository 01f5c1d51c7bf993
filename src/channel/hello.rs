//! How two programs meet: each says first what it speaks, and neither waits for the other before its first message.
//!
//! A program sends its hello before all else, so the other one finds it in front of the first message. If the fingerprints of the message
//! types differ, each sends both schemas as well, so that each can say where the types differ; after that the channel is over. `docs/wire-format.md` has
//! the bytes. Within one program nobody says hello.

use crate::codec;
use crate::codec::field::Message;
use crate::error::{DecodeError, Fault, HelloError, SendFault, SystemError, TypeMismatch};
use crate::limits::Limits;
use crate::packet::Packet;
use crate::schema::{self, Tree};
use crate::sys::socket::{self, Direction};
use crate::transport::{self, NotReceived, NotSent, Wait};
use crate::wire::Kind;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What an end says of itself, and expects, when it meets another program.
///
/// Given to [`Spawn::hello`](crate::process::Spawn::hello) and [`inherited_with`](crate::process::inherited_with).
///
/// ```no_run
/// # #[derive(breezeway::Message)]
/// # struct Line(String);
/// # #[derive(breezeway::Message)]
/// # struct Length(usize);
/// use breezeway::{Hello, Limits, process};
/// use std::time::Duration;
///
/// let hello = Hello::new().limits(Limits::new().max_message(64 * 1024)).timeout(Duration::from_secs(1));
/// let parent = process::inherited_with::<Length, Line>(hello)?;
/// # drop(parent);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello {
    /// The limits of this end. Of the size and the descriptors of a message, the smaller of what the two programs say holds for both from then
    /// on, and a later `with_limits` can only lower it. Default: [`Limits::new`].
    pub limits: Limits,
    /// How long the other program has to say hello. Default: 10 seconds, chosen, not tuned.
    pub timeout: Duration,
}

impl Hello {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Hello {
        Hello { limits: Limits::new(), timeout: Duration::from_secs(10) }
    }

    /// Sets the limits of this end.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Hello {
        self.limits = limits;
        self
    }

    /// Sets how long the other program has to say hello.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Hello {
        self.timeout = timeout;
        self
    }
}

impl Default for Hello {
    fn default() -> Hello {
        Hello::new()
    }
}

/// The first bytes of a hello's body.
const MAGIC: [u8; 8] = *b"breezway";
/// The body format of `docs/wire-format.md`.
const CODEC: u8 = 1;
/// Bytes of a type's name that are sent. Chosen, not tuned.
const NAME: usize = 256;
/// The most of a hello's body, twice what two names take.
const HELLO: Limits = Limits::new().max_message(1024).max_descriptors(0);
/// The most of the schemas': one has at most 4,096 types. Chosen, not tuned, as is what they may take in memory.
const SCHEMAS: Limits = Limits::new().max_message(1 << 20).max_descriptors(0).max_expansion(16);
/// How many packets may stand between the other program's hello and its schemas: what it sent before it had read ours, and no more than its
/// queue holds.
const BETWEEN: usize = 8192;

/// A hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    magic: [u8; 8],
    codec: u8,
    max_message: u64,
    max_descriptors: u32,
    sends: Type,
    receives: Type,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Type {
    name: String,
    fingerprint: u64,
}

#[derive(Serialize, Deserialize)]
struct Schemas {
    sends: Tree,
    receives: Tree,
}

impl Type {
    fn of<T: Message>() -> Type {
        let end = (0..=NAME.min(T::NAME.len())).rev().find(|&end| T::NAME.is_char_boundary(end)).unwrap_or(0);
        Type { name: T::NAME.split_at(end).0.to_owned(), fingerprint: T::fingerprint() }
    }
}

/// What both ends keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed {
    max_message: usize,
    max_descriptors: usize,
}

impl Agreed {
    /// An end's own limits, but no more than was agreed.
    pub(super) fn within(self, limits: &Limits) -> Limits {
        let (message, descriptors) = (limits.max_message.min(self.max_message), limits.max_descriptors.min(self.max_descriptors));
        (*limits).max_message(message).max_descriptors(descriptors)
    }
}

/// What is expected of the other program next.
#[derive(Debug)]
enum Expected {
    Hello,
    /// Its schemas, and how many packets have come instead.
    Schemas(Box<Said>, usize),
}

/// One end's side of the meeting: what it has said, and what it has heard.
#[derive(Debug)]
pub(crate) struct Greeting {
    ours: Said,
    schemas: fn() -> Schemas,
    timeout: Duration,
    /// `None` for a timeout beyond the end of the clock.
    deadline: Option<Instant>,
    expected: Mutex<Expected>,
    outcome: OnceLock<Result<Agreed, HelloError>>,
    /// A receive has reported that the meeting failed.
    told: AtomicBool,
}

/// What a look at the socket came to.
#[derive(Debug)]
pub(super) enum Look<'a> {
    /// It is over.
    Met(&'a Result<Agreed, HelloError>),
    /// Something has come, and it is not.
    Heard,
    /// Nothing has come.
    Nothing,
}

impl Greeting {
    /// Says hello on the socket of an end that sends `S` and receives `R`. That the other end is gone already is no error: it may have said
    /// hello, and more.
    pub(super) fn say<S: Message, R: Message>(socket: BorrowedFd<'_>, hello: &Hello) -> Result<Greeting, SystemError> {
        let ours = Said {
            magic: MAGIC,
            codec: CODEC,
            max_message: hello.limits.max_message as u64,
            max_descriptors: u32::try_from(hello.limits.descriptors()).unwrap_or(u32::MAX),
            sends: Type::of::<S>(),
            receives: Type::of::<R>(),
        };
        match send(Kind::Hello, socket, &ours, &HELLO) {
            Ok(()) | Err(NotSent::Closed) => {}
            Err(NotSent::Fault(SendFault::System(error))) => return Err(error),
            // It always encodes, so somebody else has filled the queue.
            Err(NotSent::Fault(_) | NotSent::Full) => return Err(SystemError { call: "sendmsg", source: ErrorKind::WouldBlock.into() }),
        }
        Ok(Greeting {
            ours,
            schemas: || Schemas { sends: S::schema().tree(), receives: R::schema().tree() },
            timeout: hello.timeout,
            deadline: Instant::now().checked_add(hello.timeout),
            expected: Mutex::new(Expected::Hello),
            outcome: OnceLock::new(),
            told: AtomicBool::new(false),
        })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether nobody has been told of the failure before.
    pub(super) fn tell(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    /// Takes what has come from the other program, if anything has, without waiting. `last`: nothing more will come.
    ///
    /// An error is the socket's: its end before a hello, or a call that failed.
    pub(super) fn look(&self, socket: BorrowedFd<'_>, last: bool) -> Result<Look<'_>, NotReceived> {
        // Two threads may look, one that sends and one that receives.
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = self.outcome.get() {
            return Ok(Look::Met(outcome));
        }
        let over = last || self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let outcome = match &mut *expected {
            Expected::Hello => match receive(Kind::Hello, socket, &HELLO)? {
                Came::Packet(packet) => match read(packet) {
                    Ok(theirs) if self.matches(&theirs) => Ok(self.agree(&theirs)),
                    Ok(theirs) => {
                        // If they cannot be sent, the other program says so without the difference.
                        let _ = send(Kind::Schemas, socket, &(self.schemas)(), &SCHEMAS);
                        *expected = Expected::Schemas(Box::new(theirs), 0);
                        return Ok(Look::Heard);
                    }
                    Err(error) => Err(error),
                },
                Came::Other(fault) => Err(HelloError::Malformed(Arc::new(fault))),
                Came::End => return Err(NotReceived::Closed),
                Came::Nothing if over && !last => Err(HelloError::Silent { waited: self.timeout }),
                Came::Nothing => return Ok(Look::Nothing),
            },
            Expected::Schemas(theirs, between) => match receive(Kind::Schemas, socket, &SCHEMAS)? {
                Came::Packet(packet) => Err(self.mismatch(theirs, codec::decode(packet, &SCHEMAS).ok())),
                // What it sent when it did not know yet.
                Came::Other(_) if *between < BETWEEN && !over => {
                    *between += 1;
                    return Ok(Look::Heard);
                }
                Came::Nothing if !over => return Ok(Look::Nothing),
                Came::Other(_) | Came::Nothing | Came::End => Err(self.mismatch(theirs, None)),
            },
        };
        if outcome.is_err() {
            // The other program shall not wait for what will not come.
            let _ = socket::shutdown(socket, Direction::Both);
        }
        Ok(Look::Met(self.outcome.get_or_init(|| outcome)))
    }

    fn matches(&self, theirs: &Said) -> bool {
        let same = |ours: &Type, theirs: &Type| ours.fingerprint == theirs.fingerprint;
        same(&self.ours.sends, &theirs.receives) && same(&self.ours.receives, &theirs.sends)
    }

    fn agree(&self, theirs: &Said) -> Agreed {
        let smaller = |ours: u64, theirs: u64| usize::try_from(ours.min(theirs)).unwrap_or(usize::MAX);
        Agreed {
            max_message: smaller(self.ours.max_message, theirs.max_message),
            max_descriptors: smaller(self.ours.max_descriptors.into(), theirs.max_descriptors.into()),
        }
    }

    fn mismatch(&self, theirs: &Said, schemas: Option<Schemas>) -> HelloError {
        let ours = (self.schemas)();
        let sent = self.ours.sends.fingerprint != theirs.receives.fingerprint;
        let (here, there, our_tree, their_tree) = if sent {
            (&self.ours.sends, &theirs.receives, ours.sends, schemas.map(|schemas| schemas.receives))
        } else {
            (&self.ours.receives, &theirs.sends, ours.receives, schemas.map(|schemas| schemas.sends))
        };
        Box::new(TypeMismatch {
            here: here.name.clone(),
            there: schema::shown_name(&there.name),
            sent,
            fingerprints: (here.fingerprint, there.fingerprint),
            difference: their_tree.and_then(|theirs| schema::first_difference(&our_tree, &theirs)),
        })
        .into()
    }
}

/// What came from the other program, which decides the meeting; what is wrong with the socket does not.
enum Came {
    Packet(Packet),
    /// A packet that is another or none.
    Other(Fault),
    Nothing,
    End,
}

fn receive(kind: Kind, socket: BorrowedFd<'_>, limits: &Limits) -> Result<Came, SystemError> {
    match transport::receive_kind(kind, socket, limits, Wait::Not) {
        Ok(packet) => Ok(Came::Packet(packet)),
        Err(NotReceived::Fault(Fault::System(error))) => Err(error),
        Err(NotReceived::Fault(fault)) => Ok(Came::Other(fault)),
        Err(NotReceived::Empty) => Ok(Came::Nothing),
        Err(NotReceived::Closed) => Ok(Came::End),
    }
}

/// Reads a hello. Its first bytes are what they are in every codec.
fn read(packet: Packet) -> Result<Said, HelloError> {
    let malformed = |fault: Fault| HelloError::Malformed(Arc::new(fault));
    match packet.body.as_slice().split_first_chunk::<9>() {
        Some((&[magic @ .., CODEC], _)) if magic == MAGIC => codec::decode(packet, &HELLO).map_err(malformed),
        Some((&[magic @ .., found], _)) if magic == MAGIC => Err(HelloError::Codec { expected: CODEC, found }),
        _ => Err(malformed(DecodeError::Invalid { expected: "a hello".into() }.into())),
    }
}

fn send<T: Serialize>(kind: Kind, socket: BorrowedFd<'_>, value: &T, limits: &Limits) -> Result<(), NotSent> {
    let packet = codec::encode(value, limits, None)?;
    transport::send_kind(kind, socket, &packet, Wait::Not)
}
