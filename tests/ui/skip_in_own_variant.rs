use breezeway::Message;

#[derive(Message)]
enum Own {
    #[serde(with = "pair")]
    A(u8, #[serde(skip)] u8),
}

mod pair {}

fn main() {}
