//! Compiles the guardian's program, which the library embeds.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=guardian");
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let setting = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"));
    let program = PathBuf::from(setting("OUT_DIR")).join("hl-guardian");
    let source = PathBuf::from(setting("CARGO_MANIFEST_DIR")).join("guardian/main.rs");

    let mut compiler = match env::var_os("RUSTC_WRAPPER").filter(|w| !w.is_empty()) {
        Some(wrapper) => {
            let mut c = Command::new(wrapper);
            c.arg(setting("RUSTC"));
            c
        }
        None => Command::new(setting("RUSTC")),
    };
    compiler
        .args(["--crate-name", "hl_guardian", "--crate-type", "bin", "--edition", "2024"])
        .args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "strip=symbols", "-C", "codegen-units=1"])
        // Each half of a file that is compiled into both sides uses only a part of it.
        .args(["-A", "dead_code"])
        .arg("--target")
        .arg(setting("TARGET"))
        .arg("-o")
        .arg(&program)
        .arg(&source);
    if let Some(linker) = env::var_os("RUSTC_LINKER").filter(|l| !l.is_empty()) {
        let mut flag = std::ffi::OsString::from("linker=");
        flag.push(linker);
        compiler.arg("-C").arg(flag);
    }
    let status = compiler.status().unwrap_or_else(|e| panic!("cannot run {compiler:?}: {e}"));
    assert!(status.success(), "compiling the guardian failed: {compiler:?}");
}
