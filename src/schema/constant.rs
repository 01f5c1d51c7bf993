//! The constant form: what `Field` carries and the derive emits. Children are functions, so no constant needs another to be known.

use super::Tree;
use std::any::TypeId;
use std::fmt;

/// What one type looks like on the wire, as constant data.
///
/// Every message type has one: [`Message::schema`](crate::Message::schema). It is made by the derive and is the same in every program
/// that declares the same fields and variants, whatever the compiler, the platform and the types' own names.
///
/// ```
/// use breezeway::Message;
///
/// #[derive(Message)]
/// struct Point { x: u32, y: Option<Box<Point>> }
///
/// #[derive(Message)]
/// struct Renamed { x: u32, y: Option<Box<Renamed>> }
///
/// assert_eq!(Point::schema().canonical_text(), r#"struct{"x":u32,"y":option(^0)}"#);
/// assert_eq!(Point::fingerprint(), Renamed::fingerprint());
/// ```
#[derive(Clone, Copy)]
pub struct Schema {
    id: fn() -> TypeId,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

impl Schema {
    /// The schema of `T`. The name is for people and does not count; empty is none.
    #[doc(hidden)]
    #[must_use]
    pub const fn new<T: 'static>(name: &'static str, kind: Kind) -> Schema {
        Schema { id: TypeId::of::<T>, name, kind }
    }

    /// Which type this is, within this program.
    pub(super) fn id(&self) -> TypeId {
        (self.id)()
    }

    /// The owned form, which can be sent to a peer and compared.
    #[must_use]
    pub fn tree(&'static self) -> Tree {
        Tree::of(self)
    }

    /// The FNV-1a 64 hash of [`Schema::canonical_text`]: equal for types that are the same on the wire, on every platform.
    ///
    /// Made anew by each call, in time that grows with the number of types; [`Message::fingerprint`](crate::Message::fingerprint) keeps it.
    #[must_use]
    pub fn fingerprint(&'static self) -> u64 {
        self.tree().fingerprint()
    }

    /// The text that is hashed, as `docs/schema.md` describes it.
    #[must_use]
    pub fn canonical_text(&'static self) -> String {
        self.tree().canonical_text()
    }

    /// The schema as JSON, for peers in other languages, in the shape that `docs/schema.md` describes.
    ///
    /// ```
    /// use breezeway::Message;
    ///
    /// #[derive(Message)]
    /// struct Id(u32);
    ///
    /// assert_eq!(
    ///     Id::schema().to_json(),
    ///     r#"{"name":"Id","fingerprint":"4d2bdf193e8526d1","nodes":[{"kind":"scalar","scalar":"u32"}]}"#
    /// );
    /// ```
    #[must_use]
    pub fn to_json(&'static self) -> String {
        self.tree().to_json()
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name and no children, which may lead back here.
        f.debug_struct("Schema").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The type of a part.
#[derive(Clone, Copy)]
pub enum Child {
    /// The type's own schema.
    Of(fn() -> &'static Schema),
    /// Bytes that only the type's own serde impls understand, with the version that the user gave them.
    Opaque(&'static str),
}

/// What a type is on the wire.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Another type's encoding: boxes, newtypes, proxies.
    Same(Child),
    /// A number, `bool`, `char`, or a value of the standard library that is sent as one.
    Scalar(&'static str),
    /// UTF-8.
    String,
    /// Any number of bytes.
    Bytes,
    /// This many bytes, with their number in front.
    ByteArray(usize),
    /// Bytes that may travel beside the body.
    Blob,
    /// A descriptor that its receiver takes for this type.
    Descriptor(&'static str),
    /// One or none.
    Option(Child),
    /// The one or the other.
    Result(Child, Child),
    /// Any number, in any order.
    Sequence(Child),
    /// No element twice.
    Set(Child),
    /// No element twice, in ascending order.
    SortedSet(Child),
    /// No key twice.
    Map(Child, Child),
    /// No key twice, in ascending order.
    SortedMap(Child, Child),
    /// Exactly this many.
    Array(usize, Child),
    /// Parts without names.
    Tuple(&'static [Child]),
    /// Parts with names.
    Struct(&'static [(&'static str, Child)]),
    /// One of several.
    Enum(&'static [(&'static str, Payload)]),
    /// The sending end of a channel that carries this.
    Sender(Child),
    /// The receiving end of a channel that carries this.
    Receiver(Child),
    /// An end that sends the one and receives the other.
    Channel(Child, Child),
}

/// What a variant holds.
#[derive(Clone, Copy)]
pub enum Payload {
    /// Fields without names; none for a unit.
    Tuple(&'static [Child]),
    /// Fields with names.
    Struct(&'static [(&'static str, Child)]),
}
