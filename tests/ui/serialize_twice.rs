use breezeway::Message;

#[derive(serde::Serialize, Message)]
struct Twice {
    a: u8,
}

fn main() {}
