use breezeway::protocol;

#[protocol]
trait Wrong {
    #[oneway]
    fn answered() -> u8;
    #[oneway]
    #[later]
    fn never();
    #[later = "tomorrow"]
    fn tomorrow() -> u8;
    fn reference(text: &str, list: Vec<&'static u8>) -> Option<&str>;
    fn unnamed(value: impl Copy) -> Box<dyn Send>;
    fn itself() -> Option<Self>;
}

fn main() {}
