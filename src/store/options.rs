//! The options of a store: one table that names, describes, parses and prints them all.
//!
//! The C API, the tools and the bindings read the same table. A new option is a line of it, a field of [`Options`] with a method, and a line in
//! capi/manual.md and in README.md.

use std::fmt;

use crate::store::error::{Error, Result};
use crate::store::events::{LogLevel, LogSink};

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
    /// That of the store, or, for a new one, the default engine.
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

/// The smallest `max_file_size`: small files are for tests of rotation and merge.
pub const MIN_MAX_FILE_SIZE: u64 = 256;
/// The largest `max_file_size`: what 32 bits of 8-byte units address.
pub const MAX_MAX_FILE_SIZE: u64 = (1 << 35) - 8;

/// The smallest `lsm_memory`.
pub const MIN_LSM_MEMORY: u64 = 16 << 10;

/// The smallest `memory_limit`.
pub const MIN_MEMORY_LIMIT: u64 = 4 << 20;

/// One row of the table of options.
pub struct OptionInfo {
    /// The name that [`Options::set`] and `filedb_options_set` take.
    pub name: &'static str,
    /// What values it takes, for people.
    pub values: &'static str,
    /// What it is for, in one sentence.
    pub help: &'static str,
    set: fn(&mut Options, &str) -> std::result::Result<(), String>,
    get: fn(&Options) -> String,
}

/// Every option there is, in the order in which they are listed to people.
pub static OPTIONS: &[OptionInfo] = &[
    OptionInfo {
        name: "sync",
        values: "none | interval | always",
        help: "When a completed write reaches the disk.",
        set: |o, v| {
            choose(
                v,
                &[("none", SyncMode::None), ("interval", SyncMode::Interval), ("always", SyncMode::Always)],
            )
            .map(|mode| o.sync = mode)
        },
        get: |o| match o.sync {
            SyncMode::None => "none".into(),
            SyncMode::Interval => "interval".into(),
            SyncMode::Always => "always".into(),
        },
    },
    OptionInfo {
        name: "sync_interval_ms",
        values: "a time: 1 to 3600000 ms, as 250, 250ms or 15s",
        help: "The longest time that sync=interval leaves a write unsynced.",
        set: |o, v| within(parse_ms(v)?, 1, 3_600_000).map(|n| o.sync_interval_ms = n),
        get: |o| o.sync_interval_ms.to_string(),
    },
    OptionInfo {
        name: "max_file_size",
        values: "a size: 256 bytes to just below 32GiB, as 1048576 or 64MiB",
        help: "The size at which a data file is closed and a new one begun.",
        set: |o, v| within(parse_size(v)?, MIN_MAX_FILE_SIZE, MAX_MAX_FILE_SIZE).map(|n| o.max_file_size = n),
        get: |o| o.max_file_size.to_string(),
    },
    OptionInfo {
        name: "io",
        values: "mmap | pread",
        help: "How data files are read and written; mmap where the file system is ext4, XFS or tmpfs, else as pread.",
        set: |o, v| choose(v, &[("mmap", IoMode::Mmap), ("pread", IoMode::Pread)]).map(|mode| o.io = mode),
        get: |o| if o.io == IoMode::Mmap { "mmap".into() } else { "pread".into() },
    },
    OptionInfo {
        name: "verify_checksums",
        values: "true | false",
        help: "Whether every read compares the record's checksum.",
        set: |o, v| parse_bool(v).map(|on| o.verify_checksums = on),
        get: |o| o.verify_checksums.to_string(),
    },
    OptionInfo {
        name: "create_if_missing",
        values: "true | false",
        help: "Whether a missing store is created.",
        set: |o, v| parse_bool(v).map(|on| o.create_if_missing = on),
        get: |o| o.create_if_missing.to_string(),
    },
    OptionInfo {
        name: "error_if_exists",
        values: "true | false",
        help: "Whether an existing store is an error.",
        set: |o, v| parse_bool(v).map(|on| o.error_if_exists = on),
        get: |o| o.error_if_exists.to_string(),
    },
    OptionInfo {
        name: "read_only",
        values: "true | false",
        help: "Whether the store is opened for reading only.",
        set: |o, v| parse_bool(v).map(|on| o.read_only = on),
        get: |o| o.read_only.to_string(),
    },
    OptionInfo {
        name: "live",
        values: "true | false",
        help: "With read_only: whether the store is read beside the process that writes to it.",
        set: |o, v| parse_bool(v).map(|on| o.live = on),
        get: |o| o.live.to_string(),
    },
    OptionInfo {
        name: "truncate",
        values: "true | false",
        help: "Whether the store begins empty, whatever it held.",
        set: |o, v| parse_bool(v).map(|on| o.truncate = on),
        get: |o| o.truncate.to_string(),
    },
    OptionInfo {
        name: "engine",
        values: "auto | bitcask | lsm",
        help: "How the store keeps its keys: as it was made (auto; bitcask where it is new), or by this engine.",
        set: |o, v| {
            let engines =
                [("auto", EngineKind::Auto), ("bitcask", EngineKind::Bitcask), ("lsm", EngineKind::Lsm)];
            choose(v, &engines).map(|engine| o.engine = engine)
        },
        get: |o| match o.engine {
            EngineKind::Auto => "auto".into(),
            EngineKind::Bitcask => "bitcask".into(),
            EngineKind::Lsm => "lsm".into(),
        },
    },
    OptionInfo {
        name: "lsm_memory",
        values: "a size: 16KiB at least, as 128MiB",
        help: "How much memory a store with engine=lsm takes for what is not on the disk yet, and to find its keys.",
        set: |o, v| {
            let size = parse_size(v)?;
            within(size, MIN_LSM_MEMORY, u64::MAX).map(|size| o.lsm_memory = size)
        },
        get: |o| o.lsm_memory.to_string(),
    },
    OptionInfo {
        name: "memory_limit",
        values: "a size: 4MiB at least, as 512MiB; 0 for half of the machine's memory",
        help: "The most memory that a store in memory takes.",
        set: |o, v| {
            let size = parse_size(v)?;
            let size = if size == 0 { 0 } else { within(size, MIN_MEMORY_LIMIT, u64::MAX)? };
            o.memory_limit = size;
            Ok(())
        },
        get: |o| o.memory_limit.to_string(),
    },
    OptionInfo {
        name: "merge",
        values: "auto | manual",
        help: "Who decides when a merge runs: the store or the caller.",
        set: |o, v| {
            choose(v, &[("auto", MergeMode::Auto), ("manual", MergeMode::Manual)]).map(|mode| o.merge = mode)
        },
        get: |o| if o.merge == MergeMode::Auto { "auto".into() } else { "manual".into() },
    },
    OptionInfo {
        name: "merge_space_amplification",
        values: "a number from 1.1 to 100",
        help: "Merges keep the files at this many times the space of what is alive in them.",
        set: |o, v| match v.parse::<f64>() {
            Ok(n) if (1.1..=100.0).contains(&n) => {
                o.merge_space_amplification = n;
                Ok(())
            }
            _ => Err("it takes a number from 1.1 to 100".into()),
        },
        get: |o| o.merge_space_amplification.to_string(),
    },
    OptionInfo {
        name: "merge_rate_limit",
        values: "a size per second, as 64MiB; 0 for no limit",
        help: "The most bytes per second that a merge writes.",
        set: |o, v| parse_size(v).map(|n| o.merge_rate_limit = n),
        get: |o| o.merge_rate_limit.to_string(),
    },
    OptionInfo {
        name: "merge_interval_ms",
        values: "a time: 1 to 3600000 ms, as 250, 250ms or 15s",
        help: "How often the store looks whether a merge is due.",
        set: |o, v| within(parse_ms(v)?, 1, 3_600_000).map(|n| o.merge_interval_ms = n),
        get: |o| o.merge_interval_ms.to_string(),
    },
    OptionInfo {
        name: "keep_tombstones_ms",
        values: "a time, as 250, 250ms, 15s or 72h; 0 for no longer than the store needs it",
        help: "How long merges keep deletes for those who follow the store's changes; nothing with engine=lsm.",
        set: |o, v| parse_ms(v).map(|n| o.keep_tombstones_ms = n),
        get: |o| o.keep_tombstones_ms.to_string(),
    },
    OptionInfo {
        name: "pool_size",
        values: "a number from 1 to 1024",
        help: "The most connections that a remote store has to a server.",
        set: |o, v| match v.parse::<u64>() {
            Ok(n) => within(n, 1, 1024).map(|n| o.pool_size = n),
            Err(_) => Err("it takes a number from 1 to 1024".into()),
        },
        get: |o| o.pool_size.to_string(),
    },
    OptionInfo {
        name: "connect_timeout_ms",
        values: "a time: 1 to 3600000 ms, as 250, 250ms or 15s",
        help: "The longest time that making a connection to a server takes.",
        set: |o, v| within(parse_ms(v)?, 1, 3_600_000).map(|n| o.connect_timeout_ms = n),
        get: |o| o.connect_timeout_ms.to_string(),
    },
    OptionInfo {
        name: "timeout_ms",
        values: "a time: 1 to 3600000 ms, as 250, 250ms or 15s",
        help: "The longest time that a request to a server takes, all attempts together.",
        set: |o, v| within(parse_ms(v)?, 1, 3_600_000).map(|n| o.timeout_ms = n),
        get: |o| o.timeout_ms.to_string(),
    },
    OptionInfo {
        name: "user",
        values: "a name; empty for the server's default user",
        help: "The user of a remote store, where its URL names none.",
        set: |o, v| {
            o.user = v.into();
            Ok(())
        },
        get: |o| o.user.clone(),
    },
    OptionInfo {
        name: "password",
        values: "a password, which is not given back",
        help: "The password for a remote store, where its URL has none.",
        set: |o, v| {
            o.password = v.into();
            Ok(())
        },
        get: |_| String::new(),
    },
    OptionInfo {
        name: "tls_ca",
        values: "a file; empty for the authorities that the machine trusts",
        help: "The certificates (PEM) of those who may vouch for a server over TLS.",
        set: |o, v| {
            o.tls_ca = v.into();
            Ok(())
        },
        get: |o| o.tls_ca.clone(),
    },
    OptionInfo {
        name: "tls_cert",
        values: "a file; empty for none",
        help: "The certificate (PEM) that a server is shown over TLS.",
        set: |o, v| {
            o.tls_cert = v.into();
            Ok(())
        },
        get: |o| o.tls_cert.clone(),
    },
    OptionInfo {
        name: "tls_key",
        values: "a file; empty for none",
        help: "The private key (PEM) of that certificate.",
        set: |o, v| {
            o.tls_key = v.into();
            Ok(())
        },
        get: |o| o.tls_key.clone(),
    },
    OptionInfo {
        name: "log_level",
        values: "error | warn | info | debug",
        help: "Which events reach the log callback: those of this level and the ones before it.",
        set: |o, v| {
            let levels = [
                ("error", LogLevel::Error),
                ("warn", LogLevel::Warn),
                ("info", LogLevel::Info),
                ("debug", LogLevel::Debug),
            ];
            choose(v, &levels).map(|level| o.log_level = level)
        },
        get: |o| format!("{:?}", o.log_level).to_lowercase(),
    },
];

/// The options that any text is a value of, with the spaces around it.
const AS_THEY_STAND: &[&str] = &["user", "password", "tls_ca", "tls_cert", "tls_key"];

impl Options {
    /// Sets the option `name` from text. Sizes take `64MiB`, times `15s`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an unknown name or a value it does not take; nothing changes then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let option = find(name)?;
        let value = if AS_THEY_STAND.contains(&name) { value } else { value.trim() };
        (option.set)(self, value)
            .map_err(|why| Error::invalid(format!("option '{name}' cannot be '{value}': {why}")))
    }

    /// Whether every value is one that [`Options::set`] would take; the fields can be set to others.
    pub(crate) fn check(&self) -> Result<()> {
        if self.truncate && self.read_only {
            return Err(Error::invalid("a store cannot be opened read_only and begin empty (truncate)"));
        }
        if self.live && !self.read_only {
            return Err(Error::invalid("a store that is read live (live) must be opened read_only"));
        }
        let mut copy = self.clone();
        OPTIONS.iter().try_for_each(|option| copy.set(option.name, &(option.get)(self)))
    }

    /// The value of the option `name`, in the form that [`Options::set`] takes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an unknown name.
    pub fn get(&self, name: &str) -> Result<String> {
        Ok((find(name)?.get)(self))
    }
}

fn find(name: &str) -> Result<&'static OptionInfo> {
    OPTIONS.iter().find(|option| option.name == name).ok_or_else(|| {
        let known: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
        Error::invalid(format!("there is no option '{name}'; the options are {}", known.join(", ")))
    })
}

type Parsed<T> = std::result::Result<T, String>;

fn choose<T: Copy>(value: &str, choices: &[(&str, T)]) -> Parsed<T> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("it takes {}", names.join(" or "))
    })
}

fn parse_bool(value: &str) -> Parsed<bool> {
    choose(
        value,
        &[("true", true), ("false", false), ("1", true), ("0", false), ("on", true), ("off", false)],
    )
    .map_err(|_| "it takes true or false".into())
}

fn within(n: u64, least: u64, most: u64) -> Parsed<u64> {
    if (least..=most).contains(&n) { Ok(n) } else { Err(format!("it must be from {least} to {most}")) }
}

const SIZE_UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];
const TIME_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)];

fn parse_size(value: &str) -> Parsed<u64> {
    parse_quantity(value, SIZE_UNITS).ok_or_else(|| "it takes a size such as 1048576 or 64MiB".into())
}

fn parse_ms(value: &str) -> Parsed<u64> {
    parse_quantity(value, TIME_UNITS).ok_or_else(|| "it takes a time such as 250, 250ms or 15s".into())
}

/// A whole number with one of the units behind it, or with none.
fn parse_quantity(value: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = value.split_at(digits);
    let factor = match unit.trim_start() {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_prints_what_it_parses() {
        for option in OPTIONS {
            let mut options = Options::default();
            let text = options.get(option.name).unwrap();
            options.set(option.name, &text).unwrap();
            assert_eq!(options, Options::default(), "{}", option.name);
        }
    }

    #[test]
    fn a_password_is_taken_as_it_stands_and_not_shown() {
        let mut options = Options::default();
        options.set("password", " hunter2 ").unwrap();
        assert_eq!(options.password.reveal(), b" hunter2 ");
        assert!(!format!("{options:?}").contains("hunter2"));
        assert_eq!(options.get("password").unwrap(), "");
        options.check().unwrap();
    }

    #[test]
    fn sizes_and_times_take_units() {
        let mut options = Options::default();
        options.set("max_file_size", "64MiB").unwrap();
        assert_eq!(options.max_file_size, 64 << 20);
        options.set("sync_interval_ms", "15s").unwrap();
        assert_eq!(options.sync_interval_ms, 15_000);
        for bad in
            ["", "MiB", "-1", "1.5GiB", "64 parsecs", "99999999999999999999", "18446744073709551615KiB"]
        {
            assert!(options.set("max_file_size", bad).is_err(), "{bad}");
        }
        assert_eq!(options.max_file_size, 64 << 20);
    }

    #[test]
    fn an_error_names_the_option_and_the_value() {
        let error = Options::default().set("sync", "sometimes").unwrap_err().to_string();
        assert!(
            error.contains("'sync'") && error.contains("'sometimes'") && error.contains("always"),
            "{error}"
        );
        let error = Options::default().set("snyc", "always").unwrap_err().to_string();
        assert!(error.contains("'snyc'") && error.contains("sync_interval_ms"), "{error}");
    }
}
