//! Types and names as a programmer would write them, in errors. Bounded: a peer's schema may be anything.

use super::Tree;
use super::tree::{Kind, Payload, to};

/// The most characters of one name that are shown. Chosen, not tuned, as the two below.
const NAME: usize = 64;
/// After this many bytes the rest of a type is left out.
const TYPE: usize = 240;
/// How many types deep a type is shown.
const DEPTH: usize = 6;

/// A name without control characters, quotes or more length than an error has room for.
pub(crate) fn name(name: &str) -> String {
    let mut shown: String = name.chars().take(NAME).flat_map(char::escape_debug).collect();
    if name.chars().nth(NAME).is_some() {
        shown.push('…');
    }
    shown
}

impl Tree {
    /// A node where it stands alone.
    pub(super) fn shown(&self, node: u32) -> String {
        let mut out = String::new();
        match self.nodes[to(node)].kind {
            Kind::Struct(_) => out.push_str("struct "),
            Kind::Enum(_) => out.push_str("enum "),
            _ => {}
        }
        self.show(&mut out, node, DEPTH);
        out
    }

    /// What a variant holds.
    pub(super) fn shown_payload(&self, payload: &Payload, children: &[u32]) -> String {
        let mut out = String::new();
        match payload {
            Payload::Tuple(_) => self.list(&mut out, "(", children, ")", DEPTH),
            Payload::Struct(names) => {
                out.push_str("{ ");
                for (index, (field, child)) in names.iter().zip(children).enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    if out.len() > TYPE {
                        out.push('…');
                        break;
                    }
                    out.push_str(&name(field));
                    out.push_str(": ");
                    self.show(&mut out, *child, DEPTH);
                }
                out.push_str(if names.is_empty() { "}" } else { " }" });
            }
        }
        out
    }

    fn show(&self, out: &mut String, node: u32, depth: usize) {
        let node = &self.nodes[to(node)];
        if depth == 0 || out.len() > TYPE {
            return out.push('…');
        }
        let by_name = |otherwise: &str| if node.name.is_empty() { otherwise.to_owned() } else { name(&node.name) };
        let (open, close) = match &node.kind {
            Kind::Cut => return out.push('…'),
            Kind::Scalar(scalar) if node.name.is_empty() => return out.push_str(&name(scalar)),
            Kind::Scalar(_) | Kind::Struct(_) | Kind::Enum(_) => return out.push_str(&by_name("_")),
            Kind::String => return out.push_str("String"),
            Kind::Bytes => return out.push_str(&by_name("Vec<u8>")),
            Kind::ByteArray(length) => return out.push_str(&format!("[u8; {length}]")),
            Kind::Blob => return out.push_str("Bytes"),
            Kind::Descriptor(owner) => return out.push_str(&name(owner)),
            Kind::Opaque(version) => return out.push_str(&format!("opaque \"{}\"", name(version))),
            Kind::Option => ("Option<", ">"),
            Kind::Result => ("Result<", ">"),
            Kind::Sequence => ("Vec<", ">"),
            Kind::Set => ("HashSet<", ">"),
            Kind::SortedSet => ("BTreeSet<", ">"),
            Kind::Map => ("HashMap<", ">"),
            Kind::SortedMap => ("BTreeMap<", ">"),
            Kind::Array(length) => return self.list(out, "[", &node.children, &format!("; {length}]"), depth),
            Kind::Tuple(1) => ("(", ",)"),
            Kind::Tuple(_) => ("(", ")"),
            Kind::Sender => ("Sender<", ">"),
            Kind::Receiver => ("Receiver<", ">"),
            Kind::Channel => ("Channel<", ">"),
        };
        self.list(out, open, &node.children, close, depth);
    }

    fn list(&self, out: &mut String, open: &str, children: &[u32], close: &str, depth: usize) {
        out.push_str(open);
        for (index, child) in children.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            if out.len() > TYPE {
                out.push('…');
                break;
            }
            self.show(out, *child, depth - 1);
        }
        out.push_str(close);
    }
}
