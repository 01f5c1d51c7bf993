//! The message, the same for all, with the type for bytes that each library's documentation asks for.

use crate::Result;

/// Eight bytes.
const NAME: &str = "notes.md";
/// What is not `body` in a message, encoded with integers of fixed size: variant, id, and the lengths and contents of the rest.
const AROUND: usize = 4 + 8 + (8 + NAME.len()) + (8 + 2 * 4) + 8;

/// A message of a given size, whose bytes are all written and all read.
pub(crate) trait Load {
    fn ping() -> Self;
    fn request(size: usize) -> Self;
    /// Writes every byte of a request afresh.
    fn fill(&mut self, id: u64);
    /// Reads every byte: the id of a request, nothing for a ping. An error if one is not what `fill` has written.
    fn read(&self, size: usize) -> Result<Option<u64>>;
}

/// Defines the message with these derives and this type for bytes, which `fill` writes afresh: by default, in place.
macro_rules! message {
    ($(#[$derive:meta])* $name:ident, $bytes:ty) => {
        $crate::message::message!($(#[$derive])* $name, $bytes, |id, body: &mut $bytes| body.fill(id as u8));
    };
    ($(#[$derive:meta])* $name:ident, $bytes:ty, $fill:expr) => {
        $(#[$derive])*
        pub(crate) enum $name {
            Ping,
            Request { id: u64, name: String, tags: Vec<u32>, body: $bytes },
            Reply { id: u64, result: Result<$bytes, String> },
        }

        impl $crate::message::Load for $name {
            fn ping() -> Self {
                $name::Ping
            }

            fn request(size: usize) -> Self {
                let (name, tags, body) = $crate::message::parts(size);
                $name::Request { id: 0, name, tags, body: body.into() }
            }

            fn fill(&mut self, new: u64) {
                if let $name::Request { id, name, tags, body } = self {
                    *id = new;
                    $crate::message::write(new, name, tags);
                    ($fill)(new, body);
                }
            }

            fn read(&self, size: usize) -> $crate::Result<Option<u64>> {
                match self {
                    $name::Ping => Ok(None),
                    $name::Request { id, name, tags, body } => $crate::message::check(size, *id, name, tags, body).map(Some),
                    $name::Reply { id, result } => {
                        let length = result.as_ref().map(|body| body.len());
                        Err(format!("a reply to {id} of {length:?} bytes, which nobody sends").into())
                    }
                }
            }
        }
    };
}
pub(crate) use message;

message!(
    /// For serde: `serde_bytes` makes bytes of what would else be a sequence of numbers.
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    Serde,
    serde_bytes::ByteBuf
);

pub(crate) fn parts(size: usize) -> (String, Vec<u32>, Vec<u8>) {
    (NAME.into(), vec![0; 2], vec![0; size - AROUND])
}

pub(crate) fn write(id: u64, name: &mut String, tags: &mut [u32]) {
    name.clear();
    name.push_str(NAME);
    tags.fill(id as u32);
}

pub(crate) fn check(size: usize, id: u64, name: &str, tags: &[u32], body: &[u8]) -> Result<u64> {
    let right = name == NAME && tags == [id as u32; 2] && body.len() == size - AROUND && is_filled(id, body);
    if right { Ok(id) } else { Err(format!("message {id} is not what was sent").into()) }
}

/// Whether these are bytes as `write` writes them. Looks at all of them, eight at a time.
pub(crate) fn is_filled(id: u64, bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let expected = u64::from_ne_bytes([id as u8; 8]);
    let different = words.iter().fold(0, |different, &word| different | (u64::from_ne_bytes(word) ^ expected));
    different == 0 && rest.iter().all(|&byte| byte == id as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_size_named() {
        for size in [64, 1 << 10, 4 << 20] {
            let encoded = bincode::serde::encode_to_vec(Serde::request(size), bincode::config::legacy()).unwrap();
            assert_eq!(encoded.len(), size);
        }
    }

    #[test]
    fn one_byte_that_is_another_is_noticed() {
        for at in [0, 500, 971] {
            let mut message = Serde::request(1 << 10);
            message.fill(7);
            assert_eq!(message.read(1 << 10).unwrap(), Some(7));
            let Serde::Request { body, .. } = &mut message else { unreachable!("a request") };
            body[at] ^= 1;
            assert!(message.read(1 << 10).is_err());
        }
    }
}
