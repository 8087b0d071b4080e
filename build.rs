//! Gives the shared library its SONAME. Nothing else belongs here: Rust users of the crate run this too.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // One number for as long as old programs run with the new library: the major version, `libfiledb.so.0` for all
    // of 0.x. Statuses, functions and struct fields are only ever appended within it (README, "Versions").
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libfiledb.so.{}", env!("CARGO_PKG_VERSION_MAJOR"));
    }
}
