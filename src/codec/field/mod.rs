//! What may be a field of a derived message, and how it is encoded: the trait [`Field`].
//!
//! The derive sends every field through this trait of the field's *type*, so an alias, a generic parameter or a user's own type called
//! `File` are what they are. Plain serde values are encoded as serde would; descriptors and byte strings are not, which is why the
//! trait exists. The implementations are sorted by what they are for.

mod bytes;
mod collections;
mod descriptors;
mod scalars;

pub use bytes::Blob;
pub(super) use bytes::{AsBytes, ByteBuf};
pub use descriptors::Fd;

use crate::schema::constant::Child;
use crate::schema::{self, Schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::any::TypeId;

/// A type that can be a field of a message.
///
/// Implemented for what the standard library offers for data, for descriptors and ends of channels, for containers of these, and by
/// `#[derive(Message)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a message",
    label = "not a field type of breezeway",
    note = "derive `breezeway::Message` for it; if it implements serde's traits and belongs to another crate, mark the field `#[message(opaque = \"v1\")]`",
    note = "a receiver owns what it decodes, so references, `Rc` and `Arc` are no fields; a `File` in a plain serde type is written `Fd<File>`"
)]
pub trait Field: Sized + 'static {
    /// What the type looks like on the wire.
    const SCHEMA: Schema;

    /// Whether slices and arrays of it are runs of bytes: set together with the functions that make them so.
    const IS_BYTE: bool = false;

    /// The schema, as what stands for the type among the children of another.
    #[must_use]
    fn node() -> &'static Schema {
        const { &Self::SCHEMA }
    }

    /// Encodes the field.
    ///
    /// # Errors
    ///
    /// Whatever the serializer says, and that a descriptor can only travel on a channel.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Decodes the field.
    ///
    /// # Errors
    ///
    /// Whatever the deserializer says, and that what it found is no value of this type.
    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Encodes a slice; bytes do it in one piece.
    ///
    /// # Errors
    ///
    /// As [`Field::serialize`].
    fn serialize_slice<S: Serializer>(slice: &[Self], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(slice.iter().map(Ref))
    }

    /// Decodes what [`Field::serialize_slice`] encoded.
    ///
    /// # Errors
    ///
    /// As [`Field::deserialize`].
    fn deserialize_vec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error> {
        collections::deserialize_vec(deserializer)
    }

    /// Encodes an array; its length is in its type and not in the bytes, except for bytes.
    ///
    /// # Errors
    ///
    /// As [`Field::serialize`].
    fn serialize_array<const N: usize, S: Serializer>(array: &[Self; N], serializer: S) -> Result<S::Ok, S::Error> {
        collections::serialize_array(array, serializer)
    }

    /// Decodes what [`Field::serialize_array`] encoded, without a heap buffer.
    ///
    /// # Errors
    ///
    /// As [`Field::deserialize`].
    fn deserialize_array<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[Self; N], D::Error> {
        collections::deserialize_array(deserializer)
    }
}

/// A message type: what `#[derive(Message)]` gives, beside serde's `Serialize` and `Deserialize`.
///
/// A channel within one program carries any type with serde's traits; `Message` is for types whose fields are files, sockets or ends of
/// channels, whose bytes are fast, and which two programs can compare. Numbers, `bool`, `char`, `String` and addresses of the standard library
/// are messages too.
pub trait Message: Field + Serialize + de::DeserializeOwned {
    /// The type's name, as in the source or as `#[serde(rename = …)]` says.
    const NAME: &'static str;

    /// What the type looks like on the wire: its fields and variants, their names and their types.
    ///
    /// `docs/schema.md` says what counts.
    #[must_use]
    fn schema() -> &'static Schema {
        Self::node()
    }

    /// The hash of the schema, by which two programs tell that they mean the same message.
    ///
    /// It is the same in every build, and computed once in each process.
    #[must_use]
    fn fingerprint() -> u64 {
        schema::fingerprint_of(TypeId::of::<Self>(), Self::schema())
    }
}

/// A type as a part of another.
pub(crate) const fn part<T: Field>() -> Child {
    Child::Of(T::node)
}

/// A field where serde wants a `Serialize`.
struct Ref<'a, T>(&'a T);

impl<T: Field> Serialize for Ref<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A field where serde wants a `Deserialize`.
struct Owned<T>(T);

impl<'de, T: Field> Deserialize<'de> for Owned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Owned<T>, D::Error> {
        T::deserialize(deserializer).map(Owned)
    }
}
