use breezeway::Message;

#[derive(Message)]
#[serde(default, tag = "t")]
struct Wrong<'a> {
    #[serde(flatten)]
    #[message(opaque)]
    a: std::borrow::Cow<'a, str>,
    #[serde(default)]
    b: u8,
}

// The refused type has its impls all the same, so no other error follows.
fn is_message<T: Message>() {}

fn main() {
    is_message::<Wrong<'static>>();
}
