//! Tells the program which compiler made it: counts of instructions compare only within one.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.unwrap_or_default();
    let target = std::env::var("TARGET").unwrap_or_default();
    let opt_level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo:rustc-env=STORMPROOF_COMPILER={}", version.trim());
    println!("cargo:rustc-env=STORMPROOF_TARGET={target}");
    println!("cargo:rustc-env=STORMPROOF_OPT_LEVEL={opt_level}");
}
