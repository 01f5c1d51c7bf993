use breezeway::Message;

#[derive(Message, Clone)]
#[serde(into = "u8")]
struct Sent(u8);

#[derive(Message)]
#[serde(try_from = "u8")]
struct Received(u8);

#[derive(Message, Clone)]
#[serde(into = "u8", from = "u8", try_from = "u8", transparent)]
struct TooMuch(u8);

fn main() {}
