//! Containers of fields: options, results, boxes, tuples, arrays, sequences, sets and maps.
//!
//! A received set or map has each key once, and sorted ones have their keys in order: what a peer sends is what is received, or an error.

use super::{Field, Owned, Ref, part};
use crate::schema::Schema;
use crate::schema::constant::Kind;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::ops::{Range, RangeInclusive};

/// The most bytes that a received collection makes room for before its elements are there. Chosen, not tuned.
const ROOM: usize = 64 * 1024;

/// How many elements to make room for, of what the input could hold.
fn room<T>(hint: Option<usize>) -> usize {
    hint.unwrap_or(0).min(ROOM / size_of::<T>().max(1))
}

impl<T: Field> Field for Option<T> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Option(part::<T>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(&self.as_ref().map(Ref), serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Owned<T>>::deserialize(deserializer)?.map(|value| value.0))
    }
}

impl<T: Field, E: Field> Field for Result<T, E> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Result(part::<T>(), part::<E>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(&self.as_ref().map(Ref).map_err(Ref), serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Result::<Owned<T>, Owned<E>>::deserialize(deserializer)?.map(|value| value.0).map_err(|error| error.0))
    }
}

impl<T: Field> Field for Box<T> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Same(part::<T>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::serialize(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Box::new)
    }
}

/// A sequence, which of bytes is a run of them.
const fn run<T: Field>() -> Kind {
    if T::IS_BYTE { Kind::Bytes } else { Kind::Sequence(part::<T>()) }
}

impl<T: Field> Field for Box<[T]> {
    const SCHEMA: Schema = Schema::new::<Self>("", run::<T>());

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::serialize_slice(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize_vec(deserializer).map(Vec::into_boxed_slice)
    }
}

impl<T: Field> Field for Vec<T> {
    const SCHEMA: Schema = Schema::new::<Self>("", run::<T>());

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::serialize_slice(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize_vec(deserializer)
    }
}

impl<T: Field, const N: usize> Field for [T; N] {
    const SCHEMA: Schema = Schema::new::<Self>("", if T::IS_BYTE { Kind::ByteArray(N) } else { Kind::Array(N, part::<T>()) });

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::serialize_array(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize_array(deserializer)
    }
}

pub(super) fn serialize_array<T: Field, const N: usize, S: Serializer>(array: &[T; N], serializer: S) -> Result<S::Ok, S::Error> {
    let mut elements = serializer.serialize_tuple(N)?;
    for element in array {
        elements.serialize_element(&Ref(element))?;
    }
    elements.end()
}

pub(super) fn deserialize_array<'de, T: Field, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[T; N], D::Error> {
    struct Array<T, const N: usize>(PhantomData<T>);
    impl<'de, T: Field, const N: usize> Visitor<'de> for Array<T, N> {
        type Value = [T; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an array of {N}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<[T; N], A::Error> {
            let mut array = [const { None }; N];
            for (index, slot) in array.iter_mut().enumerate() {
                let Some(Owned(element)) = elements.next_element()? else {
                    return Err(de::Error::invalid_length(index, &self));
                };
                *slot = Some(element);
            }
            // Every slot was filled, or the loop returned.
            Ok(array.map(|slot| slot.unwrap_or_else(|| unreachable!())))
        }
    }
    deserializer.deserialize_tuple(N, Array(PhantomData))
}

macro_rules! tuples {
    ($(($($type:ident $index:tt),+))+) => {$(
        impl<$($type: Field),+> Field for ($($type,)+) {
            const SCHEMA: Schema = Schema::new::<Self>("", Kind::Tuple(&[$(part::<$type>()),+]));

            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Serialize::serialize(&($(Ref(&self.$index),)+), serializer)
            }

            fn deserialize<'de, De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
                let tuple = <($(Owned<$type>,)+)>::deserialize(deserializer)?;
                Ok(($(tuple.$index.0,)+))
            }
        }
    )+};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
}

macro_rules! ranges {
    ($($type:ident($start:literal, $end:literal), $range:ident => $bounds:expr, $make:expr;)+) => {$(
        impl<T: Field> Field for $type<T> {
            const SCHEMA: Schema =
                Schema::new::<Self>(stringify!($type), Kind::Struct(&[($start, part::<T>()), ($end, part::<T>())]));

            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $range = self;
                let (start, end) = $bounds;
                Serialize::serialize(&(Ref(start), Ref(end)), serializer)
            }

            fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let (Owned(start), Owned(end)) = Deserialize::deserialize(deserializer)?;
                Ok($make(start, end))
            }
        }
    )+};
}

ranges! {
    // The last fields are named apart because a range without its end is not one with it, though the bytes are alike.
    Range("start", "end"), range => (&range.start, &range.end), |start, end| Range { start, end };
    RangeInclusive("start", "last"), range => (range.start(), range.end()), RangeInclusive::new;
}

pub(super) fn deserialize_vec<'de, T: Field, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    collect(deserializer, "a sequence", Vec::with_capacity, |vec, element| {
        vec.push(element);
        true
    })
}

macro_rules! sequences {
    ($($type:ident $kind:ident: $expected:literal, $empty:expr, $gather:expr $(, $bound:ident)*;)+) => {$(
        impl<T: Field $(+ $bound)*> Field for $type<T> {
            const SCHEMA: Schema = Schema::new::<Self>("", Kind::$kind(part::<T>()));

            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.iter().map(Ref))
            }

            fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                collect(deserializer, $expected, $empty, $gather)
            }
        }
    )+};
}

sequences! {
    VecDeque Sequence: "a sequence", VecDeque::with_capacity, |deque: &mut VecDeque<T>, element| { deque.push_back(element); true };
    LinkedList Sequence: "a sequence", |_| LinkedList::new(), |list: &mut LinkedList<T>, element| { list.push_back(element); true };
    BinaryHeap Sequence: "a sequence", BinaryHeap::with_capacity, |heap: &mut BinaryHeap<T>, element| { heap.push(element); true }, Ord;
    BTreeSet SortedSet: "a set in ascending order", |_| BTreeSet::new(),
        |set: &mut BTreeSet<T>, element| set.last().is_none_or(|last| *last < element) && set.insert(element), Ord;
}

impl<T: Field + Eq + Hash, B: BuildHasher + Default + 'static> Field for HashSet<T, B> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Set(part::<T>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Ref))
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let empty = |room| HashSet::with_capacity_and_hasher(room, B::default());
        collect(deserializer, "a set with no element twice", empty, HashSet::insert)
    }
}

impl<K: Field + Ord, V: Field> Field for BTreeMap<K, V> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::SortedMap(part::<K>(), part::<V>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(key, value)| (Ref(key), Ref(value))))
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let gather = |map: &mut BTreeMap<K, V>, (key, value)| {
            map.last_key_value().is_none_or(|(last, _)| *last < key) && map.insert(key, value).is_none()
        };
        collect_entries(deserializer, "a map with keys in ascending order", |_| BTreeMap::new(), gather)
    }
}

impl<K: Field + Eq + Hash, V: Field, B: BuildHasher + Default + 'static> Field for HashMap<K, V, B> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Map(part::<K>(), part::<V>()));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(key, value)| (Ref(key), Ref(value))))
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let empty = |room| HashMap::with_capacity_and_hasher(room, B::default());
        let gather = |map: &mut Self, (key, value)| map.insert(key, value).is_none();
        collect_entries(deserializer, "a map with no key twice", empty, gather)
    }
}

/// Receives elements one by one into `empty`; `gather` says no to one that must not be there.
fn collect<'de, T: Field, C, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
    empty: impl FnOnce(usize) -> C,
    gather: impl FnMut(&mut C, T) -> bool,
) -> Result<C, D::Error> {
    deserializer.deserialize_seq(Sequence(Collect { expected, empty, gather, types: PhantomData }))
}

/// The same for the entries of a map.
fn collect_entries<'de, K: Field, V: Field, C, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
    empty: impl FnOnce(usize) -> C,
    gather: impl FnMut(&mut C, (K, V)) -> bool,
) -> Result<C, D::Error> {
    deserializer.deserialize_map(Entries(Collect { expected, empty, gather, types: PhantomData }))
}

struct Collect<E, G, T, C> {
    expected: &'static str,
    empty: E,
    gather: G,
    types: PhantomData<(T, C)>,
}

impl<E: FnOnce(usize) -> C, G: FnMut(&mut C, T) -> bool, T, C> Collect<E, G, T, C> {
    fn run<X: de::Error>(mut self, hint: Option<usize>, mut next: impl FnMut() -> Result<Option<T>, X>) -> Result<C, X> {
        let mut collection = (self.empty)(room::<T>(hint));
        while let Some(element) = next()? {
            if !(self.gather)(&mut collection, element) {
                return Err(X::invalid_value(de::Unexpected::Other("another"), &self.expected));
            }
        }
        Ok(collection)
    }
}

struct Sequence<E, G, T, C>(Collect<E, G, T, C>);

impl<'de, E: FnOnce(usize) -> C, G: FnMut(&mut C, T) -> bool, T: Field, C> Visitor<'de> for Sequence<E, G, T, C> {
    type Value = C;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.expected)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<C, A::Error> {
        self.0.run(elements.size_hint(), || Ok(elements.next_element()?.map(|Owned(element)| element)))
    }
}

struct Entries<E, G, K, V, C>(Collect<E, G, (K, V), C>);

impl<'de, E: FnOnce(usize) -> C, G: FnMut(&mut C, (K, V)) -> bool, K: Field, V: Field, C> Visitor<'de> for Entries<E, G, K, V, C> {
    type Value = C;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.expected)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<C, A::Error> {
        self.0.run(entries.size_hint(), || Ok(entries.next_entry()?.map(|(Owned(key), Owned(value))| (key, value))))
    }
}
