use breezeway::Message;

#[derive(Message)]
enum Shifted {
    #[serde(skip)]
    A,
    B,
}

fn main() {}
