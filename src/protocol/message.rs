//! What travels: [`Request`] and [`Response`], and the note of which call a message belongs to that does not decode.
//!
//! A message that does not decode gives an error and nothing else, but a caller waits for it. So the number of a call stands in front, and
//! whoever decodes notes it, together with whether the method was known, for [`noting`] to find.

use crate::codec::field::{Field, Message, part};
use crate::schema::Schema;
use crate::schema::constant::Kind;
use serde::de::{self, DeserializeSeed, EnumAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::Cell;
use std::fmt;
use std::time::Duration;

/// What a client sends: a call, one that is not answered, or that an answer is no longer wanted.
///
/// Made and read by the library; `Q` is the enum of all calls. `docs/protocols.md` has its bytes.
pub struct Request<Q>(pub(super) Envelope<Q>);

/// What a service sends: the answer to one call.
///
/// Made and read by the library; `R` is the enum of all answers. `docs/protocols.md` has its bytes.
pub struct Response<R>(pub(super) Outcome<R>);

#[derive(breezeway_derive::Message)]
#[message(crate = "crate")]
#[serde(rename_all = "snake_case")]
pub(super) enum Envelope<Q> {
    Call {
        id: CallId,
        /// How long the caller will wait, from when it sent this.
        remaining: Option<Duration>,
        request: Asked<Q>,
    },
    OneWay {
        request: Asked<Q>,
    },
    Cancel {
        id: CallId,
    },
}

#[derive(breezeway_derive::Message)]
#[message(crate = "crate")]
pub(super) struct Outcome<R> {
    pub(super) id: CallId,
    pub(super) outcome: Result<R, CallFault>,
}

/// Why the service has no answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, breezeway_derive::Message)]
#[message(crate = "crate")]
#[serde(rename_all = "snake_case")]
pub enum CallFault {
    /// It has no such method.
    UnknownMethod,
    /// What it received is no call of this method. The text says why.
    Malformed(String),
    /// The method panicked, with this message.
    Panicked(String),
    /// The method ended without an answer.
    Unanswered,
    /// As many calls of this client are open as the service allows. This one was not begun.
    Busy,
    /// The service could not do what answering takes: it has no descriptor left, or the answer cannot be sent. The text says what.
    Unable(String),
}

/// The number of a call: from 1, given by the client. In a response, 0 stands for every call that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallId(pub(super) u64);

impl CallId {
    pub(super) const EVERY: CallId = CallId(0);
}

/// A variant of the enum of all calls.
pub(super) struct Asked<Q>(pub(super) Q);

/// What was found of a message, whether or not it decoded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Note {
    pub(super) id: Option<CallId>,
    /// There is a request, whose method may or may not be known.
    pub(super) asked: bool,
    pub(super) method_known: bool,
}

thread_local! {
    static NOTE: Cell<Note> = const { Cell::new(Note { id: None, asked: false, method_known: false }) };
}

/// Receives, and tells what was noted of the message on the way.
pub(super) fn noting<T>(receive: impl FnOnce() -> T) -> (T, Note) {
    /// What a receive around this one has noted; also where this one panics.
    struct Outer(Note);
    impl Drop for Outer {
        fn drop(&mut self) {
            NOTE.set(self.0);
        }
    }
    let outer = Outer(NOTE.take());
    let received = receive();
    let note = NOTE.get();
    drop(outer);
    (received, note)
}

fn note(change: impl FnOnce(&mut Note)) {
    let mut note = NOTE.get();
    change(&mut note);
    NOTE.set(note);
}

impl Field for CallId {
    const SCHEMA: Schema = Schema::new::<CallId>("", Kind::Same(part::<u64>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(&self.0, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CallId, D::Error> {
        let id = CallId(Deserialize::deserialize(deserializer)?);
        note(|note| note.id = Some(id));
        Ok(id)
    }
}

impl<Q: Field> Field for Asked<Q> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Same(part::<Q>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        note(|note| note.asked = true);
        Q::deserialize(Enum(deserializer)).map(Asked)
    }
}

/// The serde traits and `Field` of a wrapper that is what it holds, under the name of the enum in it, so that two programs that differ
/// are told `StoreRequest::…`.
macro_rules! envelope {
    ($name:ident($inner:ident)) => {
        impl<M: Message> Field for $name<M> {
            const SCHEMA: Schema = Schema::new::<Self>(M::NAME, Kind::Same(part::<$inner<M>>()));

            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Field::serialize(&self.0, serializer)
            }

            fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Field::deserialize(deserializer).map($name)
            }
        }

        impl<M: Message> Serialize for $name<M> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Field::serialize(self, serializer)
            }
        }

        impl<'de, M: Message> Deserialize<'de> for $name<M> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Field::deserialize(deserializer)
            }
        }

        impl<M: Message> Message for $name<M> {
            const NAME: &'static str = M::NAME;
        }

        impl<M> fmt::Debug for $name<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

envelope!(Request(Envelope));
envelope!(Response(Outcome));

/// A deserializer of an enum that notes when the variant is one that the enum has. A derived enum asks for nothing but `deserialize_enum`.
struct Enum<T>(T);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Enum<D> {
    type Error = D::Error;

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Enum(visitor))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, D::Error> {
        Err(de::Error::custom("the calls of a protocol are an enum"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Enum<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Enum(access))
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Enum<A> {
    type Error = A::Error;
    type Variant = A::Variant;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, A::Variant), A::Error> {
        let variant = self.0.variant_seed(seed)?;
        note(|note| note.method_known = true);
        Ok(variant)
    }
}
