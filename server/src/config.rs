//! How the server is started: options, environment variables and a file, in this order of precedence.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::{Parser, ValueEnum};
use filedb::{Options, SyncMode};
use log::LevelFilter;
use serde::Deserialize;

use crate::logging::Format;
use crate::settings::{SETTINGS, Settings};

/// When a write is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// When the operating system likes.
    None,
    /// A second later at most.
    Interval,
    /// Before its reply leaves.
    Always,
}

/// yes or no, as Redis spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// On.
    Yes,
    /// Off.
    No,
}

/// The options, each of which may be missing.
#[derive(Debug, Default, Parser, Deserialize)]
#[command(
    name = "filedb-server",
    version,
    about = "A server that speaks the protocol of Redis and keeps its data in a filedb store",
    after_help = "Each option is also an environment variable (FILEDB_SERVER_PORT for --port) and a line of the file that --config \
                  names (port = 6379). The command line wins over the environment, and that over the file. `filedb-server man` prints \
                  the manual page."
)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Given {
    /// The directory of the store; it is made where there is none
    #[arg(long, env = "FILEDB_SERVER_DIR")]
    dir: Option<PathBuf>,
    /// Where BGSAVE copies the store to: a directory that is made where there is none. Without it BGSAVE syncs
    #[arg(long, env = "FILEDB_SERVER_BACKUP_DIR")]
    backup_dir: Option<PathBuf>,
    /// The address to listen on; 127.0.0.1 where it is not given
    #[arg(long, env = "FILEDB_SERVER_BIND")]
    bind: Option<String>,
    /// The TCP port; 6379 where it is not given, and with 0 a free one, which is printed
    #[arg(long, env = "FILEDB_SERVER_PORT")]
    port: Option<u16>,
    /// A Unix socket to listen on too
    #[arg(long, env = "FILEDB_SERVER_UNIXSOCKET")]
    unixsocket: Option<PathBuf>,
    /// How a new store keeps its keys: bitcask, or lsm (in order, and not in memory); bitcask where it is not given
    #[arg(long, env = "FILEDB_SERVER_ENGINE")]
    engine: Option<String>,
    /// For how many milliseconds merges keep deletes for those who follow the changes (FILEDB.FEED); 0 where it is not given
    #[arg(long, env = "FILEDB_SERVER_KEEP_TOMBSTONES_MS")]
    keep_tombstones_ms: Option<u64>,
    /// When a write is on the disk; interval where it is not given
    #[arg(long, env = "FILEDB_SERVER_SYNC", value_enum)]
    sync: Option<Sync>,
    /// Event loops, a thread each; one for each processor where it is not given
    #[arg(long, env = "FILEDB_SERVER_THREADS")]
    threads: Option<usize>,
    /// The password that clients must say
    #[arg(long, env = "FILEDB_SERVER_REQUIREPASS", hide_env_values = true)]
    requirepass: Option<String>,
    /// The most clients; 10000 where it is not given
    #[arg(long, env = "FILEDB_SERVER_MAXCLIENTS")]
    maxclients: Option<u64>,
    /// Seconds after which silent clients are disconnected; 0 for never
    #[arg(long, env = "FILEDB_SERVER_TIMEOUT")]
    timeout: Option<u64>,
    /// Whether clients from other machines are refused where there is no password; yes where it is not given
    #[arg(long, env = "FILEDB_SERVER_PROTECTED_MODE", value_enum)]
    protected_mode: Option<Switch>,
    /// The certificate chain, a PEM file: the TCP port speaks TLS then
    #[arg(long, env = "FILEDB_SERVER_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, a PEM file
    #[arg(long, env = "FILEDB_SERVER_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// A file of options, in TOML
    #[arg(long, env = "FILEDB_SERVER_CONFIG")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// The address and port of metrics for Prometheus, and of a page that shows them
    #[arg(long, env = "FILEDB_SERVER_METRICS_ADDR")]
    metrics_addr: Option<String>,
    /// How a line of the log looks
    #[arg(long, env = "FILEDB_SERVER_LOG_FORMAT", value_enum)]
    log_format: Option<Format>,
    /// What is logged: error, warn, info or debug
    #[arg(long, env = "FILEDB_SERVER_LOG_LEVEL")]
    log_level: Option<String>,
    /// Another setting that CONFIG SET takes, as NAME=VALUE; more than one may be given
    #[arg(long = "set", value_name = "NAME=VALUE")]
    #[serde(skip)]
    others: Vec<String>,
}

/// How the server is started.
pub struct Config {
    /// The directory of the store.
    pub dir: PathBuf,
    /// Where BGSAVE copies the store to.
    pub backup_dir: Option<PathBuf>,
    /// Where it listens.
    pub bind: String,
    /// The TCP port.
    pub port: u16,
    /// A Unix socket.
    pub unixsocket: Option<PathBuf>,
    /// Options of the store.
    pub store: Options,
    /// Event loops.
    pub threads: usize,
    /// Certificate and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Metrics.
    pub metrics_addr: Option<String>,
    /// The log.
    pub log_format: Format,
    /// The log.
    pub log_level: LevelFilter,
    /// What CONFIG knows.
    pub settings: Settings,
}

impl Config {
    /// As this process was started. Where options are wrong, or help is asked for, the process ends.
    pub fn read() -> Result<Config, String> {
        Self::of(Given::parse())
    }

    /// As these arguments say, of which the first is the program.
    pub fn from_args<T: Into<std::ffi::OsString> + Clone>(
        args: impl IntoIterator<Item = T>,
    ) -> Result<Config, String> {
        Self::of(Given::try_parse_from(args).map_err(|error| error.to_string())?)
    }

    fn of(given: Given) -> Result<Config, String> {
        let (file, others) = match &given.config {
            Some(path) => read_file(path)?,
            None => (Given::default(), Vec::new()),
        };
        if file.sync.is_some() && others.iter().any(|(name, _)| name == "appendfsync") {
            return Err("'sync' and 'appendfsync' in the file say the same: keep one of them".into());
        }
        let path = given.config.clone();
        let mode = |sync| match sync {
            Sync::None => SyncMode::None,
            Sync::Interval => SyncMode::Interval,
            Sync::Always => SyncMode::Always,
        };
        let sync = mode(given.sync.or(file.sync).unwrap_or(Sync::Interval));
        let keep_tombstones_ms = given.keep_tombstones_ms.or(file.keep_tombstones_ms).unwrap_or(0);
        let mut store = Options { sync, keep_tombstones_ms, ..Options::default() };
        let engine = given.engine.or(file.engine).unwrap_or_else(|| "auto".into());
        store.set("engine", &engine).map_err(|error| error.to_string())?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = given.threads.or(file.threads).unwrap_or(processors);
        if !(1..=256).contains(&threads) {
            return Err(format!("--threads must be from 1 to 256, not {threads}"));
        }
        let (cert, key) = (given.tls_cert.or(file.tls_cert), given.tls_key.or(file.tls_key));
        let tls = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err("--tls-cert and --tls-key need each other".into()),
        };
        let dir = given.dir.or(file.dir).ok_or("--dir DIR is missing: the directory of the store")?;
        let bind = given.bind.or(file.bind).unwrap_or_else(|| "127.0.0.1".into());
        let port = given.port.or(file.port).unwrap_or(6379);
        let unixsocket = given.unixsocket.or(file.unixsocket);
        let level = given.log_level.or(file.log_level).unwrap_or_else(|| "info".into());
        let log_level = level.parse().map_err(|_| format!("--log-level cannot be '{level}'"))?;

        let fixed = vec![
            ("port", port.to_string()),
            ("bind", bind.clone()),
            (
                "unixsocket",
                unixsocket.as_ref().map(|path: &PathBuf| path.display().to_string()).unwrap_or_default(),
            ),
            ("dir", dir.display().to_string()),
            ("databases", "16".into()),
            ("save", String::new()),
            ("appendonly", "yes".into()),
            ("maxmemory", "0".into()),
            ("maxmemory-policy", "noeviction".into()),
            ("io-threads", threads.to_string()),
        ];
        let settings = Settings { fixed, file: path, ..Settings::default() };
        settings.promise.set(sync);
        let set = |name: &str, value: &str| {
            let setting = SETTINGS.iter().find(|setting| setting.name == name);
            let setting = setting.ok_or_else(|| format!("there is no setting '{name}'"))?;
            let change = (setting.parse)(value);
            change
                .map(|change| change(&settings))
                .map_err(|why| format!("'{name}' cannot be '{value}': {why}"))
        };
        for (name, value) in &others {
            set(name, value)?;
        }
        for other in &given.others {
            let (name, value) =
                other.split_once('=').ok_or_else(|| format!("--set {other}: NAME=VALUE is meant"))?;
            set(name, value)?;
        }
        // What CONFIG REWRITE wrote holds for the store too; the command line wins over it.
        if let Some(sync) = given.sync {
            settings.promise.set(mode(sync));
        }
        store.sync = settings.promise.get();
        // Those of a file were set above, as all settings that can be changed; an option of their own wins.
        if let Some(protected) = given.protected_mode {
            settings.protected_mode.store(protected == Switch::Yes, Ordering::Relaxed);
        }
        if let Some(most) = given.maxclients {
            settings.max_clients.store(most.max(1), Ordering::Relaxed);
        }
        if let Some(timeout) = given.timeout {
            settings.timeout_s.store(timeout, Ordering::Relaxed);
        }
        if let Some(password) = given.requirepass {
            *settings.password.write() = password;
        }
        Ok(Config {
            dir,
            backup_dir: given.backup_dir.or(file.backup_dir),
            bind,
            port,
            unixsocket,
            store,
            threads,
            tls,
            metrics_addr: given.metrics_addr.or(file.metrics_addr),
            log_format: given.log_format.or(file.log_format).unwrap_or_default(),
            log_level,
            settings,
        })
    }
}

/// The manual page, in the words of `--help`.
pub fn manual() -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(<Given as clap::CommandFactory>::command()).render(&mut page)?;
    Ok(page)
}

/// The options in a file, and the settings in it, which CONFIG REWRITE writes too.
fn read_file(path: &std::path::Path) -> Result<(Given, Vec<(String, String)>), String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read '{}': {error}", path.display()))?;
    let mut table: toml::Table = text.parse().map_err(|error| format!("'{}': {error}", path.display()))?;
    let mut others = Vec::new();
    for setting in SETTINGS {
        if let Some(value) = table.remove(setting.name) {
            let value = match value {
                toml::Value::String(text) => text,
                other => other.to_string(),
            };
            others.push((setting.name.to_owned(), value));
        }
    }
    let given = Given::deserialize(table).map_err(|error| format!("'{}': {error}", path.display()))?;
    Ok((given, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.toml");
        std::fs::write(&path, "dir = \"/a\"\nport = 1\nmaxclients = 7\nslowlog-max-len = \"5\"\n").unwrap();
        let args = ["filedb-server", "--config", path.to_str().unwrap(), "--port", "2", "--sync", "always"];
        let config = Config::from_args(args).unwrap();
        assert_eq!((config.port, config.dir), (2, PathBuf::from("/a")));
        assert_eq!(config.store.sync, SyncMode::Always);
        assert_eq!(config.settings.max_clients.load(Ordering::Relaxed), 7);
        assert_eq!(config.settings.slowlog_len.load(Ordering::Relaxed), 5);
        std::fs::write(&path, "dir = \"/a\"\nsync = \"none\"\nappendfsync = \"always\"\n").unwrap();
        assert!(Config::from_args(args).err().unwrap().contains("keep one"));
        std::fs::write(&path, "dir = \"/a\"\nprot = 1\n").unwrap();
        assert!(Config::from_args(args).err().unwrap().contains("prot"));
        assert!(Config::from_args(["filedb-server"]).err().unwrap().contains("--dir"));
    }
}
