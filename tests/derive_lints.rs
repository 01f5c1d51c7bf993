//! What `#[derive(Message)]` emits is silent under every lint that a user may deny, and asks for no `unsafe`.
#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    let_underscore_drop,
    single_use_lifetimes,
    trivial_casts,
    unnameable_types,
    unreachable_pub,
    unused_lifetimes,
    unused_qualifications,
    unused_results
)]

use std::marker::PhantomData;

use breezeway::Message;

/// Named fields, and lints of their own that the user has allowed.
#[derive(Message, Debug)]
#[allow(clippy::struct_excessive_bools, non_snake_case)]
pub struct Named {
    /// Not in snake case.
    pub Upper: bool,
    /// A public field.
    pub flags: (bool, bool),
    /// One bool.
    pub one: bool,
    /// Another.
    pub two: bool,
    /// Too many.
    pub three: bool,
    /// A type that clippy does not like.
    #[allow(clippy::vec_box)]
    boxes: Vec<Box<u8>>,
    /// Another.
    #[expect(clippy::option_option, reason = "a lint that the user expects")]
    options: Option<Option<String>>,
    /// A keyword.
    pub r#type: u8,
    /// Not sent.
    #[serde(skip)]
    pub skipped: u8,
}

/// A newtype.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
pub struct Newtype(pub String);

/// A tuple struct with parameters.
#[derive(Message, Debug)]
pub struct Tuple<T, const N: usize = 1>(pub [T; N], pub PhantomData<T>)
where
    T: Clone;

/// A unit struct.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit;

/// A transparent struct.
#[derive(Message, Debug)]
#[serde(transparent)]
pub struct Transparent<T> {
    /// What it is.
    pub value: u8,
    /// What it stands for.
    pub of: PhantomData<T>,
}

/// Every shape of variant.
#[derive(Message, Debug)]
#[allow(clippy::large_enum_variant, non_camel_case_types)]
pub enum Every<T> {
    /// A unit.
    Unit,
    /// A large newtype.
    #[message(from)]
    Large([u64; 64]),
    /// Fields.
    Named {
        /// A recursive one.
        inner: Box<Self>,
        /// A generic one.
        value: T,
    },
    /// Not in camel case.
    lower(u8, #[serde(skip)] u8),
    /// Written by functions of the user's.
    #[serde(serialize_with = "write_pair")]
    Custom(u8, u8),
    /// Deprecated.
    #[deprecated]
    Old,
}

/// No variants.
#[derive(Message, Debug)]
pub enum Empty {}

/// Another type travels.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
#[serde(into = "Newtype", from = "Newtype")]
pub struct Proxied(pub String);

impl From<Proxied> for Newtype {
    fn from(proxied: Proxied) -> Self {
        Self(proxied.0)
    }
}

impl From<Newtype> for Proxied {
    fn from(newtype: Newtype) -> Self {
        Self(newtype.0)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn write_pair<S: serde::Serializer>(first: &u8, second: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&(first, second), serializer)
}

#[test]
fn every_shape_compiles_without_a_word() {
    let names =
        [Named::NAME, Newtype::NAME, Tuple::<u8>::NAME, Unit::NAME, Transparent::<u8>::NAME, Every::<u8>::NAME, Empty::NAME, Proxied::NAME];
    assert_eq!(names, ["Named", "Newtype", "Tuple", "Unit", "Transparent", "Every", "Empty", "Proxied"]);
}
