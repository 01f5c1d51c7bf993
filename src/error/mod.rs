//! What can go wrong below the channel: a peer's fault, a value that cannot travel, a system call that failed.
//!
//! Conditions (closed, full, timed out) are variants of the error type of the operation that they end. No text of ours quotes a
//! message's content; what a type's own `Serialize` or `Deserialize` says is passed on.

mod adopt;
mod hello;
mod operation;
mod panic;

pub use adopt::{AdoptError, AdoptFault, IntoFdError};
pub use hello::{HelloError, TypeMismatch};
pub use operation::{RecvError, RecvTimeoutError, SendAllError, SendError, SendTimeoutError, TryRecvError, TrySendError};

pub(crate) use panic::{LONGEST_PANIC, panic_message, panic_text};

use std::io;

/// A system call that failed, and its name.
#[derive(Debug, thiserror::Error)]
#[error("{call} failed")]
pub struct SystemError {
    /// The call as the manual pages name it, or what several of them were for.
    pub call: &'static str,
    /// What the kernel said.
    pub source: io::Error,
}

impl SystemError {
    pub(crate) fn in_call(call: &'static str) -> impl FnOnce(io::Error) -> SystemError {
        move |source| SystemError { call, source }
    }
}

/// Why a message could not be sent, although the other end may still be there. Nothing of it was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendFault {
    /// The encoded message is larger than [`Limits::max_message`](crate::Limits::max_message); or it fits in no packet, and is larger than a
    /// file of this process may be (`RLIMIT_FSIZE`); or it is a bare packet, and larger than one of this socket may be.
    #[error(
        "the message is {size} bytes encoded and at most {limit} can be sent: send it in parts, or raise the limit (`Limits::max_message`; `RLIMIT_FSIZE` for what fits in no packet; for a bare packet, `net.core.wmem_max`)"
    )]
    TooLarge {
        /// Bytes of the encoded message.
        size: usize,
        /// The most that this end sends.
        limit: usize,
    },
    /// The message carries more descriptors than [`Limits::max_descriptors`](crate::Limits::max_descriptors), or than the kernel queues in the
    /// socket that more than 253 travel in.
    #[error(
        "the message carries {count} descriptors and at most {limit} can travel together: send them in several messages, or raise the limit (`Limits::max_descriptors`)"
    )]
    TooManyDescriptors {
        /// Descriptors in the message.
        count: usize,
        /// The most that this end sends.
        limit: usize,
    },
    /// Too many descriptors of this user are under way, unread in sockets of the whole system (`ETOOMANYREFS`). A message that fits in no packet
    /// counts as one.
    #[error("this user has too many descriptors under way in sockets: let receivers take some, or raise `RLIMIT_NOFILE`; then send again")]
    TooManyInFlight,
    /// The message fits in no packet, and the memory to send it in could not be made.
    #[error(
        "the message is {size} bytes encoded, which fits in no packet, and memory to send it in could not be made: allow `memfd_create`, `writev` and `fcntl`, close descriptors, or send it in parts"
    )]
    Memory {
        /// Bytes of the encoded message.
        size: usize,
        /// The call, and what the kernel said.
        source: SystemError,
    },
    /// The message carries more descriptors than a packet has room for, and the socket to send them in could not be made. Somebody else who
    /// connected to it in that moment (`EAGAIN`) is a reason too; then the same message goes when it is sent again.
    #[error(
        "the message carries {count} descriptors, more than fit in one packet, and a socket to send them in could not be made: close descriptors, allow `socket`, `bind`, `listen` and `connect`, or send them in several messages"
    )]
    Nested {
        /// Descriptors in the message.
        count: usize,
        /// The call, and what the kernel said.
        source: SystemError,
    },
    /// The message cannot be turned into a packet.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The program at the other end does not speak this one's language. The channel carries nothing.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a value could not be turned into a packet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The message holds one half of a split channel, which belongs to the process that split it.
    #[error("half of a split channel cannot be sent: send the whole `Channel`, or an end made by `channel()`")]
    SplitHalf,
    /// The message holds an end of the very channel that it would travel on, which would keep itself alive for ever.
    #[error("an end cannot travel on its own channel: use another channel to send it")]
    OverItself,
    /// The message holds an end on which another program has not said hello yet, which only this end can hear.
    #[error("the program at the other end of a channel has not said hello yet: wait for it (`Channel::wait_ready`) before the end is sent")]
    HelloPending,
    /// The message holds an end that has received messages which nobody has taken from it ([`Receiver::has_buffered`](crate::Receiver::has_buffered)),
    /// or parts of one.
    #[error(
        "an end that has received messages, or parts of one, which were not taken cannot be sent: receive them (`try_recv` until `Empty`) first"
    )]
    NotEmpty,
    /// A descriptor in the message could not be duplicated.
    #[error("a descriptor of the message could not be duplicated")]
    Descriptor(#[source] io::Error),
    /// The type's own `Serialize` refused, with this text.
    #[error("the message could not be encoded: {0}")]
    Serialize(String),
}

/// Why one packet that arrived yielded no message. The packet is gone, its descriptors are closed, and the next one can be received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The packet itself is not one of ours.
    #[error("the packet breaks the wire format: {0}")]
    Protocol(ProtocolError),
    /// The packet is whole, and what it carries is not a message of this type within the limits.
    #[error("the message does not decode: {0}")]
    Decode(DecodeError),
    /// The message is larger than this end's [`Limits::max_message`](crate::Limits::max_message).
    #[error("a message of more than {limit} bytes arrived: raise `Limits::max_message` on this end, or send less")]
    TooLarge {
        /// The most that this end accepts, in bytes.
        limit: usize,
    },
    /// The message carries more descriptors than this end's [`Limits::max_descriptors`](crate::Limits::max_descriptors).
    #[error("a message with {count} descriptors arrived and this end accepts {limit}")]
    TooManyDescriptors {
        /// Descriptors that arrived, all closed by now.
        count: usize,
        /// The most that this end accepts.
        limit: usize,
    },
    /// The message came in memory of its own, which this process could not look at or map. It is gone.
    #[error(
        "the message came in memory that could not be mapped: raise `RLIMIT_AS`, allow `fcntl`, `fstatfs`, `mmap` and `madvise`, or send less"
    )]
    Memory(#[source] SystemError),
    /// The message's descriptors came in a socket, which this process could not open. It is gone.
    #[error("the message's descriptors came in a socket that could not be opened: allow `shutdown` and `accept4`, or send fewer at once")]
    Nested(#[source] SystemError),
    /// This process's descriptor table is full (or a security module refused), so descriptors of the message were lost.
    #[error("descriptors of the message were lost because this process's table is full: close some, or raise `RLIMIT_NOFILE`")]
    FdTableFull,
    /// The program at the other end does not speak this one's language. The channel carries nothing and has ended: unlike other faults, this one
    /// is reported by one receive, and then `Closed`.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// A system call failed. No packet was lost.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// How a packet breaks `docs/wire-format.md`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Fewer bytes than a header has.
    #[error("{found} bytes are no header, which has {expected}")]
    ShortHeader {
        /// Bytes of a header.
        expected: usize,
        /// Bytes that arrived.
        found: usize,
    },
    /// The version byte.
    #[error("version {found}, expected {expected}")]
    Version {
        /// The version that this library speaks.
        expected: u8,
        /// The version in the header.
        found: u8,
    },
    /// The kind byte.
    #[error("kind {found}, expected {expected}")]
    Kind {
        /// The kind that can be here: 1, a message (where a batch can be too, which is 4, and a part, 5), or while programs meet 2 or 3.
        expected: u8,
        /// The kind in the header.
        found: u8,
    },
    /// A reserved flag is set.
    #[error("reserved flags {found:#06x} are set")]
    Flags {
        /// The flags in the header.
        found: u16,
    },
    /// More descriptors are announced, or fewer, than arrived with the packet.
    #[error("{announced} descriptors announced, {found} arrived")]
    DescriptorCount {
        /// What the header says.
        announced: usize,
        /// What arrived.
        found: usize,
    },
    /// More blobs are announced than a packet may carry.
    #[error("{announced} blobs announced, at most {limit} may travel together")]
    BlobCount {
        /// What the header says.
        announced: usize,
        /// What the format allows.
        limit: usize,
    },
    /// The packet holds fewer bytes than its header announces.
    #[error("{announced} bytes announced behind the header, {found} arrived")]
    ShortBody {
        /// Body, blob table and blobs as announced.
        announced: u64,
        /// Bytes that arrived behind the header.
        found: usize,
    },
    /// The packet holds more bytes than its header announces.
    #[error("{announced} bytes announced behind the header, {found} arrived")]
    LongBody {
        /// Body, blob table and blobs as announced.
        announced: u64,
        /// Bytes that arrived behind the header.
        found: usize,
    },
    /// A batch with descriptors or blobs, each of which would be of one of its messages.
    #[error("a batch with {descriptors} descriptors and {blobs} blobs, which travel with one message alone")]
    NotAlone {
        /// Descriptors that the header announces.
        descriptors: usize,
        /// Blobs that the header announces.
        blobs: usize,
    },
    /// A batch without messages.
    #[error("a batch without messages")]
    EmptyBatch,
    /// A message of a batch goes beyond the batch's end. Those in front of it were received.
    #[error("a message of a batch takes {announced} bytes with its length, {found} are left")]
    ShortFrame {
        /// Bytes of the message and of its length.
        announced: u64,
        /// Bytes left in the batch.
        found: usize,
    },
    /// A part of a message that is not its next, or of another message than the one whose parts arrive, or longer than what the message lacks. The
    /// message that it is of is lost.
    #[error("a part of a message at byte {found} of it, where byte {expected} of {total} was to come")]
    Part {
        /// Bytes of that message that have arrived; 0 where none of it is arriving.
        expected: u64,
        /// Where the part belongs, by its own words.
        found: u64,
        /// Bytes of the whole message with its header, by the part's own words.
        total: u64,
    },
    /// A part of a message that is not its last has descriptors.
    #[error("{descriptors} descriptors travel with a part of a message that is not its last")]
    PartDescriptors {
        /// How many; all closed by now.
        descriptors: usize,
    },
    /// A packet of no bytes at all.
    #[error("an empty packet")]
    Empty,
    /// The flag that the message's descriptors are in a socket, and no descriptors.
    #[error("a socket for the message's descriptors, of which there are none")]
    EmptyNest,
    /// What is to be the socket that holds the message's descriptors is something else.
    #[error("the socket of the message's descriptors is no unix seqpacket socket that listens")]
    NotNested,
    /// No connection waits at the socket that holds the message's descriptors, or more could still be put into it.
    #[error("the socket of the message's descriptors is not at its end")]
    NestedOpen,
    /// A packet with another number of bytes than one, or without descriptors, in the socket that holds the message's.
    #[error("a packet in the socket of the message's descriptors is not one byte with descriptors, of which it has {descriptors}")]
    NestedPacket {
        /// Descriptors that came with it.
        descriptors: usize,
    },
    /// The socket that holds the message's descriptors holds more or fewer than announced.
    #[error("{announced} descriptors announced, and their socket holds {found}, or more")]
    NestedCount {
        /// What the header says.
        announced: usize,
        /// What was taken out before that was seen.
        found: usize,
    },
    /// What is to be the memory that holds the message is a file of another kind, or cannot be read.
    #[error("the message's memory is no memfd of ordinary pages that can be read")]
    NotMemory,
    /// The memory that holds the message could still be changed.
    #[error("the message's memory has the seals {found:#x}, which lack some of {expected:#x}")]
    Seals {
        /// The bits that must be set: `F_SEAL_SEAL`, `F_SEAL_SHRINK`, `F_SEAL_GROW` and `F_SEAL_WRITE`.
        expected: u32,
        /// The bits that are.
        found: u32,
    },
    /// Pages of the memory that holds the message are not there, so that its receiver would have to pay for them.
    #[error("the message's memory is {size} bytes, of which {found} are there")]
    Sparse {
        /// Bytes of the memory.
        size: u64,
        /// Bytes of the pages that are there.
        found: u64,
    },
}

/// How a body fails to be a message of the expected type within the limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body ends in the middle of a value.
    #[error("the body ends {missing} bytes too early")]
    Truncated {
        /// Bytes that the value at the end still needs.
        missing: usize,
    },
    /// The body goes on after the message.
    #[error("{count} bytes follow the message")]
    TrailingBytes {
        /// Bytes left over.
        count: usize,
    },
    /// A value that its type does not have.
    #[error("a value that is not {expected}")]
    Invalid {
        /// What the type wanted.
        expected: String,
    },
    /// More levels of nesting than [`Limits::max_depth`](crate::Limits::max_depth).
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The thread's stack is too small for the nesting of the message.
    #[error("nested too deep for what is left of this thread's stack")]
    StackExhausted,
    /// The message would take more memory than [`Limits::max_expansion`](crate::Limits::max_expansion) allows for its size.
    #[error("the message would take more than {limit} bytes in memory")]
    TooExpansive {
        /// The bytes of values that a body of this size may turn into.
        limit: usize,
    },
    /// A descriptor index at or above the number of descriptors in the message.
    #[error("descriptor {index} of {count}")]
    DescriptorIndex {
        /// The index in the body.
        index: u32,
        /// Descriptors in the message.
        count: usize,
    },
    /// A descriptor that the message has taken already.
    #[error("descriptor {index} is used twice")]
    DescriptorTwice {
        /// The index in the body.
        index: u32,
    },
    /// Descriptors arrived that the message does not use.
    #[error("{count} descriptors are not used by the message")]
    DescriptorsUnused {
        /// How many; all closed by now.
        count: usize,
    },
    /// A descriptor that is not what the field wants.
    #[error("descriptor {index} is {found}, and {expected} was expected")]
    DescriptorKind {
        /// The index in the body.
        index: u32,
        /// What the field wants, for example `a listening TCP socket`.
        expected: &'static str,
        /// What it is, in the same words.
        found: &'static str,
    },
    /// A descriptor of memory for which this process has no room in its address space.
    #[error("descriptor {index} is memory of {length} bytes, which could not be mapped: raise `RLIMIT_AS`, or send less")]
    Unmapped {
        /// The index in the body.
        index: u32,
        /// Bytes of the memory.
        length: u64,
    },
    /// A blob index at or above the number of blobs in the message.
    #[error("blob {index} of {count}")]
    BlobIndex {
        /// The index in the body.
        index: u32,
        /// Blobs in the message.
        count: usize,
    },
    /// A blob that the message has taken already.
    #[error("blob {index} is used twice")]
    BlobTwice {
        /// The index in the body.
        index: u32,
    },
    /// Blobs arrived that the message does not use.
    #[error("{count} blobs are not used by the message")]
    BlobsUnused {
        /// How many.
        count: usize,
    },
    /// The type asks the format what comes next (`deserialize_any`), which this format does not say.
    #[error("the type needs a self-describing format, and a channel's is not")]
    NotSelfDescribing,
    /// The type's own `Deserialize` refused, with this text.
    #[error("{0}")]
    Custom(String),
}

// Not causes of the fault but what it is, told in the same breath.
impl From<ProtocolError> for Fault {
    fn from(error: ProtocolError) -> Fault {
        Fault::Protocol(error)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Fault {
        Fault::Decode(error)
    }
}

impl From<SystemError> for io::Error {
    fn from(error: SystemError) -> io::Error {
        io::Error::new(error.source.kind(), error)
    }
}

impl SendFault {
    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            SendFault::TooLarge { .. } | SendFault::TooManyDescriptors { .. } | SendFault::Encode(_) => io::ErrorKind::InvalidInput,
            SendFault::TooManyInFlight => io::ErrorKind::QuotaExceeded,
            SendFault::Hello(error) => error.kind(),
            SendFault::Memory { source: error, .. } | SendFault::Nested { source: error, .. } | SendFault::System(error) => {
                error.source.kind()
            }
        }
    }
}

impl Fault {
    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Fault::Protocol(_) | Fault::Decode(_) | Fault::TooLarge { .. } | Fault::TooManyDescriptors { .. } => io::ErrorKind::InvalidData,
            Fault::FdTableFull => io::ErrorKind::QuotaExceeded,
            Fault::Hello(error) => error.kind(),
            Fault::Memory(error) | Fault::Nested(error) | Fault::System(error) => error.source.kind(),
        }
    }
}

/// Gives an error whose `kind()` says which `io::ErrorKind` fits the conversion that keeps it whole inside.
macro_rules! into_io_error {
    ($($error:ty),+) => {$(
        impl From<$error> for std::io::Error {
            fn from(error: $error) -> std::io::Error {
                std::io::Error::new(error.kind(), error)
            }
        }
    )+};
}

into_io_error!(SendFault, Fault, HelloError);
