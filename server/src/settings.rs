//! What CONFIG GET shows and CONFIG SET changes while the server runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use filedb::SyncMode;
use parking_lot::{Mutex, RwLock};

use crate::durability::Promise;

/// See the module.
pub struct Settings {
    /// The most clients.
    pub max_clients: AtomicU64,
    /// The most clients that follow the changes at a time.
    pub max_feeds: AtomicU64,
    /// Clients that are silent for so many seconds are disconnected; 0 for never.
    pub timeout_s: AtomicU64,
    /// Keepalive probes, in seconds; 0 for none.
    pub keepalive_s: AtomicU64,
    /// The most bytes of an argument.
    pub max_bulk: AtomicU64,
    /// The most bytes of a command.
    pub max_query: AtomicU64,
    /// The most bytes of the reply to one command.
    pub max_reply: AtomicU64,
    /// The most bytes of messages that wait for a subscriber.
    pub max_pubsub_output: AtomicU64,
    /// Commands that take longer than this are logged, in microseconds; negative for none.
    pub slowlog_micros: AtomicU64,
    /// How many slow commands are kept.
    pub slowlog_len: AtomicU64,
    /// The password; empty for none.
    pub password: RwLock<String>,
    /// The kinds of events that are published.
    pub events: RwLock<String>,
    /// Whether any are.
    pub has_events: AtomicBool,
    /// Whether clients from other machines are refused where there is no password.
    pub protected_mode: AtomicBool,
    /// When a write must be on the disk.
    pub promise: Arc<Promise>,
    /// What took so many milliseconds is an event of LATENCY; 0 for none.
    pub latency_ms: AtomicU64,
    /// What cannot be changed, by name.
    pub fixed: Vec<(&'static str, String)>,
    /// The file that CONFIG REWRITE writes.
    pub file: Option<std::path::PathBuf>,
    /// Held by whoever changes several settings at once.
    pub changing: Mutex<()>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_clients: AtomicU64::new(10_000),
            max_feeds: AtomicU64::new(64),
            timeout_s: AtomicU64::new(0),
            keepalive_s: AtomicU64::new(300),
            max_bulk: AtomicU64::new(512 << 20),
            max_query: AtomicU64::new(1 << 30),
            max_reply: AtomicU64::new(1 << 30),
            max_pubsub_output: AtomicU64::new(32 << 20),
            slowlog_micros: AtomicU64::new(10_000),
            slowlog_len: AtomicU64::new(128),
            password: RwLock::default(),
            events: RwLock::default(),
            has_events: AtomicBool::new(false),
            protected_mode: AtomicBool::new(true),
            promise: Arc::new(Promise::new(SyncMode::Interval)),
            latency_ms: AtomicU64::new(0),
            fixed: Vec::new(),
            file: None,
            changing: Mutex::new(()),
        }
    }
}

/// A change of the settings that nothing can fail in any more.
pub type Change = Box<dyn FnOnce(&Settings)>;

/// A setting that can be changed.
pub struct Setting {
    /// The name of the setting.
    pub name: &'static str,
    /// The value of the setting as text.
    pub get: fn(&Settings) -> String,
    /// What sets it to a value that is given as text; `Err` says why it cannot have that. Nothing is changed yet: CONFIG SET changes all that
    /// it names, or nothing.
    pub parse: fn(&str) -> Result<Change, String>,
}

fn number(text: &str, least: i64, most: i64) -> Result<u64, String> {
    let number = crate::resp::request::number(text.as_bytes());
    let number = number.ok_or_else(|| "argument couldn't be parsed into an integer".to_owned())?;
    if !(least..=most).contains(&number) {
        return Err(format!("argument must be between {least} and {most} inclusive"));
    }
    Ok(number as u64)
}

/// A size in bytes, with a unit as Redis has them.
pub fn memory(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return Err("argument must be a memory value".into()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "argument must be a memory value".into())
}

fn at_least_a_megabyte(text: &str) -> Result<u64, String> {
    let size = memory(text)?;
    if size < 1 << 20 || i64::try_from(size).is_err() {
        return Err(format!("argument must be between 1048576 and {} inclusive", i64::MAX));
    }
    Ok(size)
}

/// How Redis calls what `--sync` says.
pub fn name_of(mode: SyncMode) -> &'static str {
    match mode {
        SyncMode::None => "no",
        SyncMode::Interval => "everysec",
        SyncMode::Always => "always",
    }
}

fn store(place: fn(&Settings) -> &AtomicU64, value: Result<u64, String>) -> Result<Change, String> {
    value.map(|value| -> Change { Box::new(move |settings| place(settings).store(value, Ordering::Relaxed)) })
}

fn show(place: &AtomicU64) -> String {
    (place.load(Ordering::Relaxed) as i64).to_string()
}

/// A limit of bytes, as Redis shows it: 0 for none.
fn limit(place: &AtomicU64) -> u64 {
    Some(place.load(Ordering::Relaxed)).filter(|most| *most != u64::MAX).unwrap_or(0)
}

/// Every setting that can be changed.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "maxclients",
        get: |s| show(&s.max_clients),
        parse: |v| store(|s| &s.max_clients, number(v, 1, u32::MAX.into())),
    },
    Setting {
        name: "maxfeeds",
        get: |s| show(&s.max_feeds),
        parse: |v| store(|s| &s.max_feeds, number(v, 0, 10_000)),
    },
    Setting {
        name: "timeout",
        get: |s| show(&s.timeout_s),
        parse: |v| store(|s| &s.timeout_s, number(v, 0, i32::MAX.into())),
    },
    Setting {
        name: "tcp-keepalive",
        get: |s| show(&s.keepalive_s),
        parse: |v| store(|s| &s.keepalive_s, number(v, 0, i32::MAX.into())),
    },
    Setting {
        name: "proto-max-bulk-len",
        get: |s| show(&s.max_bulk),
        parse: |v| {
            let size = at_least_a_megabyte(v)?;
            if size > u64::from(u32::MAX) {
                return Err("argument must be between 1048576 and 4294967295 inclusive".to_owned());
            }
            store(|s| &s.max_bulk, Ok(size))
        },
    },
    Setting {
        name: "client-query-buffer-limit",
        get: |s| show(&s.max_query),
        parse: |v| store(|s| &s.max_query, at_least_a_megabyte(v)),
    },
    Setting {
        name: "appendfsync",
        get: |s| name_of(s.promise.get()).to_owned(),
        parse: |v| {
            let known = [SyncMode::Interval, SyncMode::Always, SyncMode::None];
            let mode = known.into_iter().find(|mode| v.eq_ignore_ascii_case(name_of(*mode)));
            let mode =
                mode.ok_or("argument(s) must be one of the following: everysec, always, no".to_owned())?;
            Ok(Box::new(move |s| s.promise.set(mode)))
        },
    },
    Setting {
        name: "latency-monitor-threshold",
        get: |s| show(&s.latency_ms),
        parse: |v| store(|s| &s.latency_ms, number(v, 0, i64::MAX)),
    },
    Setting {
        name: "slowlog-log-slower-than",
        get: |s| show(&s.slowlog_micros),
        parse: |v| store(|s| &s.slowlog_micros, number(v, -1, i64::MAX)),
    },
    Setting {
        name: "slowlog-max-len",
        get: |s| show(&s.slowlog_len),
        parse: |v| store(|s| &s.slowlog_len, number(v, 0, i64::MAX)),
    },
    Setting {
        name: "requirepass",
        get: |s| s.password.read().clone(),
        parse: |v| {
            let password = v.to_owned();
            Ok(Box::new(move |s| *s.password.write() = password))
        },
    },
    Setting {
        name: "notify-keyspace-events",
        get: |s| s.events.read().clone(),
        parse: |v| {
            let events = events(v)?;
            Ok(Box::new(move |s| {
                s.has_events.store(!events.is_empty(), Ordering::SeqCst);
                *s.events.write() = events;
            }))
        },
    },
    Setting {
        name: "protected-mode",
        get: |s| yes_or_no(s.protected_mode.load(Ordering::Relaxed)),
        parse: |v| match v {
            "yes" | "no" => {
                let is_on = v == "yes";
                Ok(Box::new(move |s| s.protected_mode.store(is_on, Ordering::Relaxed)))
            }
            _ => Err("argument must be 'yes' or 'no'".into()),
        },
    },
    Setting {
        name: "client-output-buffer-limit",
        get: |s| {
            let (normal, pubsub) = (limit(&s.max_reply), limit(&s.max_pubsub_output));
            format!("normal {normal} 0 0 slave 0 0 0 pubsub {pubsub} 0 0")
        },
        parse: |v| {
            let words: Vec<_> = v.split_whitespace().collect();
            if words.is_empty() || words.len() % 4 != 0 {
                return Err("Wrong number of arguments in buffer limit configuration.".into());
            }
            let classes = ["normal", "slave", "replica", "pubsub"];
            if !words.chunks_exact(4).all(|of| classes.iter().any(|class| of[0].eq_ignore_ascii_case(class)))
            {
                return Err("Invalid client class specified in buffer limit configuration.".into());
            }
            let mut changes: Vec<Change> = Vec::new();
            for class in words.chunks_exact(4) {
                let size = memory(class[1])?;
                let size = if size == 0 { u64::MAX } else { size };
                // The soft limit and its seconds; there is none here, and what is no number is refused as Redis does.
                let soft = "Error in soft limit configuration in buffer limit configuration.";
                memory(class[2]).and(number(class[3], 0, i64::MAX)).map_err(|_| soft.to_owned())?;
                match class[0].to_ascii_lowercase().as_str() {
                    "normal" => changes.push(store(|s| &s.max_reply, Ok(size))?),
                    "pubsub" => changes.push(store(|s| &s.max_pubsub_output, Ok(size))?),
                    _ => {}
                }
            }
            Ok(Box::new(|s| changes.into_iter().for_each(|change| change(s))))
        },
    },
];

fn yes_or_no(yes: bool) -> String {
    if yes { "yes".into() } else { "no".into() }
}

/// The letters of `notify-keyspace-events`, in the order in which Redis shows them.
fn events(text: &str) -> Result<String, String> {
    const CLASSES: &str = "g$lszhxetdn";
    const ALL: &str = "g$lshzxetd";
    if let Some(wrong) = text.chars().find(|letter| !"AKEm".contains(*letter) && !CLASSES.contains(*letter)) {
        let _ = wrong;
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
    }
    let has = |letter: char| text.contains(letter) || (text.contains('A') && ALL.contains(letter));
    let mut shown = String::new();
    if ALL.chars().all(has) {
        shown.push('A');
    } else {
        shown.extend("g$lshzxetd".chars().filter(|letter| has(*letter)));
    }
    shown.extend("KEmn".chars().filter(|letter| text.contains(*letter)));
    if !text.contains('K') && !text.contains('E') && !text.is_empty() {
        // Nothing is published then; what was set is shown all the same.
        return Ok(shown);
    }
    Ok(shown)
}

/// What Redis does not let change while it runs.
const UNCHANGEABLE: &[&str] = &["databases", "io-threads", "unixsocket"];

impl Settings {
    /// The value of a setting that this server cannot change; `None` where there is no such setting.
    pub fn fixed(&self, name: &str) -> Option<&str> {
        self.fixed.iter().find(|(fixed, _)| *fixed == name).map(|(_, value)| value.as_str())
    }

    /// Whether this is the value that a fixed setting has: tools set some of them to be sure. `Err` says what is wrong.
    pub fn has_fixed(&self, name: &str, value: &str) -> Result<(), String> {
        let old = self.fixed(name).unwrap_or_default();
        let is_equal = match name {
            "maxmemory" => memory(value)? == memory(old)?,
            "appendonly" if !["yes", "no"].iter().any(|known| value.eq_ignore_ascii_case(known)) => {
                return Err("argument must be 'yes' or 'no'".into());
            }
            _ if UNCHANGEABLE.contains(&name) => false,
            "save" => value.trim() == old,
            _ => value.eq_ignore_ascii_case(old),
        };
        if is_equal { Ok(()) } else { Err("can't set immutable config".into()) }
    }

    /// Whether events of this class are published, on channels of keys or of events.
    pub fn publishes(&self, class: u8) -> Option<(bool, bool)> {
        let events = self.events.read();
        let class = class as char;
        let wanted = events.contains(class) || (events.contains('A') && class != 'm' && class != 'n');
        wanted.then(|| (events.contains('K'), events.contains('E')))
    }
}
