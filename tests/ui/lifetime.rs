use breezeway::Message;

#[derive(Message)]
struct Borrowed<'a, 'de> {
    text: std::borrow::Cow<'a, str>,
    more: std::borrow::Cow<'de, str>,
}

fn main() {}
