//! The architecture as a test: which module may use which, where `unsafe` may stand, and how large a file may grow.
//!
//! docs/architecture.md explains the order. Each check is shown to notice a planted violation.

use std::fs;
use std::path::{Path, PathBuf};

/// From the top down. A module uses what is below its line, and nothing else of the library: not its neighbours either.
const LAYERS: &[&[&str]] = &[
    &["lib"],
    &["process", "protocol", "testing"],
    &["select"],
    &["channel"],
    &["memory", "socket"],
    &["codec", "transport"],
    &["wire"],
    &["packet", "error", "limits"],
    &["schema"],
    &["sys"],
];

/// Where `unsafe` may stand.
const FENCE: &[&str] = &["src/sys/", "tests/support/", "benches/raw.rs", "benches/peers/src/kernel.rs", "examples/c_runtime.rs"];
/// The one thing outside it: the declaration of a function that its callers must be careful with.
const DECLARATION: &str = "pub unsafe fn ";
/// Crates that one room alone knows.
const KEPT_IN: &[(&str, &str)] = &[("libc", "src/sys/"), ("bincode", "src/codec/format.rs")];
/// Lines of code, without comments, blank lines and in-file tests.
const ROOM: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below these folders, as its path from the root and its code without comments; not what a build has put there.
fn files(folders: &[&str]) -> Vec<(String, String)> {
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).filter(|folder| folder.exists()).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() && path.ends_with("target") {
            continue;
        } else if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push((name, code(&fs::read_to_string(&path).unwrap())));
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

/// The lines that are code, without what follows `//`. (A `//` within a string only hides the rest of its line.)
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim_end());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn level(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// What follows each `crate::` in the code: the name of a module, or of something that `lib.rs` exports.
fn uses(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::").skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn upward_imports(file: &str, code: &str) -> Vec<String> {
    let module = file.trim_start_matches("src/").split(['/', '.']).next().unwrap();
    let own = level(module).unwrap_or_else(|| panic!("{file}: `{module}` has no layer: give it one here and in docs/architecture.md"));
    let wrong = |used: &&str| *used != module && level(used).is_none_or(|level| level <= own);
    let wrong = uses(code).filter(wrong).map(|used| format!("{file}: uses `crate::{used}`, which is not below it"));
    if module == "lib" { Vec::new() } else { wrong.collect() }
}

fn unsafe_outside_the_fence(file: &str, code: &str) -> Option<String> {
    let fenced = FENCE.iter().any(|fence| file.starts_with(fence));
    (!fenced && words(&code.replace(DECLARATION, "")).any(|word| word == "unsafe")).then(|| format!("{file}: `unsafe` outside the fence"))
}

fn crates_out_of_their_room(file: &str, code: &str) -> Vec<String> {
    let out = |(name, room): &&(&str, &str)| !file.starts_with(room) && code.contains(&format!("{name}::"));
    KEPT_IN.iter().filter(out).map(|(name, room)| format!("{file}: uses `{name}`, which is {room}'s")).collect()
}

fn outgrown(file: &str, code: &str) -> Option<String> {
    let lines = code.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
    (lines > ROOM).then(|| format!("{file}: {lines} lines of code have outgrown a room of {ROOM}"))
}

#[track_caller]
fn none(violations: impl IntoIterator<Item = String>) {
    let violations: Vec<_> = violations.into_iter().collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn imports_point_down_only() {
    none(files(&["src"]).iter().flat_map(|(file, code)| upward_imports(file, code)));
    let planted = ["use crate::channel::Sender;", "fn f() -> crate::SendError {}", "use crate::wire;", "pub(super) use crate::{codec};"];
    for code in planted {
        assert_eq!(upward_imports("src/wire/planted.rs", code).len(), usize::from(!code.contains("crate::wire")), "{code}");
    }
    assert_eq!(upward_imports("src/codec/mod.rs", "use crate::transport::Wait;").len(), 1, "neighbours do not know each other");
    assert!(upward_imports("src/channel/mod.rs", "use crate::codec;\nuse crate::sys::fd;").is_empty());
}

#[test]
fn unsafe_stays_inside_its_fence() {
    let everywhere = files(&["src", "derive", "tests", "examples", "benches", "build.rs"]);
    // The word stands in this file's own strings.
    none(everywhere.iter().filter(|(file, _)| file != "tests/tree.rs").filter_map(|(file, code)| unsafe_outside_the_fence(file, code)));
    assert!(unsafe_outside_the_fence("src/channel/planted.rs", "let x = unsafe { f() };").is_some());
    assert!(unsafe_outside_the_fence("src/channel/planted.rs", "unsafe impl Send for X {}").is_some());
    assert!(unsafe_outside_the_fence("src/process/planted.rs", "pub unsafe fn f() {}\nunsafe { g() }").is_some());
    assert!(unsafe_outside_the_fence("src/process/planted.rs", "    pub unsafe fn f() {}").is_none());
    assert!(unsafe_outside_the_fence("src/sys/planted.rs", "unsafe { f() }").is_none());
}

#[test]
fn each_crate_stays_in_its_room() {
    none(files(&["src"]).iter().flat_map(|(file, code)| crates_out_of_their_room(file, code)));
    assert_eq!(crates_out_of_their_room("src/transport.rs", "libc::EMSGSIZE").len(), 1);
    assert_eq!(crates_out_of_their_room("src/codec/mod.rs", "bincode::serde::encode()").len(), 1);
    assert!(crates_out_of_their_room("src/sys/mod.rs", "libc::EMSGSIZE").is_empty());
}

#[test]
fn no_file_outgrows_its_room() {
    none(files(&["src", "derive/src"]).iter().filter_map(|(file, code)| outgrown(file, code)));
    assert!(outgrown("src/planted.rs", &"line\n".repeat(ROOM + 1)).is_some());
    assert!(
        outgrown("src/planted.rs", &format!("{}#[cfg(test)]\nmod tests {{\n{}", "line\n".repeat(ROOM), "test\n".repeat(300))).is_none()
    );
}

#[test]
fn every_file_says_what_it_is() {
    for folder in ["src", "derive/src"] {
        for (file, _) in files(&[folder]).iter().filter(|(file, _)| !file.contains("/tests")) {
            let text = fs::read_to_string(root().join(file)).unwrap();
            assert!(text.starts_with("//!"), "{file} does not open with what it is");
        }
    }
}

#[test]
fn the_architecture_names_every_module() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for module in LAYERS.iter().flat_map(|layer| layer.iter()) {
        assert!(text.contains(&format!("`{module}")), "docs/architecture.md does not say what `{module}` is");
    }
}
