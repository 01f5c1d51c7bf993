//! The variable that tells a program which descriptors it inherits; docs/processes.md has its format.
//!
//! It is text, so it reaches whoever inherits the environment, with the descriptors or without them. So each entry says which file it
//! means, and who reads it compares. Stands on [`crate::sys::fd`].

use crate::sys::fd::Place;

/// Its name.
pub(super) const VARIABLE: &str = "BREEZEWAY_FDS";
/// The entry of the program's end of its channel.
pub(super) const CHANNEL: &str = "channel";
/// The entry of the one-way channel on which the program reports panics.
pub(super) const PANICS: &str = "panics";

/// Whether a user may give a descriptor this name: none of ours, and nothing that has a meaning in the variable or in a shell.
pub(super) fn may_be_a_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.bytes().all(plain) && name != CHANNEL && name != PANICS
}

/// The variable's text.
pub(super) fn format<'a>(entries: impl IntoIterator<Item = (&'a str, Place)>) -> String {
    let entries = entries.into_iter().map(|(name, place)| format!("{name}={place}"));
    entries.collect::<Vec<_>>().join(" ")
}

/// Its entries; `None` where it is no such text.
pub(super) fn parse(text: &str) -> Option<Vec<(&str, Place)>> {
    text.split(' ')
        .map(|entry| {
            let (name, place) = entry.split_once('=')?;
            Some((name, place.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{format, may_be_a_name, parse};
    use crate::sys::fd::Place;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_written_is_read() {
        let file = std::fs::File::open("Cargo.toml").unwrap();
        let place = Place::of(file.as_fd()).unwrap();
        for names in [&["channel"][..], &["channel", "panics"], &["channel", "log.1"]] {
            let text = format(names.iter().map(|name| (*name, place)));
            assert_eq!(parse(&text).unwrap(), names.iter().map(|name| (*name, place)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let texts = [
            "",
            " ",
            "channel",
            "channel=",
            "channel=3",
            "channel=3:4",
            "channel=3:4:5:6",
            "channel=3:4:",
            "channel=-3:4:5",
            "channel=+3:4:5",
            "channel=3:4:x",
            "channel= 3:4:5",
            "channel=3:4:5 ",
            " channel=3:4:5",
            "channel=3:4:5  panics=6:7:8",
            "channel=2147483648:4:5",
            "channel=3:4:18446744073709551616",
            "channel=3:4:٥",
        ];
        for text in texts {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert!(parse("channel=3:18446744073709551615:0").is_some());
    }

    #[test]
    fn names_are_words() {
        assert!(["log", "log.1", "a-b_C"].into_iter().all(may_be_a_name));
        assert!(!["", "channel", "panics", "a b", "a=b", "a:b", "ö", "a\n"].into_iter().any(may_be_a_name));
    }
}
