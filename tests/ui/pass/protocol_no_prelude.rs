//! The expansion of a protocol needs no prelude, and no crate but breezeway.
#![no_implicit_prelude]
#![forbid(unsafe_code, missing_docs)]
#![deny(warnings)]

/// Every kind of method.
#[::breezeway::protocol(derive(::std::fmt::Debug))]
pub trait Kinds {
    /// Gives a value.
    fn plain(call: u8, text: ::std::string::String) -> ::std::option::Option<u8>;
    /// Gives an error of its own.
    fn fallible() -> ::std::result::Result<u8, ::std::string::String>;
    /// Is not answered.
    #[oneway]
    fn oneway(reply: u8);
    /// Answers later.
    #[later]
    fn later(reply: u8) -> u8;
    /// Gives many.
    fn stream(feed: u8) -> ::breezeway::protocol::Stream<u8>;
}

/// One method.
#[::breezeway::protocol]
trait One {
    /// Gives nothing.
    fn nothing();
}

fn main() {
    let _ = OneClient::nothing;
}
