//! A tree as JSON.

use super::Tree;
use super::canonical::quoted;
use super::tree::{Kind, Node, Payload};

impl Tree {
    /// As [`Schema::to_json`](super::Schema::to_json).
    #[must_use]
    pub fn to_json(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(node).collect();
        format!(r#"{{"name":{},"fingerprint":"{:016x}","nodes":[{}]}}"#, quoted(&self.name), self.fingerprint(), nodes.join(","))
    }
}

fn node(Node { name, kind, children }: &Node) -> String {
    let mut members = vec![format!(r#""kind":"{}""#, word(kind))];
    if !name.is_empty() {
        members.push(format!(r#""name":{}"#, quoted(name)));
    }
    members.extend(own_members(kind, children));
    format!("{{{}}}", members.join(","))
}

/// What stands beside the kind.
fn own_members(kind: &Kind, children: &[u32]) -> Vec<String> {
    match kind {
        Kind::Cut | Kind::String | Kind::Bytes | Kind::Blob => vec![],
        Kind::Scalar(name) => vec![format!(r#""scalar":{}"#, quoted(name))],
        Kind::ByteArray(length) => vec![format!(r#""length":{length}"#)],
        Kind::Descriptor(owner) => vec![format!(r#""descriptor":{}"#, quoted(owner))],
        Kind::Opaque(version) => vec![format!(r#""version":{}"#, quoted(version))],
        Kind::Option | Kind::Sequence | Kind::Set | Kind::SortedSet => named(&["element"], children),
        Kind::Array(length) => [vec![format!(r#""length":{length}"#)], named(&["element"], children)].concat(),
        Kind::Result => named(&["ok", "err"], children),
        Kind::Map | Kind::SortedMap => named(&["key", "value"], children),
        Kind::Tuple(_) => vec![elements(children)],
        Kind::Struct(names) => vec![fields(names, children)],
        Kind::Enum(variants) => {
            let mut rest = children;
            let variants = variants.iter().map(|(name, payload)| {
                let (own, others) = rest.split_at(payload.len().min(rest.len()));
                rest = others;
                let payload = match payload {
                    Payload::Tuple(_) => elements(own),
                    Payload::Struct(names) => fields(names, own),
                };
                format!(r#"{{"name":{},{payload}}}"#, quoted(name))
            });
            vec![format!(r#""variants":[{}]"#, variants.collect::<Vec<_>>().join(","))]
        }
        Kind::Sender | Kind::Receiver => named(&["message"], children),
        Kind::Channel => named(&["sent", "received"], children),
    }
}

fn named(names: &[&str], children: &[u32]) -> Vec<String> {
    names.iter().zip(children).map(|(name, child)| format!(r#""{name}":{child}"#)).collect()
}

fn elements(children: &[u32]) -> String {
    let elements: Vec<String> = children.iter().map(u32::to_string).collect();
    format!(r#""elements":[{}]"#, elements.join(","))
}

fn fields(names: &[String], children: &[u32]) -> String {
    let fields = names.iter().zip(children).map(|(name, child)| format!(r#"{{"name":{},"type":{child}}}"#, quoted(name)));
    format!(r#""fields":[{}]"#, fields.collect::<Vec<_>>().join(","))
}

/// The kind's name.
fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Cut => "cut",
        Kind::Scalar(_) => "scalar",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::ByteArray(_) => "byte-array",
        Kind::Blob => "blob",
        Kind::Descriptor(_) => "descriptor",
        Kind::Opaque(_) => "opaque",
        Kind::Option => "option",
        Kind::Result => "result",
        Kind::Sequence => "sequence",
        Kind::Set => "set",
        Kind::SortedSet => "sorted-set",
        Kind::Map => "map",
        Kind::SortedMap => "sorted-map",
        Kind::Array(_) => "array",
        Kind::Tuple(_) => "tuple",
        Kind::Struct(_) => "struct",
        Kind::Enum(_) => "enum",
        Kind::Sender => "sender",
        Kind::Receiver => "receiver",
        Kind::Channel => "channel",
    }
}
