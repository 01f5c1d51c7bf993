use breezeway::Message;

#[derive(Message)]
union Either {
    integer: u32,
    float: f32,
}

fn main() {}
