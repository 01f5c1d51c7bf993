//! The first difference between two trees, in words.
//!
//! The two are walked together, field by field. Pairs that are already being compared are taken to be equal and merged into classes, so
//! that the walk ends after at most as many steps as there are nodes, whatever a peer sent, and finds a difference if there is one.

use super::Tree;
use super::shown::name;
use super::tree::{Kind, Payload, to};
use std::fmt;

/// The most steps of a path that are shown, besides its beginning. Chosen, not tuned.
const STEPS: usize = 12;

/// Where two types differ first, and how: `Job::Scan.name: String here, Vec<u8> there`.
///
/// The path leads from the message through variants (`::`), fields (`.`), options (`?`), elements (`[]`), `[key]` and `[value]` of maps,
/// and what ends of channels carry (`<sent>`, `<received>`). Types are written as in Rust, and a type of the user's by its name. Names
/// that a peer sent are escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    path: String,
    here: String,
    there: String,
}

impl Difference {
    /// Where it is, `Job::Scan.name`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands there on this side, `String`.
    #[must_use]
    pub fn here(&self) -> &str {
        &self.here
    }

    /// What stands there on the other side, `Vec<u8>`.
    #[must_use]
    pub fn there(&self) -> &str {
        &self.there
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} here, {} there", self.path, self.here, self.there)
    }
}

/// The first difference between two types; `None` if they are the same on the wire, that is, if their fingerprints are equal.
///
/// ```
/// use breezeway::{Message, schema};
///
/// mod here {
///     #[derive(breezeway::Message)]
///     pub enum Job { Scan { name: String }, Stop }
/// }
/// mod there {
///     #[derive(breezeway::Message)]
///     pub enum Job { Scan { name: Vec<u8> }, Stop }
/// }
///
/// let difference = schema::first_difference(&here::Job::schema().tree(), &there::Job::schema().tree());
/// assert_eq!(difference.unwrap().to_string(), "Job::Scan.name: String here, Vec<u8> there");
/// ```
#[must_use]
pub fn first_difference(ours: &Tree, theirs: &Tree) -> Option<Difference> {
    let mut walk = Walk { ours, theirs, trail: Vec::new(), open: Vec::new() };
    let mut merged = Merged((0..ours.nodes.len() + theirs.nodes.len()).collect());
    walk.trail.push(Step { from: None, pair: (0, 0) });
    walk.open.push(Open::Compare(0));
    while let Some(open) = walk.open.pop() {
        match open {
            Open::Report(difference) => return Some(difference),
            Open::Compare(step) => {
                let (our, their) = walk.trail[step].pair;
                if merged.merge(to(our), ours.nodes.len() + to(their)) {
                    walk.compare(step);
                }
            }
        }
    }
    None
}

/// Which nodes are taken to be equal: each leads to another of its class, and the last to itself.
struct Merged(Vec<usize>);

impl Merged {
    fn class(&mut self, mut node: usize) -> usize {
        while self.0[node] != node {
            self.0[node] = self.0[self.0[node]];
            node = self.0[node];
        }
        node
    }

    /// Whether they were not equal already.
    fn merge(&mut self, left: usize, right: usize) -> bool {
        let (left, right) = (self.class(left), self.class(right));
        self.0[right] = left;
        left != right
    }
}

/// A pair of nodes that stand in the same place.
struct Step {
    /// The step before it, and which child of that.
    from: Option<(usize, usize)>,
    pair: (u32, u32),
}

/// What is still to be done.
enum Open {
    Compare(usize),
    Report(Difference),
}

struct Walk<'a> {
    ours: &'a Tree,
    theirs: &'a Tree,
    trail: Vec<Step>,
    /// A stack: what comes first lies on top.
    open: Vec<Open>,
}

impl Walk<'_> {
    /// Puts on the stack what is to be compared below a pair, up to the first difference of the pair itself.
    fn compare(&mut self, step: usize) {
        let (our, their) = self.trail[step].pair;
        let (our, their) = (&self.ours.nodes[to(our)], &self.theirs.nodes[to(their)]);
        let (mut equal, mut found) = (our.children.len(), None);
        if our.kind != their.kind {
            let difference = match (&our.kind, &their.kind) {
                (Kind::Struct(ours), Kind::Struct(theirs)) => {
                    let [here, there] = [Fields(self.ours, ours, &our.children), Fields(self.theirs, theirs, &their.children)];
                    names(&self.path(step), &here, &there)
                }
                (Kind::Enum(ours), Kind::Enum(theirs)) => {
                    let [here, there] = [Variants(self.ours, ours, &our.children), Variants(self.theirs, theirs, &their.children)];
                    names(&self.path(step), &here, &there)
                }
                _ => (0, self.types(step)),
            };
            (equal, found) = (difference.0, Some(difference.1));
        }
        self.open.extend(found.map(Open::Report));
        let pairs: Vec<_> = our.children.iter().copied().zip(their.children.iter().copied()).enumerate().take(equal).collect();
        for (index, pair) in pairs.into_iter().rev() {
            self.open.push(Open::Compare(self.trail.len()));
            self.trail.push(Step { from: Some((step, index)), pair });
        }
    }

    /// Two types that are not even of one kind. `Option<A>` and `Option<B>` are shown whole, from the field that holds them.
    fn types(&self, step: usize) -> Difference {
        let shown = |step: usize| {
            let (our, their) = self.trail[step].pair;
            Difference { path: self.path(step), here: self.ours.shown(our), there: self.theirs.shown(their) }
        };
        let mut holder = step;
        while let Some((before, _)) = self.trail[holder].from {
            if matches!(self.ours.nodes[to(self.trail[before].pair.0)].kind, Kind::Struct(_) | Kind::Enum(_) | Kind::Tuple(_)) {
                break;
            }
            holder = before;
        }
        let whole = shown(holder);
        if whole.here == whole.there { shown(step) } else { whole }
    }

    /// The way to a pair. Where a message goes by the name of a type that it wraps, as a call goes by that of the enum of all calls, it begins
    /// there.
    fn path(&self, step: usize) -> String {
        let mut steps = Vec::new();
        let mut at = step;
        let named = |pair: (u32, u32)| self.ours.nodes[to(pair.0)].name == self.ours.subject();
        let wrapped = !named(self.trail[0].pair);
        while let Some((before, child)) = self.trail[at].from {
            if wrapped && named(self.trail[at].pair) {
                break;
            }
            // The kinds above a pair are equal on both sides.
            steps.push(way(&self.ours.nodes[to(self.trail[before].pair.0)].kind, child));
            at = before;
        }
        let mut path = name(self.ours.subject());
        if steps.len() > STEPS {
            steps.truncate(STEPS);
            path.push('…');
        }
        path.extend(steps.into_iter().rev());
        path
    }
}

/// From a node to one of its children.
fn way(kind: &Kind, child: usize) -> String {
    match kind {
        Kind::Struct(names) => names.get(child).map_or_else(String::new, |field| format!(".{}", name(field))),
        Kind::Tuple(_) => format!(".{child}"),
        Kind::Enum(variants) => {
            let mut child = child;
            for (variant, payload) in variants {
                if child < payload.len() {
                    return match payload {
                        Payload::Tuple(_) => format!("::{}.{child}", name(variant)),
                        Payload::Struct(names) => format!("::{}.{}", name(variant), name(&names[child])),
                    };
                }
                child -= payload.len();
            }
            String::new()
        }
        Kind::Option => "?".to_owned(),
        Kind::Result => ["::Ok", "::Err"][child.min(1)].to_owned(),
        Kind::Map | Kind::SortedMap => ["[key]", "[value]"][child.min(1)].to_owned(),
        Kind::Sender => "<sent>".to_owned(),
        Kind::Receiver => "<received>".to_owned(),
        Kind::Channel => ["<sent>", "<received>"][child.min(1)].to_owned(),
        _ => "[]".to_owned(),
    }
}

/// The named parts of one side: fields, or variants.
trait Parts {
    const WORD: &'static str;
    const SEPARATOR: &'static str;
    fn len(&self) -> usize;
    fn name(&self, index: usize) -> &str;
    /// What stands for the part where the other side has none.
    fn alone(&self, index: usize) -> String;
    /// How many children the parts before it have.
    fn before(&self, index: usize) -> usize;
    /// How two parts of one name differ, other than in their types, and how many of the part's children come before that.
    fn within(&self, other: &Self, index: usize, path: &str) -> Option<(usize, Difference)>;

    fn position(&self, name: &str) -> Option<usize> {
        (0..self.len()).find(|index| self.name(*index) == name)
    }
}

struct Fields<'a>(&'a Tree, &'a [String], &'a [u32]);

impl Parts for Fields<'_> {
    const WORD: &'static str = "field";
    const SEPARATOR: &'static str = ".";

    fn len(&self) -> usize {
        self.1.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.1[index]
    }

    fn alone(&self, index: usize) -> String {
        self.0.shown(self.2[index])
    }

    fn before(&self, index: usize) -> usize {
        index
    }

    fn within(&self, _: &Self, _: usize, _: &str) -> Option<(usize, Difference)> {
        None
    }
}

struct Variants<'a>(&'a Tree, &'a [(String, Payload)], &'a [u32]);

impl Parts for Variants<'_> {
    const WORD: &'static str = "variant";
    const SEPARATOR: &'static str = "::";

    fn len(&self) -> usize {
        self.1.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.1[index].0
    }

    fn alone(&self, index: usize) -> String {
        format!("variant {index}")
    }

    fn before(&self, index: usize) -> usize {
        self.1[..index].iter().map(|(_, payload)| payload.len()).sum()
    }

    fn within(&self, other: &Self, index: usize, path: &str) -> Option<(usize, Difference)> {
        let ((ours, our_types), (theirs, their_types)) = (self.payload(index), other.payload(index));
        let path = format!("{path}::{}", name(self.name(index)));
        match (ours, theirs) {
            _ if ours == theirs => None,
            (Payload::Struct(ours), Payload::Struct(theirs)) => {
                Some(names(&path, &Fields(self.0, ours, our_types), &Fields(other.0, theirs, their_types)))
            }
            _ => {
                let (here, there) = (self.0.shown_payload(ours, our_types), other.0.shown_payload(theirs, their_types));
                Some((0, Difference { path, here, there }))
            }
        }
    }
}

impl Variants<'_> {
    /// What the variant holds, and its types.
    fn payload(&self, index: usize) -> (&Payload, &[u32]) {
        let (before, payload) = (self.before(index), &self.1[index].1);
        (payload, &self.2[before..before + payload.len()])
    }
}

/// Two lists of names that differ: how, and how many children stand before that.
fn names<P: Parts>(path: &str, ours: &P, theirs: &P) -> (usize, Difference) {
    let (mut index, word, separator) = (0, P::WORD, P::SEPARATOR);
    while index < ours.len() && index < theirs.len() && ours.name(index) == theirs.name(index) {
        if let Some((inside, difference)) = ours.within(theirs, index, path) {
            return (ours.before(index) + inside, difference);
        }
        index += 1;
    }
    let at = |part: &str| format!("{path}{separator}{}", name(part));
    let absent = || "absent".to_owned();
    let our = (index < ours.len()).then(|| ours.name(index));
    let their = (index < theirs.len()).then(|| theirs.name(index));
    let (our_place, their_place) = (their.and_then(|their| ours.position(their)), our.and_then(|our| theirs.position(our)));
    let difference = match (our, their) {
        // It is on the other side too, elsewhere.
        (Some(our), Some(_)) if their_place.is_some_and(|_| our_place.is_some()) => {
            Difference { path: at(our), here: format!("{word} {index}"), there: format!("{word} {}", their_place.unwrap_or_default()) }
        }
        (Some(our), Some(their)) if our_place.is_none() && their_place.is_none() => {
            Difference { path: path.to_owned(), here: format!("{word} {}", name(our)), there: format!("{word} {}", name(their)) }
        }
        (Some(our), _) if their_place.is_none() => Difference { path: at(our), here: ours.alone(index), there: absent() },
        (_, their) => Difference { path: at(their.unwrap_or_default()), here: absent(), there: theirs.alone(index) },
    };
    (ours.before(index), difference)
}
