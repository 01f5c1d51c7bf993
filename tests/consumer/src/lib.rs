//! Messages of every shape, in a crate that knows breezeway by another name and depends on nothing else.
#![deny(warnings, missing_docs, clippy::pedantic)]

pub mod attributes;
pub mod descriptors;
pub mod generics;
pub mod names;
pub mod shapes;
