use breezeway::Message;

#[derive(Message)]
struct Opaque {
    #[message(opaque)]
    a: u8,
    #[message(opaque = "")]
    b: u8,
    #[message(opaque = 1)]
    c: u8,
    #[serde(skip)]
    #[message(opaque = "v1")]
    d: u8,
}

fn main() {}
