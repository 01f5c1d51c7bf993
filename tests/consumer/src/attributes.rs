//! serde's attributes and breezeway's own.

use bz::Message;
use std::marker::PhantomData;
use std::ops::Range;

/// Other names, which are not sent.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
#[serde(rename = "renamed", rename_all = "camelCase")]
pub struct RenamedFields {
    /// By the rule.
    pub first_field: u8,
    /// By itself.
    #[serde(rename = "2nd")]
    pub second_field: u16,
}

/// Other names of variants and of their fields.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
#[serde(rename_all = "kebab-case", rename_all_fields = "SCREAMING_SNAKE_CASE")]
pub enum RenamedVariants {
    /// By the rule.
    FirstOne,
    /// With fields by the rule.
    SecondThing {
        /// By the rule.
        some_field: u8,
    },
    /// By itself.
    #[serde(rename = "3rd")]
    Third(u8),
}

fn eleven() -> u8 {
    11
}

/// Fields that are not sent.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Skipping<T> {
    /// Its default arrives.
    #[serde(skip)]
    pub by_default: T,
    /// Sent.
    pub sent: u8,
    /// What the function returns arrives.
    #[serde(skip, default = "eleven")]
    pub by_function: u8,
}

/// A variant with a field that is not sent.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub enum SkippingVariant {
    /// The second is not.
    Two(u8, #[serde(skip)] u8),
}

/// How a field is written and read. The trait `Field` has functions of the right kind; those of one's own take serde to write.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct With {
    /// Both ways.
    #[serde(with = "bz::Field")]
    pub both: Vec<u8>,
    /// One way, and the other supplied.
    #[serde(serialize_with = "bz::Field::serialize")]
    pub sent: String,
    /// The other way.
    #[serde(deserialize_with = "bz::Field::deserialize")]
    pub received: u32,
}

/// A field of a type that serde knows and breezeway does not.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Opaque<T> {
    /// Such a type.
    #[message(opaque = "v1")]
    pub fixed: Range<u32>,
    /// With a parameter.
    #[message(opaque = "v1")]
    pub generic: Vec<Range<T>>,
}

/// As its one field.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
#[serde(transparent)]
pub struct Transparent<T> {
    /// The field.
    pub list: Vec<T>,
    /// Nothing.
    pub of: PhantomData<T>,
}

/// Another type travels in its place.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
#[serde(into = "u16", try_from = "u16")]
pub struct Percent(u8);

impl Percent {
    /// Nothing above it arrives.
    pub const MOST: Percent = Percent(100);
    /// Something that can be sent and not received.
    pub const TOO_MANY: Percent = Percent(101);
}

impl From<Percent> for u16 {
    fn from(percent: Percent) -> u16 {
        percent.0.into()
    }
}

impl TryFrom<u16> for Percent {
    type Error = &'static str;

    fn try_from(number: u16) -> Result<Percent, &'static str> {
        u8::try_from(number).ok().filter(|number| *number <= 100).map(Percent).ok_or("more than everything")
    }
}

/// Made from what one of its variants holds.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub enum Job {
    /// Made from text.
    #[message(from)]
    Text(String),
    /// Made by hand.
    Stop,
}
