use breezeway::Message;

#[derive(Message)]
#[serde(tag = "type", content = "value")]
enum Tagged {
    A(u8),
    B(String),
}

fn main() {}
