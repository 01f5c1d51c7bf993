use breezeway::Message;

#[derive(Message)]
#[serde(remote = "std::time::Duration")]
struct Remote {
    #[serde(getter = "std::time::Duration::as_secs")]
    secs: u64,
}

fn main() {}
