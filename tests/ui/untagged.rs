use breezeway::Message;

#[derive(Message)]
#[serde(untagged)]
enum Untagged {
    A(u8),
    B(String),
}

#[derive(Message)]
enum UntaggedVariant {
    A(u8),
    #[serde(untagged)]
    B(String),
}

fn main() {}
