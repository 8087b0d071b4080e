//! The options of a store.
//!
//! The C API, the tools and the bindings read one table of them (`table`). A new option is a line of it, a field of [`Options`] with a method, and a
//! line in capi/manual.md and in README.md.

mod parse;
mod table;

use std::fmt;

use crate::store::events::{LogLevel, LogSink};
pub use table::{MIN_MEMORY_LIMIT, OPTIONS, OptionInfo};

/// When a completed write reaches the disk. In every mode it survives the death of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// When the operating system writes it back, or [`crate::Db::sync`] is called.
    None,
    /// At most `sync_interval_ms` after the write.
    Interval,
    /// Before the write returns; concurrent writers share one `fdatasync`.
    Always,
}

/// How data files are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoMode {
    /// Through memory mappings, with disk blocks reserved ahead of the tail. Where the file system is not ext4, XFS or tmpfs,
    /// or cannot reserve blocks, as [`IoMode::Pread`].
    Mmap,
    /// Through `pread` and `pwrite`: slower, but a failing disk is an error and never a signal.
    Pread,
}

/// How a store keeps its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// The engine of the store, or, for a new one, the default engine.
    Auto,
    /// An index of all keys in memory, over an append-only log.
    Bitcask,
    /// Keys in their order, in memory and in runs on the disk, over the same log.
    Lsm,
}

/// Who decides when a merge runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeMode {
    /// The store, by the amount of dead bytes.
    Auto,
    /// The caller, with [`crate::Db::merge`].
    Manual,
}

/// A text that is never shown: no message, no event and no debug output has it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Into<Vec<u8>>> From<T> for Secret {
    fn from(text: T) -> Self {
        Secret(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Secret(none)" } else { "Secret(set)" })
    }
}

/// How a store is opened. [`Options::default`] is right for most.
///
/// Later versions may have more fields: a program that names them ends with `..Options::default()`, or calls the methods that
/// have their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// When a write reaches the disk.
    pub sync: SyncMode,
    /// The longest time, in milliseconds, that `sync=interval` leaves a write unsynced.
    pub sync_interval_ms: u64,
    /// A data file is closed and a new one begun at this size, in bytes. A larger record gets a file of its own.
    pub max_file_size: u64,
    /// How data files are read and written.
    pub io: IoMode,
    /// Whether every read compares the record's checksum.
    pub verify_checksums: bool,
    /// Whether a missing store is created.
    pub create_if_missing: bool,
    /// Whether an existing store is an error.
    pub error_if_exists: bool,
    /// Whether the store is opened for reading only.
    pub read_only: bool,
    /// With `read_only`: whether the store is read beside a process that writes to it, has it open or will have, and follows what
    /// that writes.
    pub live: bool,
    /// Whether the store begins empty, whatever it held.
    pub truncate: bool,
    /// How a new store keeps its keys. A store that is there must have been made with the same.
    pub engine: EngineKind,
    /// The memory, in bytes, that a store of the ordered engine takes for its newest writes and to find keys.
    pub lsm_memory: u64,
    /// The most memory, in bytes, that a store in memory takes; 0 for half of what the machine, or its control group, has.
    pub memory_limit: u64,
    /// Who decides when a merge runs.
    pub merge: MergeMode,
    /// Merges keep the files at this many times the space of what is alive in them, and at half as much again while writers are fast. Not
    /// with `engine=lsm`.
    pub merge_space_amplification: f64,
    /// The most bytes per second that a merge writes; 0 for no limit.
    pub merge_rate_limit: u64,
    /// How often, in milliseconds, the store looks whether a merge is due.
    pub merge_interval_ms: u64,
    /// How long, in milliseconds, merges keep what says that a key was deleted or has expired, for those who follow the store's changes;
    /// 0 for no longer than the store itself needs it. The ordered engine keeps none.
    pub keep_tombstones_ms: u64,
    /// The most connections that a remote store has to a server.
    pub pool_size: u64,
    /// The longest time, in milliseconds, that making a connection takes.
    pub connect_timeout_ms: u64,
    /// The longest time, in milliseconds, that a request to a server takes, all attempts together.
    pub timeout_ms: u64,
    /// The user that a server is told; empty for its default user. One in the URL goes first.
    pub user: String,
    /// The password that a server is told. One in the URL goes first.
    pub password: Secret,
    /// A file with the certificates, as PEM, of those who may vouch for a server; empty for those that the machine trusts.
    pub tls_ca: String,
    /// A file with the certificate, as PEM, that a server is shown.
    pub tls_cert: String,
    /// A file with the private key of that, as PEM.
    pub tls_key: String,
    /// Which events go to `log`.
    pub log_level: LogLevel,
    /// Where events go. Not in the table of options: it is no text.
    pub log: LogSink,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sync: SyncMode::Interval,
            sync_interval_ms: 1_000,
            max_file_size: 256 << 20,
            io: IoMode::Mmap,
            verify_checksums: true,
            create_if_missing: true,
            error_if_exists: false,
            read_only: false,
            live: false,
            truncate: false,
            engine: EngineKind::Auto,
            lsm_memory: 128 << 20,
            memory_limit: 0,
            merge: MergeMode::Auto,
            merge_space_amplification: 2.0,
            merge_rate_limit: 0,
            merge_interval_ms: 1_000,
            keep_tombstones_ms: 0,
            pool_size: 8,
            connect_timeout_ms: 2_000,
            timeout_ms: 5_000,
            user: String::new(),
            password: Secret::default(),
            tls_ca: String::new(),
            tls_cert: String::new(),
            tls_key: String::new(),
            log_level: LogLevel::Info,
            log: LogSink::default(),
        }
    }
}

/// The same as the fields, one after the other: `Options::new().sync(SyncMode::Always).io(IoMode::Pread)`.
impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`field@Options::sync`].
    #[must_use]
    pub fn sync(self, sync: SyncMode) -> Self {
        Options { sync, ..self }
    }

    /// Sets [`field@Options::sync_interval_ms`].
    #[must_use]
    pub fn sync_interval_ms(self, sync_interval_ms: u64) -> Self {
        Options { sync_interval_ms, ..self }
    }

    /// Sets [`field@Options::max_file_size`].
    #[must_use]
    pub fn max_file_size(self, max_file_size: u64) -> Self {
        Options { max_file_size, ..self }
    }

    /// Sets [`field@Options::io`].
    #[must_use]
    pub fn io(self, io: IoMode) -> Self {
        Options { io, ..self }
    }

    /// Sets [`field@Options::verify_checksums`].
    #[must_use]
    pub fn verify_checksums(self, verify_checksums: bool) -> Self {
        Options { verify_checksums, ..self }
    }

    /// Sets [`field@Options::create_if_missing`].
    #[must_use]
    pub fn create_if_missing(self, create_if_missing: bool) -> Self {
        Options { create_if_missing, ..self }
    }

    /// Sets [`field@Options::error_if_exists`].
    #[must_use]
    pub fn error_if_exists(self, error_if_exists: bool) -> Self {
        Options { error_if_exists, ..self }
    }

    /// Sets [`field@Options::read_only`].
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Self {
        Options { read_only, ..self }
    }

    /// Sets [`field@Options::live`].
    #[must_use]
    pub fn live(self, live: bool) -> Self {
        Options { live, ..self }
    }

    /// Sets [`field@Options::truncate`].
    #[must_use]
    pub fn truncate(self, truncate: bool) -> Self {
        Options { truncate, ..self }
    }

    /// Sets [`field@Options::engine`].
    #[must_use]
    pub fn engine(self, engine: EngineKind) -> Self {
        Options { engine, ..self }
    }

    /// Sets [`field@Options::lsm_memory`].
    #[must_use]
    pub fn lsm_memory(self, lsm_memory: u64) -> Self {
        Options { lsm_memory, ..self }
    }

    /// Sets [`field@Options::memory_limit`].
    #[must_use]
    pub fn memory_limit(self, memory_limit: u64) -> Self {
        Options { memory_limit, ..self }
    }

    /// Sets [`field@Options::merge`].
    #[must_use]
    pub fn merge(self, merge: MergeMode) -> Self {
        Options { merge, ..self }
    }

    /// Sets [`field@Options::merge_space_amplification`].
    #[must_use]
    pub fn merge_space_amplification(self, merge_space_amplification: f64) -> Self {
        Options { merge_space_amplification, ..self }
    }

    /// Sets [`field@Options::merge_rate_limit`].
    #[must_use]
    pub fn merge_rate_limit(self, merge_rate_limit: u64) -> Self {
        Options { merge_rate_limit, ..self }
    }

    /// Sets [`field@Options::merge_interval_ms`].
    #[must_use]
    pub fn merge_interval_ms(self, merge_interval_ms: u64) -> Self {
        Options { merge_interval_ms, ..self }
    }

    /// Sets [`field@Options::keep_tombstones_ms`].
    #[must_use]
    pub fn keep_tombstones_ms(self, keep_tombstones_ms: u64) -> Self {
        Options { keep_tombstones_ms, ..self }
    }

    /// Sets [`field@Options::pool_size`].
    #[must_use]
    pub fn pool_size(self, pool_size: u64) -> Self {
        Options { pool_size, ..self }
    }

    /// Sets [`field@Options::connect_timeout_ms`].
    #[must_use]
    pub fn connect_timeout_ms(self, connect_timeout_ms: u64) -> Self {
        Options { connect_timeout_ms, ..self }
    }

    /// Sets [`field@Options::timeout_ms`].
    #[must_use]
    pub fn timeout_ms(self, timeout_ms: u64) -> Self {
        Options { timeout_ms, ..self }
    }

    /// Sets [`field@Options::user`].
    #[must_use]
    pub fn user(self, user: impl Into<String>) -> Self {
        Options { user: user.into(), ..self }
    }

    /// Sets [`field@Options::password`].
    #[must_use]
    pub fn password(self, password: impl Into<Secret>) -> Self {
        Options { password: password.into(), ..self }
    }

    /// Sets [`field@Options::tls_ca`].
    #[must_use]
    pub fn tls_ca(self, tls_ca: impl Into<String>) -> Self {
        Options { tls_ca: tls_ca.into(), ..self }
    }

    /// Sets [`field@Options::tls_cert`].
    #[must_use]
    pub fn tls_cert(self, tls_cert: impl Into<String>) -> Self {
        Options { tls_cert: tls_cert.into(), ..self }
    }

    /// Sets [`field@Options::tls_key`].
    #[must_use]
    pub fn tls_key(self, tls_key: impl Into<String>) -> Self {
        Options { tls_key: tls_key.into(), ..self }
    }

    /// Sets [`field@Options::log_level`].
    #[must_use]
    pub fn log_level(self, log_level: LogLevel) -> Self {
        Options { log_level, ..self }
    }

    /// Sets [`field@Options::log`].
    #[must_use]
    pub fn log(self, log: LogSink) -> Self {
        Options { log, ..self }
    }
}
