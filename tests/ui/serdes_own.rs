//! What serde refuses is left to serde, and no other error follows.
use breezeway::Message;

#[derive(Message)]
#[serde(rename_all = "bogus")]
struct Rule {
    a: u8,
}

#[derive(Message)]
enum Twice<T> {
    #[serde(rename = "a", rename = "b")]
    A(T),
}

fn main() {}
