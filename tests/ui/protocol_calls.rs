use breezeway::protocol;

#[protocol]
enum WrongRequest<T> {
    #[reply(u8, u16)]
    Two,
    #[reply(u8)]
    #[reply(u16)]
    Twice,
    Tuple(u8, u8),
    Numbered = 7,
    lower { field: u8 },
    Super,
    Attributed {
        #[serde(skip)]
        field: u8,
    },
    #[reply(u8)]
    Good { field: u8 },
}

#[protocol]
enum Calls {
    Call,
}

#[protocol]
trait Method {
    #[reply(u8)]
    fn method();
}

struct Service;

// What is good is there all the same.
impl WrongService for Service {
    fn good(&self, _: &protocol::Call<'_>, field: u8) -> u8 {
        field
    }
}

fn main() {}
