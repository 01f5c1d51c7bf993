use breezeway::Message;

#[derive(Message)]
struct Borrowed {
    text: &'static str,
    nested: Option<Vec<&'static [u8]>>,
}

fn main() {}
