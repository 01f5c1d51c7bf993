//! The expansion names everything by its full path: it needs no prelude, and no crate but breezeway.
#![no_implicit_prelude]
#![forbid(unsafe_code)]
#![deny(warnings)]

#[derive(::breezeway::Message)]
pub struct Named<T> {
    pub text: ::std::string::String,
    pub value: ::std::option::Option<T>,
    #[serde(skip)]
    pub skipped: u8,
}

#[derive(::breezeway::Message)]
pub enum Every {
    Unit,
    #[message(from)]
    Newtype(u8),
    Tuple(u8, #[message(opaque = "v1")] u16),
    Named { inner: ::std::boxed::Box<Named<Self>> },
}

fn main() {}
