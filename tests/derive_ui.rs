//! What `#[derive(Message)]` and `#[protocol]` refuse, word for word, and what it must not refuse.
//!
//! The words are in `tests/ui/*.stderr`. `TRYBUILD=overwrite cargo test --test derive_ui` writes them anew.
#![allow(missing_docs)]

#[test]
fn refusals_say_what_is_wrong_and_what_to_do() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    cases.pass("tests/ui/pass/*.rs");
}
