//! What a message type looks like on the wire, as data: [`Schema`], and [`Tree`], its owned form that can be sent and compared.
//!
//! A [`Schema`] is a constant: a node whose children are functions, so that recursive types end. A [`Tree`] is all nodes that can be
//! reached from one, each once. The fingerprint, the JSON and the first difference between two types are made from trees.
//! What counts and what does not is in `docs/schema.md`. Knows no codec: what has a schema is decided by the fields. Layer below: none.

mod canonical;
pub(crate) mod constant;
mod difference;
mod json;
mod shown;
mod tree;

pub use constant::Schema;
pub use difference::{Difference, first_difference};
pub(crate) use shown::name as shown_name;
pub use tree::Tree;

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The fingerprint of a type's schema, computed once per type and process.
pub(crate) fn fingerprint_of(id: TypeId, schema: &'static Schema) -> u64 {
    static KNOWN: Mutex<BTreeMap<TypeId, u64>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(fingerprint) = known().get(&id) {
        return *fingerprint;
    }
    let fingerprint = schema.fingerprint();
    known().insert(id, fingerprint);
    fingerprint
}
