//! Has the linker fold functions whose code is the same, which generic ones often have in common: the binary is smaller by that.

use std::env::{var, var_os};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // There Rust links by its own LLD, unless it is told otherwise. GNU's linker does not know the option.
    let lld = is("TARGET", "x86_64-unknown-linux-gnu")
        && var_os("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER").is_none()
        && var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.is_empty());
    if lld && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
