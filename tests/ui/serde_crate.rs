use breezeway::Message;

#[derive(Message)]
#[serde(crate = "serde")]
struct Elsewhere {
    a: u8,
}

fn main() {}
