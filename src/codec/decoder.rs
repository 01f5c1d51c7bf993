//! The serde deserializer for bodies, which trusts nothing that they say.
//!
//! Four budgets hold for every message, whatever its type: bytes of values (each level, element and byte run is charged before it is
//! built, at least 1, so that it bounds the number of nodes too), levels of nesting, the thread's remaining stack, and the input itself.
//! No length is believed: elements are read one by one, and nothing larger than what is left of the input is asked for in advance.

use super::format::Scalars;
use crate::error::DecodeError;
use crate::limits::Limits;
use crate::sys::stack;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Unexpected, Visitor};
use std::fmt::Display;

/// What any message may take in memory, however short it is: room for a few optional fields that are not there. Chosen, not tuned.
const EXPANSION_BASE: usize = 64 * 1024;
/// What a map's entry takes beside key and value: the load factor of a hash table, the links of a tree. Chosen, not tuned.
const MAP_ENTRY: usize = 16;
/// What an element takes that no byte of the body stands for: as a node of a linked list, two links and what the allocator adds. Without
/// it, a list of `()` would take 32 times its budget, and filling a budget of the largest message seconds.
const FREE_ELEMENT: usize = 32;
/// The most elements that a collection may make room for in advance. Half as many for every collection that it is in, so that all those
/// begun at one time have made room for twice as many at most. Chosen, not tuned.
const MOST_IN_ADVANCE: usize = 1024;
/// Stack that must be left when a level is entered: for the level itself, which in a debug build of a large enum takes several KiB,
/// and for what the types' own code does.
const STACK_RESERVE: usize = 40 * 1024;

/// How many copies of a level's value its frames may hold on the stack: moved from function to function, and in a debug build never in
/// place. Tried with values of 4 to 16 KiB on stacks of 128 KiB to 8 MiB: 16 were too few in a debug build, 24 are enough.
const COPIES: usize = if cfg!(debug_assertions) { 24 } else { 8 };

/// Decodes one value, which must use up the whole body.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8], limits: &Limits) -> Result<T, Failure> {
    let expansion = limits.expanded(body.len()).saturating_add(EXPANSION_BASE);
    let entry = stack::here();
    // A thread whose whole stack is hardly more than the reserve may use half of what it has left.
    let lowest = stack::end();
    let stack_end = lowest.saturating_add(STACK_RESERVE.min(entry.saturating_sub(lowest) / 2));
    let mut decoder = Decoder {
        scalars: Scalars::new(body),
        expansion,
        expansion_left: expansion,
        depth: limits.max_depth,
        depth_left: limits.max_depth,
        collections: 0,
        stack_end,
    };
    decoder.stack_for::<T>()?;
    let value = T::deserialize(&mut decoder)?;
    match decoder.scalars.left() {
        0 => Ok(value),
        count => Err(DecodeError::TrailingBytes { count }.into()),
    }
}

struct Decoder<'de> {
    scalars: Scalars<'de>,
    expansion: usize,
    expansion_left: usize,
    depth: usize,
    depth_left: usize,
    /// Collections begun and not finished.
    collections: u32,
    stack_end: usize,
}

impl<'de> Decoder<'de> {
    #[inline]
    fn charge(&mut self, bytes: usize) -> Result<(), Failure> {
        match self.expansion_left.checked_sub(bytes.max(1)) {
            Some(left) => self.expansion_left = left,
            None => return Err(DecodeError::TooExpansive { limit: self.expansion }.into()),
        }
        Ok(())
    }

    /// Whether the stack has room for a level that makes a `V`.
    #[inline]
    fn stack_for<V>(&self) -> Result<(), Failure> {
        if stack::here() < self.stack_end.saturating_add(size_of::<V>().saturating_mul(COPIES)) {
            return Err(DecodeError::StackExhausted.into());
        }
        Ok(())
    }

    /// One level down and up again.
    #[inline]
    fn nested<V>(&mut self, inner: impl FnOnce(&mut Self) -> Result<V, Failure>) -> Result<V, Failure> {
        self.charge(size_of::<V>())?;
        self.stack_for::<V>()?;
        match self.depth_left.checked_sub(1) {
            Some(left) => self.depth_left = left,
            None => return Err(DecodeError::TooDeep { limit: self.depth }.into()),
        }
        let value = inner(self)?;
        self.depth_left = self.depth_left.saturating_add(1);
        Ok(value)
    }

    #[inline]
    fn byte_run(&mut self) -> Result<&'de [u8], Failure> {
        let bytes = self.scalars.bytes()?;
        self.charge(bytes.len())?;
        Ok(bytes)
    }

    /// A collection: a length, and elements that must all be taken. What follows would be read from the bytes of one that is not.
    fn counted<V>(&mut self, visit: impl FnOnce(&mut Counted<'_, 'de>) -> Result<V, Failure>) -> Result<V, Failure> {
        let length = self.scalars.length()?;
        // Honest elements take a byte at least.
        let room = length.min(self.scalars.left()).min(MOST_IN_ADVANCE.checked_shr(self.collections).unwrap_or(0));
        self.nested(|decoder| {
            decoder.collections = decoder.collections.saturating_add(1);
            let mut elements = Counted { elements: decoder.elements(length), room };
            let value = visit(&mut elements)?;
            let left = elements.elements.left;
            decoder.collections = decoder.collections.saturating_sub(1);
            match left {
                0 => Ok(value),
                _ => Err(DecodeError::Invalid { expected: "a collection of so few elements".into() }.into()),
            }
        })
    }

    #[inline]
    fn elements(&mut self, left: usize) -> Elements<'_, 'de> {
        Elements { decoder: self, left }
    }
}

/// [`DecodeError`] as serde wants it: made of what was expected, never of what was found, which is the peer's data.
/// Boxed, because a `Result` of it is handed on at every level of every message.
#[derive(Debug)]
pub(super) struct Failure(Box<DecodeError>);

impl From<DecodeError> for Failure {
    #[cold]
    fn from(error: DecodeError) -> Failure {
        Failure(Box::new(error))
    }
}

impl From<Failure> for DecodeError {
    fn from(failure: Failure) -> DecodeError {
        *failure.0
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: Display>(text: T) -> Failure {
        DecodeError::Custom(text.to_string()).into()
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Failure {
        DecodeError::Invalid { expected: expected.to_string() }.into()
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Failure {
        DecodeError::Invalid { expected: expected.to_string() }.into()
    }

    fn invalid_length(_: usize, expected: &dyn de::Expected) -> Failure {
        DecodeError::Invalid { expected: expected.to_string() }.into()
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Failure {
        DecodeError::Invalid { expected: format!("one of {expected:?}") }.into()
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Failure {
        DecodeError::Invalid { expected: format!("one of {expected:?}") }.into()
    }
}

macro_rules! scalars {
    ($($method:ident: $type:ty => $visit:ident),+ $(,)?) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            visitor.$visit(self.scalars.read::<$type>()?)
        }
    )+};
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Failure;

    scalars! {
        deserialize_bool: bool => visit_bool,
        deserialize_i8: i8 => visit_i8,
        deserialize_i16: i16 => visit_i16,
        deserialize_i32: i32 => visit_i32,
        deserialize_i64: i64 => visit_i64,
        deserialize_i128: i128 => visit_i128,
        deserialize_u8: u8 => visit_u8,
        deserialize_u16: u16 => visit_u16,
        deserialize_u32: u32 => visit_u32,
        deserialize_u64: u64 => visit_u64,
        deserialize_u128: u128 => visit_u128,
        deserialize_f32: f32 => visit_f32,
        deserialize_f64: f64 => visit_f64,
        deserialize_char: char => visit_char,
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match std::str::from_utf8(self.byte_run()?) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(_) => Err(DecodeError::Invalid { expected: "a string of UTF-8".into() }.into()),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_bytes(self.byte_run()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.scalars.read::<u8>()? {
            0 => visitor.visit_none(),
            1 => self.nested(|decoder| visitor.visit_some(decoder)),
            _ => Err(DecodeError::Invalid { expected: "an option (0 or 1)".into() }.into()),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        self.nested(|decoder| visitor.visit_newtype_struct(decoder))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.counted(|elements| visitor.visit_seq(elements))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.counted(|entries| visitor.visit_map(entries))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Failure> {
        self.nested(|decoder| visitor.visit_seq(&mut decoder.elements(length)))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, length: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        self.nested(|decoder| visitor.visit_enum(decoder))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(DecodeError::NotSelfDescribing.into())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(DecodeError::NotSelfDescribing.into())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(DecodeError::NotSelfDescribing.into())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The fields of a tuple or struct, as many as its type has.
struct Elements<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl<'de> Elements<'_, 'de> {
    #[inline]
    fn next<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return Ok(None),
        }
        seed.deserialize(&mut *self.decoder).map(Some)
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The elements of a collection, as many as the peer says: each is charged before it is built.
struct Counted<'a, 'de> {
    elements: Elements<'a, 'de>,
    /// How many a collection may make room for at first.
    room: usize,
}

impl<'de> Counted<'_, 'de> {
    /// The next element, which takes `beside` bytes more than its own size.
    #[inline]
    fn next<T: DeserializeSeed<'de>>(&mut self, seed: T, beside: usize) -> Result<Option<T::Value>, Failure> {
        if self.elements.left == 0 {
            return Ok(None);
        }
        self.elements.decoder.charge(size_of::<T::Value>().saturating_add(beside))?;
        let before = self.elements.decoder.scalars.left();
        let element = self.elements.next(seed)?;
        if self.elements.decoder.scalars.left() == before {
            self.elements.decoder.charge(FREE_ELEMENT)?;
        }
        Ok(element)
    }
}

impl<'de> de::SeqAccess<'de> for Counted<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        self.next(seed, 0)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.room)
    }
}

impl<'de> de::MapAccess<'de> for Counted<'_, 'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        self.next(seed, MAP_ENTRY)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        self.elements.decoder.charge(size_of::<V::Value>())?;
        seed.deserialize(&mut *self.elements.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.room)
    }
}

impl<'de> de::EnumAccess<'de> for &mut Decoder<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        let index = self.scalars.read::<u32>()?;
        let variant = seed.deserialize(IntoDeserializer::<Failure>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Decoder<'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_seq(&mut self.elements(length))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_seq(&mut self.elements(fields.len()))
    }
}
