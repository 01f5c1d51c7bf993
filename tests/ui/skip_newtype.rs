use breezeway::Message;

#[derive(Message)]
struct Newtype(#[serde(skip)] u8);

fn main() {}
