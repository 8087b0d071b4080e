//! Gives the shared library its SONAME, where one is asked for. Nothing else belongs here: Rust users of the crate run this too.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=FILEDB_SONAME");
    // The CMake build asks: a Rust program that depends on the crate links no shared library of it.
    if let Ok(name) = std::env::var("FILEDB_SONAME") {
        println!("cargo::rustc-link-arg=-Wl,-soname,{name}");
    }
}
