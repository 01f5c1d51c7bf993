//! Byte strings: one run of bytes instead of a sequence of numbers, and beside the body where they are large.

use super::{Field, Message};
use crate::codec::frame;
use crate::schema::Schema;
use crate::schema::constant::Kind;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::Deref;

/// A slice as serde's bytes.
pub(crate) struct AsBytes<'a>(pub(crate) &'a [u8]);

impl Serialize for AsBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// serde's bytes, owned.
pub(crate) struct ByteBuf(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for ByteBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteBuf, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ByteBuf;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<ByteBuf, E> {
                Ok(ByteBuf(bytes.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<ByteBuf, E> {
                Ok(ByteBuf(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

/// Exactly `N` bytes, straight into the array.
struct ByteArray<const N: usize>;

impl<const N: usize> de::Visitor<'_> for ByteArray<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

impl Field for u8 {
    const SCHEMA: Schema = Schema::new::<u8>("", Kind::Scalar("u8"));
    const IS_BYTE: bool = true;

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        Deserialize::deserialize(deserializer)
    }

    fn serialize_slice<S: Serializer>(slice: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(slice)
    }

    fn deserialize_vec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(ByteBuf::deserialize(deserializer)?.0)
    }

    fn serialize_array<const N: usize, S: Serializer>(array: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(array)
    }

    fn deserialize_array<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; N], D::Error> {
        deserializer.deserialize_bytes(ByteArray::<N>)
    }
}

impl Field for Bytes {
    const SCHEMA: Schema = Schema::new::<Bytes>("", Kind::Blob);

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame::put_bytes(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        frame::take_bytes(deserializer)
    }
}

/// A byte string in a type with plain serde derives, encoded as a [`Bytes`] field of a derived message is.
///
/// From 4 KiB on it is not copied on sending: the kernel gathers it from where it lies. `Bytes` itself, in a plain serde type, is copied.
/// Outside a channel it serialises as bytes.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Blob(pub Bytes);

impl Deref for Blob {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0
    }
}

impl<B: Into<Bytes>> From<B> for Blob {
    fn from(bytes: B) -> Blob {
        Blob(bytes.into())
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame::put_bytes(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        frame::take_bytes(deserializer).map(Blob)
    }
}

impl Field for Blob {
    const SCHEMA: Schema = Schema::new::<Blob>("", Kind::Blob);

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        Deserialize::deserialize(deserializer)
    }
}

impl Message for u8 {
    const NAME: &'static str = "u8";
}

impl Message for Blob {
    const NAME: &'static str = "Blob";
}
