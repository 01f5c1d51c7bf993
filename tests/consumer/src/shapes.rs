//! Every shape of struct and enum.

use bz::Message;

/// Named fields.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Named {
    /// A number.
    pub number: u64,
    /// Text.
    pub text: String,
    /// Containers in each other.
    pub nested: Option<Vec<(u8, char)>>,
}

/// One field without a name.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Newtype(pub String);

/// Several.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Tuple(pub u8, pub i64, pub [u16; 3]);

/// None.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Unit;

/// None, in braces.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct NothingNamed {}

/// None, in parentheses.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct NothingUnnamed();

/// Every shape of variant.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub enum Every {
    /// No fields.
    Unit,
    /// None, in parentheses.
    NothingUnnamed(),
    /// None, in braces.
    NothingNamed {},
    /// One.
    Newtype(Named),
    /// Several, and the enum itself.
    Tuple(u8, Box<Every>),
    /// With names.
    Named {
        /// A result.
        result: Result<u8, String>,
        /// A struct.
        newtype: Newtype,
    },
}

/// Discriminants, which are not sent.
#[derive(Message, Debug, Clone, Copy, PartialEq)]
#[message(crate = "bz")]
#[repr(u8)]
pub enum Numbered {
    /// The first.
    Seven = 7,
    /// The second.
    Three = 3,
}

/// No variants, so there is no value of it.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub enum Never {}

/// A place for a value that there is none of.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
pub struct Nowhere {
    /// Always `None`.
    pub never: Option<Never>,
}
