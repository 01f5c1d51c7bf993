//! Parameters, bounds, defaults, `where` clauses and recursion.

use bz::{Field, Message};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

/// Defaults of a type and of a constant.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Defaults<T = u8, const N: usize = 2>(pub [T; N]);

/// Bounds in both places.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Bounded<K: Eq + Hash, V>
where
    V: Clone,
{
    /// A map of both.
    pub map: HashMap<K, V>,
}

/// A parameter that a field's type names and that is no field itself.
#[derive(Message, Debug, Clone)]
#[message(crate = "bz")]
#[serde(bound = "S: BuildHasher + Default + 'static")]
pub struct Hashed<S> {
    /// Hashed by it.
    pub map: HashMap<String, u8, S>,
}

/// An enum of two parameters.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub enum Choice<L, R> {
    /// One.
    Left(L),
    /// The other.
    Right {
        /// By name.
        value: R,
    },
    /// Both.
    Both(L, R),
    /// Neither.
    Neither,
}

/// A parameter that is no field.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Id<T> {
    /// The number.
    pub number: u64,
    /// What it is a number of.
    pub of: PhantomData<T>,
}

/// Two sides of a conversation.
pub trait Conversation: 'static {
    /// What is asked.
    type Request: Field;
    /// What is answered.
    type Reply: Field;
}

/// Fields of associated types.
#[derive(Message)]
#[message(crate = "bz")]
pub struct Exchange<C: Conversation> {
    /// What was asked.
    pub request: C::Request,
    /// What was answered.
    pub replies: Vec<<C as Conversation>::Reply>,
}

/// A recursive struct, whose leaves may be anything, files too.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Tree<T> {
    /// The leaf.
    pub leaf: T,
    /// What is below it.
    pub children: Vec<Self>,
}

/// An enum and a struct that contain each other.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub enum Expression<T> {
    /// A value.
    Value(T),
    /// Itself.
    Sum(Vec<Self>),
    /// The struct.
    Call(Box<Call<T>>),
}

/// The struct.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Call<T> {
    /// A name.
    pub name: String,
    /// The enum.
    pub arguments: BTreeMap<String, Expression<T>>,
}
