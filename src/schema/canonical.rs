//! The canonical text and its hash: the same for all types that are the same on the wire.
//!
//! Types that nothing tells apart are one: a list whose tail is itself and one that is written out as two types in turn have one text.
//! That makes the text independent of how a message is cut into types, and no longer than there are different ones.

use super::Tree;
use super::tree::{Kind, Payload, to};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

impl Tree {
    /// As [`Schema::fingerprint`](super::Schema::fingerprint).
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fnv1a_64(self.canonical_text().as_bytes())
    }

    /// As [`Schema::canonical_text`](super::Schema::canonical_text).
    #[must_use]
    pub fn canonical_text(&self) -> String {
        let classes = self.classes();
        let mut text = String::new();
        // The order in which the classes that can be referred to were begun.
        let mut begun = BTreeMap::new();
        // A stack of what is still to be written, so that depth costs no stack.
        let mut open = vec![Piece::Child(0)];
        while let Some(piece) = open.pop() {
            match piece {
                Piece::Text(piece) => text.push_str(&piece),
                Piece::Child(child) => {
                    let node = &self.nodes[to(child)];
                    if !node.children.is_empty() {
                        let next = begun.len();
                        let number = *begun.entry(classes[to(child)]).or_insert(next);
                        if number < next {
                            text.push('^');
                            text.push_str(&number.to_string());
                            continue;
                        }
                    }
                    let mut pieces = pieces(&node.kind, &node.children);
                    pieces.reverse();
                    open.append(&mut pieces);
                }
            }
        }
        text
    }

    /// For each node a number that it shares with the nodes that nothing tells apart from it.
    ///
    /// Nodes are alike until they are told apart: first by their kinds, then by what their children are alike to. This is Hopcroft's
    /// minimisation of automata: a class that was split is looked at again by its smaller part only, so that a peer's tree is no work either.
    fn classes(&self) -> Vec<usize> {
        let mut kinds = BTreeMap::new();
        let mut classes: Vec<usize> = Vec::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        let mut holders: Vec<Vec<(usize, usize)>> = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            let class = *kinds.entry(&node.kind).or_insert(members.len());
            if class == members.len() {
                members.push(Vec::new());
            }
            members[class].push(index);
            classes.push(class);
            for (position, child) in node.children.iter().enumerate() {
                holders[to(*child)].push((position, index));
            }
        }
        let mut open: BTreeSet<usize> = (0..members.len()).collect();
        while let Some(class) = open.pop_last() {
            let mut by_position: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for (position, holder) in members[class].iter().flat_map(|member| &holders[*member]) {
                by_position.entry(*position).or_default().push(*holder);
            }
            for holders in by_position.into_values() {
                let mut by_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
                for holder in holders {
                    by_class.entry(classes[holder]).or_default().push(holder);
                }
                for (whole, part) in by_class {
                    if part.len() == members[whole].len() {
                        continue;
                    }
                    let new = members.len();
                    for member in &part {
                        classes[*member] = new;
                    }
                    members[whole].retain(|member| classes[*member] == whole);
                    members.push(part);
                    let smaller = if members[new].len() < members[whole].len() { new } else { whole };
                    open.insert(if open.contains(&whole) { new } else { smaller });
                }
            }
        }
        classes
    }
}

/// A part of the text: written out, or a node.
enum Piece<'a> {
    Text(Cow<'a, str>),
    Child(u32),
}

/// One node as text, around its children.
fn pieces<'a>(kind: &'a Kind, children: &[u32]) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut children = children.iter().map(|child| Piece::Child(*child));
    match kind {
        Kind::Cut => pieces.push(text("cut")),
        Kind::Scalar(name) => pieces.push(text(name)),
        Kind::String => pieces.push(text("string")),
        Kind::Bytes => pieces.push(text("bytes")),
        Kind::ByteArray(length) => pieces.push(text(format!("bytes[{length}]"))),
        Kind::Blob => pieces.push(text("blob")),
        Kind::Descriptor(owner) => pieces.push(text(format!("descriptor({owner})"))),
        Kind::Opaque(version) => pieces.push(text(format!("opaque({})", quoted(version)))),
        Kind::Option => list(&mut pieces, "option(", children, ")"),
        Kind::Result => list(&mut pieces, "result(", children, ")"),
        Kind::Sequence => list(&mut pieces, "sequence(", children, ")"),
        Kind::Set => list(&mut pieces, "set(", children, ")"),
        Kind::SortedSet => list(&mut pieces, "sorted-set(", children, ")"),
        Kind::Map => list(&mut pieces, "map(", children, ")"),
        Kind::SortedMap => list(&mut pieces, "sorted-map(", children, ")"),
        Kind::Array(length) => list(&mut pieces, &format!("array[{length}]("), children, ")"),
        Kind::Tuple(_) => list(&mut pieces, "tuple(", children, ")"),
        Kind::Struct(names) => {
            pieces.push(text("struct"));
            fields(&mut pieces, names, &mut children);
        }
        Kind::Enum(variants) => {
            pieces.push(text("enum{"));
            for (index, (name, payload)) in variants.iter().enumerate() {
                pieces.push(text(format!("{}{}", if index > 0 { "," } else { "" }, quoted(name))));
                match payload {
                    Payload::Tuple(0) => {}
                    Payload::Tuple(count) => list(&mut pieces, "(", children.by_ref().take(to(*count)), ")"),
                    Payload::Struct(names) => fields(&mut pieces, names, &mut children),
                }
            }
            pieces.push(text("}"));
        }
        Kind::Sender => list(&mut pieces, "sender(", children, ")"),
        Kind::Receiver => list(&mut pieces, "receiver(", children, ")"),
        Kind::Channel => list(&mut pieces, "channel(", children, ")"),
    }
    pieces
}

fn text<'a>(piece: impl Into<Cow<'a, str>>) -> Piece<'a> {
    Piece::Text(piece.into())
}

fn list<'a>(pieces: &mut Vec<Piece<'a>>, open: &str, children: impl Iterator<Item = Piece<'a>>, close: &'static str) {
    pieces.push(text(open.to_owned()));
    for (index, child) in children.enumerate() {
        if index > 0 {
            pieces.push(text(","));
        }
        pieces.push(child);
    }
    pieces.push(text(close));
}

fn fields<'a>(pieces: &mut Vec<Piece<'a>>, names: &[String], children: &mut impl Iterator<Item = Piece<'a>>) {
    pieces.push(text("{"));
    for (index, (name, child)) in names.iter().zip(children).enumerate() {
        pieces.push(text(format!("{}{}:", if index > 0 { "," } else { "" }, quoted(name))));
        pieces.push(child);
    }
    pieces.push(text("}"));
}

/// A name as a JSON string, in which only what JSON does not allow is escaped.
pub(super) fn quoted(name: &str) -> String {
    let mut quoted = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // A `String` takes whatever is written to it.
            '\0'..='\x1f' => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Fowler, Noll and Vo's hash, variant 1a, 64 bits: the offset basis and the prime are those of its authors.
fn fnv1a_64(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // Of the authors' own test vectors.
        assert_eq!(fnv1a_64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a_64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a_64(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn names_are_quoted_as_in_json() {
        assert_eq!(quoted("a\"\\\n\u{e9}"), "\"a\\\"\\\\\\u000aé\"");
    }
}
