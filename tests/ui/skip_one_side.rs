use breezeway::Message;

#[derive(Message)]
struct OneSided {
    #[serde(skip_serializing)]
    a: u8,
    #[serde(skip_deserializing)]
    b: u8,
}

fn main() {}
