use breezeway::Message;

mod foreign {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Point(u8);
}

#[derive(Message)]
struct Fields {
    good: u8,
    bad: foreign::Point,
    nested: Option<Vec<foreign::Point>>,
}

#[derive(Message)]
enum Variants {
    Bad(foreign::Point),
}

#[derive(Message)]
struct Generic<T> {
    value: T,
}

fn is_message<T: Message>() {}

fn main() {
    is_message::<Generic<foreign::Point>>();
}
