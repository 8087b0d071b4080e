//! The table of options: their names, what they take, what they are for, and how they are read from text and printed.

use super::parse::{choose, parse_bool, parse_ms, parse_size, within};
use super::{EngineKind, IoMode, MergeMode, Options, SyncMode};
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;

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
        let near: Vec<_> =
            OPTIONS.iter().map(|option| option.name).filter(|known| is_near(name, known)).collect();
        // Not all names: an error for C has room for 255 bytes.
        let hint = match near.as_slice() {
            [] => "the manual lists them".to_string(),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        Error::invalid(format!("there is no option '{name}'; {hint}"))
    })
}

/// Whether somebody who wrote `name` may have meant `known`: one is a part of the other, or few letters differ (the distance of
/// Levenshtein, 1966).
fn is_near(name: &str, known: &str) -> bool {
    if name.len() >= 3 && (known.contains(name) || name.contains(known)) {
        return true;
    }
    if name.len().abs_diff(known.len()) > 2 {
        return false;
    }
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (n, wrote) in name.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, meant) in known.bytes().enumerate() {
            let changed = diagonal + usize::from(wrote != meant);
            diagonal = row[m + 1];
            row[m + 1] = changed.min(diagonal + 1).min(row[m] + 1);
        }
    }
    let most = match known.len() {
        ..=3 => 1,
        4..=8 => 2,
        _ => 3,
    };
    row[known.len()] <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_option_is_told_what_it_may_have_been() {
        for (wrote, meant) in [
            ("synk", "sync"),
            ("synch", "sync"),
            ("readonly", "read_only"),
            ("max_filesize", "max_file_size"),
            ("create", "create_if_missing"),
            ("lsm_memroy", "lsm_memory"),
        ] {
            let why = Options::default().set(wrote, "x").unwrap_err().to_string();
            assert!(why.contains(meant), "{wrote}: {why}");
            assert!(why.len() < 256, "{why}");
        }
        let why = Options::default().set("cache", "x").unwrap_err().to_string();
        assert_eq!(why, "there is no option 'cache'; the manual lists them");
        // What a caller gives may be as long as it likes.
        assert!(Options::default().set(&"x".repeat(100_000), "x").is_err());
    }

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
        assert!(error.contains("'snyc'") && error.contains("did you mean sync?"), "{error}");
    }
}
