use breezeway::Message;

#[derive(Message)]
struct Borrowed {
    #[serde(borrow)]
    text: std::borrow::Cow<'static, str>,
}

fn main() {}
