//! Why two programs that have met do not talk.

use super::Fault;
use crate::schema::Difference;
use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// Why two programs do not talk: each says what it speaks before anything else, and that did not fit, or did not come.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelloError {
    /// Nothing came in the time that [`Hello::timeout`](crate::Hello::timeout) gives.
    #[error("the program at the other end has said nothing within {waited:?}: has it taken its end (`breezeway::process::inherited`)?")]
    Silent {
        /// The time it had.
        waited: Duration,
    },
    /// The other end was closed without a hello.
    #[error("the program at the other end has closed the channel without saying hello")]
    Closed,
    /// The first packet is no hello: not one at all, of another version of the wire format, or larger than one may be.
    #[error("the first packet from the other end is no hello")]
    Malformed(#[source] Arc<Fault>),
    /// The other program encodes messages otherwise.
    #[error("the program at the other end encodes messages by codec {found}, this one by codec {expected}")]
    Codec {
        /// The codec of this library: 1.
        expected: u8,
        /// The other one's.
        found: u8,
    },
    /// The two programs mean different messages.
    #[error(transparent)]
    Types(#[from] Box<TypeMismatch>),
}

impl HelloError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            HelloError::Silent { .. } => ErrorKind::TimedOut,
            HelloError::Closed => ErrorKind::UnexpectedEof,
            HelloError::Malformed(_) | HelloError::Codec { .. } | HelloError::Types(_) => ErrorKind::InvalidData,
        }
    }
}

/// A message type of which two programs have different ideas.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypeMismatch {
    /// The type's name in this program.
    pub here: String,
    /// The type's name in the other, escaped and cut to 64 characters.
    pub there: String,
    /// Whether this program sends it and the other receives it, and not the other way round.
    pub sent: bool,
    /// The fingerprints, here and there.
    pub fingerprints: (u64, u64),
    /// Where the types differ first; `None` if the other program has not told its schema.
    pub difference: Option<Difference>,
    /// The type that goes the other way, by its name in this program, if of that too.
    pub also: Option<String>,
}

/// `Job as it is sent here is not Job as it is received there: Job::Scan.name: String here, Vec<u8> there`.
impl fmt::Display for TypeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ours, theirs) = if self.sent { ("sent", "received") } else { ("received", "sent") };
        write!(f, "`{}` as it is {ours} here is not `{}` as it is {theirs} there: ", self.here, self.there)?;
        match (&self.difference, self.fingerprints) {
            (Some(difference), _) => difference.fmt(f)?,
            (None, (here, there)) => write!(f, "fingerprint {here:016x} here, {there:016x} there, whose schema did not come")?,
        }
        self.also.iter().try_for_each(|also| write!(f, "; and `{also}` differs too"))
    }
}

/// The sentence as well, because a program that ends by an error of `main` shows this.
impl fmt::Debug for TypeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypeMismatch({self})")
    }
}

impl std::error::Error for TypeMismatch {}
