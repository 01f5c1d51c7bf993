use breezeway::Message;

#[derive(Message)]
struct Sometimes {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<u8>,
}

fn main() {}
