use breezeway::protocol;

#[protocol]
trait Wrong {
    fn receiver(&self, key: String);
    fn mutable(mut self: Box<Self>) -> u8;
    async fn asynchronous() -> u8;
    const fn constant();
    extern "C" fn foreign();
    pub fn visible();
    fn default() -> u8 {
        7
    }
    fn generic<T>(value: T);
    fn borrowing<'a>(text: String);
    fn bounded() where u8: Copy;
    fn pattern((left, right): (u8, u8), _: u8, mut third: u8, #[allow(unused)] fourth: u8);
    fn good(key: String) -> u8;
    const LIMIT: usize = 1;
    type Item;
}

struct Service;

// What is good is there all the same.
impl WrongService for Service {
    fn good(&self, _: &protocol::Call<'_>, key: String) -> u8 {
        key.len() as u8
    }
}

fn main() {
    let _ = WrongClient::good;
}
