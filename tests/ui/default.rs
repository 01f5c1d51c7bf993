use breezeway::Message;

#[derive(Message, Default)]
#[serde(default)]
struct Container {
    a: u8,
}

#[derive(Message)]
struct Field {
    #[serde(default)]
    a: u8,
    #[serde(default = "seven")]
    b: u8,
}

fn seven() -> u8 {
    7
}

fn main() {}
