use breezeway::protocol;

struct Foreign;

#[protocol]
trait Wrong {
    fn foreign(argument: Foreign) -> Vec<Foreign>;
}

fn main() {}
