use breezeway::protocol;

#[protocol]
auto trait Parted<'a, T>: Clone + Send
where
    T: Copy,
{
    fn method();
}

#[protocol]
#[must_use]
#[derive(Debug)]
trait Adorned {
    #[must_use]
    #[oneway]
    fn method();
}

#[protocol]
trait Bounded
where
    u8: Copy,
{
    fn method();
}

#[protocol]
trait Empty {}

#[protocol]
struct NotATrait;

#[protocol(debug, crate = "not a path")]
trait Options {
    fn method();
}

fn main() {}
