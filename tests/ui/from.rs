use breezeway::Message;

#[derive(Message)]
enum From {
    #[message(from)]
    None,
    #[message(from)]
    Two(u8, u8),
    #[message(from = "u8")]
    Valued(u8),
}

fn main() {}
