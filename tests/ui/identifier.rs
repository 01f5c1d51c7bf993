use breezeway::Message;

#[derive(Message)]
#[serde(variant_identifier)]
enum Variant {
    A,
}

#[derive(Message)]
#[serde(field_identifier)]
enum Field {
    A,
}

fn main() {}
