//! The body format: bincode 2.0.1 with fixed-size little-endian integers.
//!
//! This is the only file that names `bincode`; everything that the rest of the codec asks of a format stands here, so that another
//! implementation of the same bytes (`docs/wire-format.md`, golden vectors in `tests/golden/`) can take its place.

use crate::error::DecodeError;
use bincode::config::{Configuration, Fixint, LittleEndian, NoLimit};
use bincode::de::read::{BorrowReader, Reader};
use bincode::de::{BorrowDecoder, Decode, DecoderImpl};
use bincode::error::DecodeError as Error;
use serde::Serialize;

type Config = Configuration<LittleEndian, Fixint, NoLimit>;
const CONFIG: Config = bincode::config::legacy();

/// Where encoded bytes go. It cannot fail: a limit is looked at when all is written.
pub(super) trait Write {
    fn write(&mut self, bytes: &[u8]);
}

/// Writes a value; the error is the text of the type's own `Serialize`, or of the format where it cannot carry the type.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T, writer: &mut impl Write) -> Result<(), String> {
    struct Writer<'a, W>(&'a mut W);
    impl<W: Write> bincode::enc::write::Writer for Writer<'_, W> {
        #[inline]
        fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
            self.0.write(bytes);
            Ok(())
        }
    }
    bincode::serde::encode_into_writer(value, Writer(writer), CONFIG).map_err(|error| match error {
        bincode::error::EncodeError::OtherString(text) => text,
        other => other.to_string(),
    })
}

/// Reads scalars and runs of bytes off the front of a body. Allocates nothing, whatever the bytes say.
pub(super) struct Scalars<'de>(DecoderImpl<Input<'de>, Config, ()>);

impl<'de> Scalars<'de> {
    pub(super) fn new(body: &'de [u8]) -> Scalars<'de> {
        Scalars(DecoderImpl::new(Input(body), CONFIG, ()))
    }

    /// Bytes not yet read.
    #[inline]
    pub(super) fn left(&mut self) -> usize {
        self.0.borrow_reader().0.len()
    }

    /// One number, `bool` or `char`.
    #[inline]
    pub(super) fn read<V: Decode<()>>(&mut self) -> Result<V, DecodeError> {
        V::decode(&mut self.0).map_err(explain)
    }

    /// A length, and that many bytes.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'de [u8], DecodeError> {
        let length = self.length()?;
        self.0.borrow_reader().take_bytes(length).map_err(explain)
    }

    /// The number of elements that follow, or of bytes. It promises nothing about what really follows.
    #[inline]
    pub(super) fn length(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.read::<u64>()?).map_err(|_| DecodeError::Invalid { expected: "a length that fits in memory".into() })
    }
}

/// The body as bincode reads it.
struct Input<'de>(&'de [u8]);

impl<'de> BorrowReader<'de> for Input<'de> {
    #[inline]
    fn take_bytes(&mut self, length: usize) -> Result<&'de [u8], Error> {
        let missing = Error::UnexpectedEnd { additional: length.saturating_sub(self.0.len()) };
        let (taken, rest) = self.0.split_at_checked(length).ok_or(missing)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl Reader for Input<'_> {
    #[inline]
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        bytes.copy_from_slice(self.take_bytes(bytes.len())?);
        Ok(())
    }
}

/// In our words, and without the bytes that were found.
#[cold]
fn explain(error: Error) -> DecodeError {
    match error {
        Error::UnexpectedEnd { additional } => DecodeError::Truncated { missing: additional },
        Error::InvalidBooleanValue(_) => DecodeError::Invalid { expected: "a bool (0 or 1)".into() },
        Error::InvalidCharEncoding(_) => DecodeError::Invalid { expected: "a char".into() },
        _ => DecodeError::Invalid { expected: "a number".into() },
    }
}
