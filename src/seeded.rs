//! Deliberate mistakes, which the tests must catch: `cargo xtask torture seeded`.
//!
//! `seeded_bug!("name")` stands where a mistake could be made. It is `false`, and nothing is left of it, unless the library is built with
//! `--cfg filedb_seeded_bug`, for that task alone; then it is `true` where `FILEDB_SEEDED_BUG` is that name.

#[cfg(not(filedb_seeded_bug))]
macro_rules! seeded_bug {
    ($name:literal) => {
        false
    };
}

#[cfg(filedb_seeded_bug)]
macro_rules! seeded_bug {
    ($name:literal) => {
        crate::seeded::is_made($name)
    };
}

/// Whether the environment asks for this mistake.
#[cfg(filedb_seeded_bug)]
pub fn is_made(name: &str) -> bool {
    static WANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let wanted = WANTED.get_or_init(|| std::env::var("FILEDB_SEEDED_BUG").ok());
    wanted.as_deref() == Some(name)
}
