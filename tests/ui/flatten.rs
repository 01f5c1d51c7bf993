use breezeway::Message;

#[derive(Message)]
struct Flattened {
    #[serde(flatten)]
    inner: Inner,
}

#[derive(Message)]
struct Inner {
    value: u8,
}

fn main() {}
