//! What can be asked for on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::text;

/// What is said behind the commands, and in the manual page.
const AFTER: &str = "\
STORE is a directory (also file://DIR), or memory:// or another URL that filedb.h names. Keys and values are bytes. On the command \
line they are taken as they are, or with --escaped as text in which \\xHH is a byte, and \\n, \\t, \\r, \\0 and \\\\ are what they \
are in C.

Commands that only read do so also while another process writes to the store, as check, watch and replicate do.

EXIT CODES
  0  it was done
  1  there is no such key, or a condition does not hold
  2  the command line is wrong
  3  the store is damaged, or something was lost
  4  the store is open elsewhere
  5  there is no store, or there is one where none may be
  6  anything else; the message says what";

/// The command line tool of filedb, an embedded key-value store.
#[derive(Parser)]
#[command(name = "filedb", version, after_help = AFTER, after_long_help = AFTER)]
pub struct Args {
    /// Print JSON: one value, or one line for each thing.
    #[arg(long, global = true)]
    pub json: bool,
    /// Keys and values on the command line are text with escapes.
    #[arg(short, long, global = true)]
    pub escaped: bool,
    /// An option of the store, as sync=always; filedb.h lists them.
    #[arg(short, long = "option", value_name = "NAME=VALUE", global = true, value_parser = crate::commands::keys::option)]
    pub options: Vec<String>,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Print the value of a key.
    Get { store: PathBuf, key: std::ffi::OsString },
    /// Give a key a value.
    Put(Put),
    /// Remove keys.
    Delete {
        store: PathBuf,
        #[arg(required = true)]
        keys: Vec<std::ffi::OsString>,
    },
    /// Print all keys, or those that begin with a prefix, in order.
    List {
        store: PathBuf,
        #[arg(default_value = "")]
        prefix: std::ffi::OsString,
        /// Print the bytes as they are, and not with escapes.
        #[arg(long)]
        raw: bool,
    },
    /// Print the number of keys.
    Count { store: PathBuf },
    /// Print the store in numbers.
    Stats {
        store: PathBuf,
        /// Write a page that draws where the space is to this file.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Also where there is such a file.
        #[arg(long, requires = "html")]
        force: bool,
    },
    /// Look for damage; the store may be open.
    Check { store: PathBuf },
    /// Copy what is intact in a damaged store to a new one, which is called TO.unfinished until it is whole.
    Salvage {
        store: PathBuf,
        /// The new store, which must not exist.
        to: PathBuf,
    },
    /// Copy a store, which another process may write to, to a directory; into an older backup of it only what is new.
    Backup {
        store: PathBuf,
        /// Empty, not there, or an older backup of the store.
        to: PathBuf,
        #[command(flatten)]
        how: Copying,
    },
    /// Make a store of a backup, which stays as it is.
    Restore {
        /// The backup.
        from: PathBuf,
        /// The new store: a directory that is empty or not there.
        store: PathBuf,
        #[command(flatten)]
        how: Copying,
    },
    /// Print all keys and what they hold.
    Dump {
        store: PathBuf,
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
        /// Only keys that begin with this.
        #[arg(long)]
        prefix: Option<std::ffi::OsString>,
    },
    /// Read from standard input what dump prints, and put it into the store. A list is replaced in one step, one of more than 256 MiB in
    /// several.
    Load {
        store: PathBuf,
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
    },
    /// Add values at the end of a list.
    Push {
        store: PathBuf,
        key: std::ffi::OsString,
        #[arg(required = true)]
        values: Vec<std::ffi::OsString>,
        /// At its front.
        #[arg(long)]
        front: bool,
    },
    /// Take a value out at the end of a list, and print it; the last that was pushed comes first. A queue takes with --front.
    Pop {
        store: PathBuf,
        key: std::ffi::OsString,
        /// At its front.
        #[arg(long)]
        front: bool,
    },
    /// Print how long a key has to live.
    Ttl { store: PathBuf, key: std::ffi::OsString },
    /// Let a key expire, or live for ever.
    Expire {
        store: PathBuf,
        key: std::ffi::OsString,
        /// From now on: 500ms, 15s, 10min, 2h, 7d; or never.
        #[arg(value_parser = text::life)]
        time: filedb::Ttl,
    },
    /// Keep TO a copy of FROM, which another process may write to: first a backup, then each change as it is made, until it is ended. It may be
    /// killed at any time, and goes on when it is started again. Nobody else may write to TO; to use TO instead of FROM, end this and open it.
    Replicate {
        from: PathBuf,
        /// Empty, not there, a backup of FROM, or a copy that this command made. What it holds is replaced by a new backup, made beside it
        /// as TO.next, where FROM does not tell its changes any more (see keep_tombstones_ms).
        to: PathBuf,
        /// End when TO has all that FROM has.
        #[arg(long)]
        once: bool,
    },
    /// Print each change as it is made, one line each, while another process writes to the store: its number, what was done (put, delete,
    /// push, push-front, pop, pop-front or expire), the key, and the value or the time at which the key expires. What merges replaced
    /// meanwhile may be left out. It ends when it is told to, or at a gap, which it says.
    Watch {
        store: PathBuf,
        /// Begin behind the change with this number: 0 for all that is there, the last number that was printed to go on. Without it, only what
        /// is changed from now on.
        #[arg(long, value_name = "NUMBER")]
        from: Option<u64>,
        /// End after so many changes.
        #[arg(long, value_name = "NUMBER")]
        count: Option<u64>,
    },
    /// Take the space of dead records back, now.
    Merge { store: PathBuf },
    /// Measure puts and gets.
    Bench(Bench),
    /// Read commands line by line, with history and completion.
    Repl { store: PathBuf },
    /// Print what completes these commands in a shell.
    Completions { shell: clap_complete::Shell },
    /// Print the manual page.
    Man,
}

/// See [`Command::Put`].
#[derive(clap::Args)]
pub struct Put {
    pub store: PathBuf,
    pub key: std::ffi::OsString,
    /// The value; without one, or with -, it is read from standard input.
    pub value: Option<std::ffi::OsString>,
    /// How long from now the key expires: 500ms, 15s, 10min, 2h, 7d.
    #[arg(long, value_parser = text::duration)]
    pub ttl: Option<std::time::Duration>,
    /// Only if there is no such key.
    #[arg(long, conflicts_with = "if_present")]
    pub if_absent: bool,
    /// Only if there is such a key.
    #[arg(long)]
    pub if_present: bool,
    /// Durable when the command ends, whatever the option sync says.
    #[arg(long)]
    pub sync: bool,
}

/// See [`Command::Backup`].
#[derive(clap::Args)]
pub struct Copying {
    /// No hard links: the bytes are copied.
    #[arg(long)]
    pub copy: bool,
    /// No more bytes are copied in a second.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "BYTES")]
    pub rate: u64,
}

/// See [`Command::Bench`].
#[derive(clap::Args)]
pub struct Bench {
    /// Where keys that begin with "bench" are written; they are removed again.
    pub store: PathBuf,
    /// How many keys.
    #[arg(long, default_value_t = 100_000)]
    pub keys: u64,
    /// Bytes of each value.
    #[arg(long, default_value_t = 100)]
    pub value_size: usize,
    /// Threads that do it.
    #[arg(long, default_value_t = 1)]
    pub threads: u64,
}

/// How a dump is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line of JSON for each key.
    Json,
    /// A line of text with escapes for each key.
    Text,
    /// The protocol of Redis and Valkey, for `redis-cli --pipe`.
    Redis,
}
