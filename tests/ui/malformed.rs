use breezeway::Message;

#[derive(Message)]
#[message(crate = 3)]
#[serde(bound = "T is a number")]
struct Malformed<T> {
    #[message(opaque = )]
    a: T,
    #[serde(bound)]
    b: T,
    #[serde(bound = 3)]
    c: T,
    #[serde(alias)]
    d: T,
}

fn main() {}
