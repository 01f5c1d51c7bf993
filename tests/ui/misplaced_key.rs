use breezeway::Message;

#[derive(Message)]
#[message(opaque = "v1")]
enum Misplaced {
    #[message(crate = "breezeway")]
    A(#[message(from)] u8),
    #[message(from, from)]
    B(u16),
}

fn main() {}
