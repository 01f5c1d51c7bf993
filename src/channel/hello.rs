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
/// How long the other program's schemas are waited for where it does not take ours: it sends them at once, when it has read our hello. Chosen, not tuned.
const SOON: Duration = Duration::from_millis(100);

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

#[derive(Debug, Serialize, Deserialize)]
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
    /// Its types are others: its schemas, and that it takes ours.
    Schemas(Box<Difference>),
}

/// The other program's hello, and how far the exchange of schemas has come.
#[derive(Debug)]
struct Difference {
    theirs: Said,
    /// Ours are on their way, or cannot be.
    sent: bool,
    /// Theirs have come, as such or not.
    come: Option<Option<Schemas>>,
    /// Packets that have come instead.
    between: usize,
    /// No longer than until then.
    until: Option<Instant>,
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
    /// Nothing has come, and nothing but schemas may be sent any more; room for them is waited for too where they are not.
    Differs { sent: bool, until: Option<Instant> },
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
        // It always encodes, so somebody else has filled the queue.
        let full = || SystemError { call: "sendmsg", source: ErrorKind::WouldBlock.into() };
        match send(Kind::Hello, socket, &ours, &HELLO) {
            Ok(()) | Err(NotSent::Closed) => {}
            Err(NotSent::Full) => return Err(full()),
            Err(NotSent::Fault(fault)) => return Err(if let SendFault::System(error) = *fault { error } else { full() }),
        }
        Ok(Greeting {
            ours,
            schemas: || Schemas { sends: S::schema().tree(), receives: R::schema().tree() },
            timeout: hello.timeout,
            deadline: None,
            expected: Mutex::new(Expected::Hello),
            outcome: OnceLock::new(),
            told: AtomicBool::new(false),
        })
    }

    /// The other program has begun; its time runs.
    pub(super) fn start_clock(&mut self) {
        self.deadline = Instant::now().checked_add(self.timeout);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether it is known what came of it.
    pub(super) fn is_over(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// Where nothing but schemas may be sent: whether ours are, and until when the other program's are waited for.
    pub(super) fn exchanging(&self) -> Option<(bool, Option<Instant>)> {
        if self.is_over() {
            return None;
        }
        match &*self.expected.lock().unwrap_or_else(PoisonError::into_inner) {
            Expected::Hello => None,
            Expected::Schemas(difference) => Some((difference.sent, difference.until)),
        }
    }

    /// Whether nobody has been told of the failure before.
    pub(super) fn tell(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    /// Nobody will hear the other program any more: what this end sends is within its own limits, and the other end says whether it fits.
    pub(super) fn stop_listening(&self) {
        self.outcome.get_or_init(|| Ok(self.agree(&self.ours)));
    }

    /// Takes one packet that has come from the other program, without waiting. `ended`: whether the other program has; asked where nothing has
    /// come in time.
    ///
    /// An error is the socket's: its end before a hello, or a call that failed.
    pub(super) fn look(&self, socket: BorrowedFd<'_>, ended: impl Fn() -> bool) -> Result<Look<'_>, NotReceived> {
        if let Some(outcome) = self.outcome.get() {
            return Ok(Look::Met(outcome));
        }
        // Two threads may look, one that sends and one that receives.
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = self.outcome.get() {
            return Ok(Look::Met(outcome));
        }
        let outcome = match &mut *expected {
            Expected::Hello => match receive(Kind::Hello, socket, &HELLO)? {
                Came::Packet(packet) => match read(packet) {
                    Ok(theirs) if self.matches(&theirs) => Ok(self.agree(&theirs)),
                    Ok(theirs) => {
                        *expected = Expected::Schemas(Box::new(Difference::from(theirs, self.deadline)));
                        return Ok(Look::Heard);
                    }
                    Err(error) => Err(error),
                },
                Came::Other(fault) => Err(HelloError::Malformed(Arc::new(fault))),
                Came::End => return Err(NotReceived::Closed),
                Came::Nothing if !is_over(self.deadline) => return Ok(Look::Nothing),
                Came::Nothing if ended() => return Err(NotReceived::Closed),
                Came::Nothing => Err(HelloError::Silent { waited: self.timeout }),
            },
            Expected::Schemas(difference) => match self.exchange(socket, difference, ended)? {
                Some(going_on) => return Ok(going_on),
                None => Err(self.mismatch(difference)),
            },
        };
        if outcome.is_err() {
            // The other program shall not wait for what will not come.
            let _ = socket::shutdown(socket, Direction::Both);
        }
        Ok(Look::Met(self.outcome.get_or_init(|| outcome)))
    }

    /// One step of exchanging schemas; `None` when both have them, or never will.
    fn exchange(&self, socket: BorrowedFd<'_>, state: &mut Difference, ended: impl Fn() -> bool) -> Result<Option<Look<'_>>, NotReceived> {
        if !state.sent {
            match send(Kind::Schemas, socket, &(self.schemas)(), &SCHEMAS) {
                Err(NotSent::Full) => {}
                Ok(()) => state.sent = true,
                // It takes no more, or ours are larger than any may be: then its own are there already, or will not come.
                Err(NotSent::Closed | NotSent::Fault(_)) => {
                    state.sent = true;
                    let soon = Instant::now().checked_add(SOON);
                    state.until = state.until.min(soon).or(soon);
                }
            }
        }
        let over = is_over(state.until);
        if state.come.is_none() {
            match receive(Kind::Schemas, socket, &SCHEMAS)? {
                Came::Packet(packet) => state.come = Some(codec::decode(packet, &SCHEMAS).ok()),
                // What it sent when it did not know yet.
                Came::Other(_) if state.between < BETWEEN && !over => {
                    state.between += 1;
                    return Ok(Some(Look::Heard));
                }
                Came::Nothing if !over && !ended() => return Ok(Some(Look::Differs { sent: state.sent, until: state.until })),
                Came::Other(_) | Came::Nothing | Came::End => return Ok(None),
            }
        }
        let more = !state.sent && !over && !ended();
        Ok(more.then_some(Look::Differs { sent: false, until: state.until }))
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

    fn mismatch(&self, Difference { theirs, come, .. }: &mut Difference) -> HelloError {
        let (ours, come) = ((self.schemas)(), come.take().flatten());
        let (their_receives, their_sends) = come.map(|schemas| (schemas.receives, schemas.sends)).unzip();
        let sent = (&self.ours.sends, &theirs.receives, &ours.sends, their_receives);
        let received = (&self.ours.receives, &theirs.sends, &ours.receives, their_sends);
        let differs = |(here, there, ..): &(&Type, &Type, &Tree, Option<Tree>)| here.fingerprint != there.fingerprint;
        let is_sent = differs(&sent);
        let ((here, there, our_tree, their_tree), other) = if is_sent { (sent, received) } else { (received, sent) };
        Box::new(TypeMismatch {
            here: here.name.clone(),
            there: schema::shown_name(&there.name),
            sent: is_sent,
            fingerprints: (here.fingerprint, there.fingerprint),
            difference: their_tree.and_then(|theirs| schema::first_difference(our_tree, &theirs)),
            also: (is_sent && differs(&other)).then(|| other.0.name.clone()),
        })
        .into()
    }
}

impl Difference {
    fn from(theirs: Said, until: Option<Instant>) -> Difference {
        Difference { theirs, sent: false, come: None, between: 0, until }
    }
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
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
    match transport::receive_kind(&[kind], socket, limits, Wait::Not) {
        Ok((_, packet)) => Ok(Came::Packet(packet)),
        Err(NotReceived::Fault(fault)) => match *fault {
            Fault::System(error) => Err(error),
            fault => Ok(Came::Other(fault)),
        },
        Err(NotReceived::Empty) => Ok(Came::Nothing),
        Err(NotReceived::Closed) => Ok(Came::End),
    }
}

/// Reads a hello. Its first bytes are what they are in every codec.
fn read(packet: Packet) -> Result<Said, HelloError> {
    let malformed = |fault: Fault| HelloError::Malformed(Arc::new(fault));
    match packet.body.as_slice().split_first_chunk::<9>() {
        Some((&[magic @ .., CODEC], _)) if magic == MAGIC => codec::decode(packet, &HELLO).map_err(|fault| malformed(*fault)),
        Some((&[magic @ .., found], _)) if magic == MAGIC => Err(HelloError::Codec { expected: CODEC, found }),
        _ => Err(malformed(DecodeError::Invalid { expected: "a hello".into() }.into())),
    }
}

fn send<T: Serialize>(kind: Kind, socket: BorrowedFd<'_>, value: &T, limits: &Limits) -> Result<(), NotSent> {
    let packet = codec::encode(value, limits, None)?;
    transport::send_kind(kind, socket, &packet, None, Wait::Not)
}
