//! Has the linker make the binary smaller: functions whose code is the same, which generic ones often have in common, are folded,
//! and relocations are packed. Tells the binary what it was built of.

use std::env::{var, var_os};
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Told by the scripts that build what is shipped; to ask git here would link the binary anew after every commit.
    println!("cargo::rerun-if-env-changed=HIPPOCAMP_COMMIT");
    println!("cargo::rustc-env=HIPPOCAMP_TARGET={}", var("TARGET").unwrap_or_default());
    println!(
        "cargo::rustc-env=HIPPOCAMP_PROFILE={}",
        profile().or_else(|| var("PROFILE").ok()).unwrap_or_default()
    );
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // There Rust links by its own LLD, unless it is told otherwise. GNU's linker does not know the first option.
    let lld = is("TARGET", "x86_64-unknown-linux-gnu")
        && var_os("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER").is_none()
        && var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.is_empty());
    if !lld || !is("PROFILE", "release") {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    // A binary runs where the C library is at least that of where it was built, and this one is told apart by its loader.
    if var("HOST") == var("TARGET") && glibc() >= Some((2, 36)) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The profile by its own name: PROFILE tells of `dist` only that it is like `release`. Its folder has its name, and holds
/// `build/hippocamp-HASH/out`.
fn profile() -> Option<String> {
    let out = PathBuf::from(var_os("OUT_DIR")?);
    let build = out.ancestors().find(|folder| folder.ends_with("build"))?;
    let name = build.parent()?.file_name()?.to_str()?;
    // That of `dev` is `debug`, as PROFILE has it.
    Some(name.to_owned())
}

/// The version of the C library of this machine.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
