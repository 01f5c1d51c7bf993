//! Where a lint is forbidden, the expansion does not try to allow it.
#![forbid(deprecated, missing_docs, non_snake_case, unsafe_code, unused_imports)]
#![allow(dead_code)]

use breezeway::Message;

#[derive(Message)]
struct Named {
    text: String,
}

#[derive(Message)]
enum Every {
    Unit,
    Newtype(Named),
}

fn main() {}
