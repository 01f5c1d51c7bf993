use breezeway::protocol;

#[protocol]
trait Wrong {
    fn new() -> u8;
    fn with_timeout();
    fn get_one();
    fn getOne();
    fn open();
    fn start_open();
    fn start_alone();
    fn twice(a: u8, b: u8, a: u16);
}

fn main() {}
