//! The version of the library, for the compiler (macros) and for the running program (functions).

use std::ffi::c_char;

/// The version of this header. Programs that load the library at run time compare it with
/// filedb_version_number(). Since 0.1.0.
pub const FILEDB_VERSION_MAJOR: u32 = 0;
/// The minor version of this header. Since 0.1.0.
pub const FILEDB_VERSION_MINOR: u32 = 2;
/// The patch version of this header. Since 0.1.0.
pub const FILEDB_VERSION_PATCH: u32 = 0;

// The header generator reads literals only, so the numbers stand above by hand; this keeps them equal to Cargo.toml.
const _: () = assert!(
    FILEDB_VERSION_MAJOR == decimal(env!("CARGO_PKG_VERSION_MAJOR"))
        && FILEDB_VERSION_MINOR == decimal(env!("CARGO_PKG_VERSION_MINOR"))
        && FILEDB_VERSION_PATCH == decimal(env!("CARGO_PKG_VERSION_PATCH")),
    "src/capi/version.rs and Cargo.toml name different versions"
);

const fn decimal(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut number = 0;
    let mut i = 0;
    while i < bytes.len() {
        number = number * 10 + (bytes[i] - b'0') as u32;
        i += 1;
    }
    number
}

/// The version of the library that is running, as 0xMMmmpp: one byte each for major, minor and
/// patch, so that later versions compare greater.
///
/// Threads: any, at any time. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn filedb_version_number() -> u32 {
    FILEDB_VERSION_MAJOR << 16 | FILEDB_VERSION_MINOR << 8 | FILEDB_VERSION_PATCH
}

/// The version of the library that is running, such as "0.2.0". The text is constant: never free it.
///
/// Threads: any, at any time. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn filedb_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
