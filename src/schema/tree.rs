//! The owned form: every node that a schema leads to, once, in the order in which they are first met.
//!
//! A tree is never empty, and its nodes have as many children as their kind says, each of them a node of the tree: also for a tree that
//! a peer sent, for it is checked before it is one.

use super::Schema;
use super::constant::{Child, Kind as Constant, Payload as ConstantPayload};
use serde::{Deserialize, Serialize};
use std::any::TypeId;
use std::collections::{HashMap, VecDeque};

/// The most nodes of a tree: what lies beyond is one node of the kind `Cut`. Chosen, not tuned: the types of one message are tens.
pub(super) const MAX_NODES: usize = 4096;

/// How many types may be one another's encoding in a row before the last is `Cut`; only a type without values has more. Chosen, not tuned.
const MAX_SAME: usize = 128;

/// A schema as owned data: what is sent to a peer, and compared by [`first_difference`](super::first_difference).
///
/// It has serde's traits, so any format carries it; on a channel it is a few dozen bytes per type. Receiving one checks it whole, so
/// that one from a hostile peer is an error or as good as any other.
///
/// ```
/// use breezeway::{Message, channel, schema::Tree};
///
/// #[derive(Message)]
/// enum Job { Scan { name: String }, Stop }
///
/// let (sender, receiver) = channel::<Tree>()?;
/// sender.send(Job::schema().tree())?;
/// assert_eq!(receiver.recv()?.fingerprint(), Job::fingerprint());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Tree {
    pub(super) name: String,
    /// The first is the type itself.
    pub(super) nodes: Vec<Node>,
}

/// A tree as it arrives.
#[derive(Deserialize)]
struct Unchecked {
    name: String,
    nodes: Vec<Node>,
}

impl TryFrom<Unchecked> for Tree {
    type Error = &'static str;

    fn try_from(Unchecked { name, nodes }: Unchecked) -> Result<Tree, &'static str> {
        if nodes.is_empty() || nodes.len() > MAX_NODES {
            return Err("a schema with no nodes or too many");
        }
        let whole =
            |node: &Node| node.kind.arity() == Some(node.children.len()) && node.children.iter().all(|child| to(*child) < nodes.len());
        if nodes.iter().all(whole) { Ok(Tree { name, nodes }) } else { Err("a schema whose nodes do not fit together") }
    }
}

/// A child's place among the nodes.
pub(super) fn to(child: u32) -> usize {
    child as usize
}

/// One type of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Node {
    /// For people; empty where the kind says it all.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) children: Vec<u32>,
}

/// What a node is, without its children. The order is that of the wire (`docs/schema.md`): new kinds come last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Kind {
    Cut,
    Scalar(String),
    String,
    Bytes,
    ByteArray(u64),
    Blob,
    Descriptor(String),
    Opaque(String),
    Option,
    Result,
    Sequence,
    Set,
    SortedSet,
    Map,
    SortedMap,
    Array(u64),
    Tuple(u32),
    Struct(Vec<String>),
    Enum(Vec<(String, Payload)>),
    Sender,
    Receiver,
    Channel,
}

/// What a variant holds; the types stand among the children of its enum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Payload {
    Tuple(u32),
    Struct(Vec<String>),
}

impl Payload {
    pub(super) fn len(&self) -> usize {
        match self {
            Payload::Tuple(count) => to(*count),
            Payload::Struct(names) => names.len(),
        }
    }
}

impl Kind {
    /// How many children such a node has. `None` where a peer counts more than there can be.
    fn arity(&self) -> Option<usize> {
        match self {
            Kind::Cut | Kind::Scalar(_) | Kind::String | Kind::Bytes | Kind::ByteArray(_) | Kind::Blob => Some(0),
            Kind::Descriptor(_) | Kind::Opaque(_) => Some(0),
            Kind::Option | Kind::Sequence | Kind::Set | Kind::SortedSet | Kind::Array(_) | Kind::Sender | Kind::Receiver => Some(1),
            Kind::Result | Kind::Map | Kind::SortedMap | Kind::Channel => Some(2),
            Kind::Tuple(count) => Some(to(*count)),
            Kind::Struct(names) => Some(names.len()),
            Kind::Enum(variants) => variants.iter().try_fold(0, |sum: usize, (_, payload)| sum.checked_add(payload.len())),
        }
    }
}

impl Tree {
    /// Every node that can be reached from this one.
    pub(super) fn of(schema: &'static Schema) -> Tree {
        let mut collected = Collected::default();
        collected.place(schema);
        while let Some((index, constant)) = collected.open.pop_front() {
            let (kind, children) = parts(constant);
            collected.nodes[index].children = children.into_iter().map(|child| collected.place_child(child)).collect();
            collected.nodes[index].kind = kind;
        }
        Tree { name: schema.name.to_owned(), nodes: collected.nodes }
    }

    /// The name of the type that the schema is of, empty for one without a name.
    ///
    /// It does not count, and in a tree from a peer it is whatever the peer wrote.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What to call the message where it is the subject of a sentence.
    pub(super) fn subject(&self) -> &str {
        if self.name.is_empty() { "message" } else { &self.name }
    }
}

/// The nodes found so far, and those of them whose children are not.
#[derive(Default)]
struct Collected {
    nodes: Vec<Node>,
    known: HashMap<TypeId, u32>,
    cut: Option<u32>,
    open: VecDeque<(usize, Constant)>,
}

impl Collected {
    fn place_child(&mut self, child: Child) -> u32 {
        match child {
            Child::Of(schema) => self.place(schema()),
            Child::Opaque(version) => self.leaf("", Kind::Opaque(version.to_owned())),
        }
    }

    /// The node of a type, which is a new one where the type is new.
    fn place(&mut self, mut schema: &'static Schema) -> u32 {
        for _ in 0..MAX_SAME {
            match schema.kind {
                Constant::Same(Child::Of(other)) => schema = other(),
                Constant::Same(opaque @ Child::Opaque(_)) => return self.place_child(opaque),
                constant => {
                    let id = schema.id();
                    if let Some(known) = self.known.get(&id) {
                        return *known;
                    }
                    let node = self.leaf(schema.name, Kind::Cut);
                    if Some(node) != self.cut {
                        self.known.insert(id, node);
                        self.open.push_back((to(node), constant));
                    }
                    return node;
                }
            }
        }
        self.leaf("", Kind::Cut)
    }

    /// A new node, or the last one there is room for.
    fn leaf(&mut self, name: &str, kind: Kind) -> u32 {
        if let Some(cut) = self.cut {
            return cut;
        }
        let index = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let last = self.nodes.len() + 1 == MAX_NODES;
        let (name, kind) = if last { ("", Kind::Cut) } else { (name, kind) };
        self.nodes.push(Node { name: name.to_owned(), kind, children: Vec::new() });
        self.cut = last.then_some(index);
        index
    }
}

/// A constant node in the owned form.
fn parts(constant: Constant) -> (Kind, Vec<Child>) {
    match constant {
        // Followed before it gets here.
        Constant::Same(_) => (Kind::Cut, vec![]),
        Constant::Scalar(name) => (Kind::Scalar(name.to_owned()), vec![]),
        Constant::String => (Kind::String, vec![]),
        Constant::Bytes => (Kind::Bytes, vec![]),
        Constant::ByteArray(length) => (Kind::ByteArray(length as u64), vec![]),
        Constant::Blob => (Kind::Blob, vec![]),
        Constant::Descriptor(owner) => (Kind::Descriptor(owner.to_owned()), vec![]),
        Constant::Option(some) => (Kind::Option, vec![some]),
        Constant::Result(ok, err) => (Kind::Result, vec![ok, err]),
        Constant::Sequence(element) => (Kind::Sequence, vec![element]),
        Constant::Set(element) => (Kind::Set, vec![element]),
        Constant::SortedSet(element) => (Kind::SortedSet, vec![element]),
        Constant::Map(key, value) => (Kind::Map, vec![key, value]),
        Constant::SortedMap(key, value) => (Kind::SortedMap, vec![key, value]),
        Constant::Array(length, element) => (Kind::Array(length as u64), vec![element]),
        Constant::Tuple(parts) => (Kind::Tuple(count(parts)), parts.to_vec()),
        Constant::Struct(fields) => (Kind::Struct(names(fields)), fields.iter().map(|(_, child)| *child).collect()),
        Constant::Enum(variants) => {
            let mut children = Vec::new();
            let mut owned = |payload: &ConstantPayload| match *payload {
                ConstantPayload::Tuple(parts) => {
                    children.extend_from_slice(parts);
                    Payload::Tuple(count(parts))
                }
                ConstantPayload::Struct(fields) => {
                    children.extend(fields.iter().map(|(_, child)| *child));
                    Payload::Struct(names(fields))
                }
            };
            let variants = variants.iter().map(|(name, payload)| ((*name).to_owned(), owned(payload))).collect();
            (Kind::Enum(variants), children)
        }
        Constant::Sender(message) => (Kind::Sender, vec![message]),
        Constant::Receiver(message) => (Kind::Receiver, vec![message]),
        Constant::Channel(sent, received) => (Kind::Channel, vec![sent, received]),
    }
}

fn count(parts: &[Child]) -> u32 {
    u32::try_from(parts.len()).unwrap_or(u32::MAX)
}

fn names(fields: &[(&'static str, Child)]) -> Vec<String> {
    fields.iter().map(|(name, _)| (*name).to_owned()).collect()
}
