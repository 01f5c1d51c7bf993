//! Tells the library what the compiler's standard library has: `PipeReader` and `PipeWriter` came with Rust 1.87, and 1.85 is enough for the rest.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(std_pipe)");
    if rustc_minor().is_some_and(|minor| minor >= 87) {
        println!("cargo::rustc-cfg=std_pipe");
    }
}

/// The `95` of `rustc 1.95.0 (59807616e 2026-04-14)`.
fn rustc_minor() -> Option<u32> {
    let rustc = env::var_os("RUSTC")?;
    let output = Command::new(rustc).arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    version.split('.').nth(1)?.parse().ok()
}
