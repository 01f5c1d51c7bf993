use breezeway::Message;

#[derive(Message)]
enum Open {
    Known,
    #[serde(other)]
    Unknown,
}

fn main() {}
