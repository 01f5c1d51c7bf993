use breezeway::Message;

#[derive(Message)]
#[serde(transparent)]
enum Enum {
    A(u8),
}

#[derive(Message)]
#[serde(transparent)]
struct Two {
    a: u8,
    b: u8,
}

#[derive(Message)]
#[serde(transparent)]
struct Unit;

fn main() {}
