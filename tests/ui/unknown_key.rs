use breezeway::Message;

#[derive(Message)]
#[message(version = 2)]
#[serde(renamed = "x")]
struct Unknown {
    #[message(opaqe = "v1")]
    a: u8,
    #[serde(skipp)]
    b: u8,
}

fn main() {}
