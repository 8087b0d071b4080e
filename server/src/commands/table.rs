//! The table of commands: what a line of it says, and how one is found.

use std::collections::HashMap;
use std::ops::BitOr;
use std::sync::LazyLock;

use super::{GROUPS, Handler};

/// What a command is like, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// None of it.
    pub const NONE: Flags = Flags(0);
    /// Changes keys.
    pub const WRITE: Flags = Flags(1);
    /// Reads keys.
    pub const READ: Flags = Flags(2);
    /// May need more room: refused where the disk is full.
    pub const DENY_OOM: Flags = Flags(4);
    /// For who runs the server.
    pub const ADMIN: Flags = Flags(8);
    /// Messages.
    pub const PUBSUB: Flags = Flags(16);
    /// Takes little time.
    pub const FAST: Flags = Flags(32);
    /// May let the client wait.
    pub const BLOCKING: Flags = Flags(64);
    /// Answers without a password.
    pub const NO_AUTH: Flags = Flags(128);
    /// Is not queued after MULTI.
    pub const NOT_QUEUED: Flags = Flags(256);
    /// Refused after MULTI.
    pub const NO_MULTI: Flags = Flags(512);
    /// Is right in the state of a subscriber.
    pub const SUBSCRIBER: Flags = Flags(1024);
    /// Locks all keys.
    pub const ALL_KEYS: Flags = Flags(2048);
    /// Not in scripts.
    pub const NO_SCRIPT: Flags = Flags(4096);
    /// May change a key of another database than the client's: COPY and MOVE.
    pub const OTHER_DATABASE: Flags = Flags(8192);

    /// Whether all of these are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags that are in one of the two.
    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        self.and(other)
    }
}

/// Where keys are among the arguments.
#[derive(Clone, Copy)]
pub enum Keys {
    /// From one place to another, which counts from the end where negative, at so many places.
    At(i32, i32, i32),
    /// Behind a number of keys in this place.
    Counted(usize),
    /// The destination in the first place, and sources behind a number: none of the commands that are known has more.
    Own(fn(&[&[u8]]) -> Vec<usize>),
}

impl Keys {
    /// No keys.
    pub const NONE: Keys = Keys::At(0, 0, 0);
    /// The first argument.
    pub const FIRST: Keys = Keys::At(1, 1, 1);
    /// All arguments.
    pub const ALL: Keys = Keys::At(1, -1, 1);

    /// The places of keys, of a command whose arity is right. Wrong numbers give none.
    pub fn places(&self, args: &[&[u8]]) -> smallvec::SmallVec<[usize; 4]> {
        match *self {
            Keys::At(0, ..) => smallvec::SmallVec::new(),
            Keys::At(first, last, step) => {
                let last = if last < 0 { args.len() as i32 + last } else { last };
                (first..=last)
                    .step_by(step.max(1) as usize)
                    .map(|at| at as usize)
                    .filter(|at| *at < args.len())
                    .collect()
            }
            Keys::Counted(at) => {
                let count = args.get(at).and_then(|count| crate::resp::request::number(count)).unwrap_or(0);
                let count = usize::try_from(count).unwrap_or(0).min(args.len());
                (at + 1..at + 1 + count).filter(|at| *at < args.len()).collect()
            }
            Keys::Own(find) => find(args).into_iter().filter(|at| *at < args.len()).collect(),
        }
    }
}

/// A line of the table.
#[derive(Clone, Copy)]
pub struct Command {
    /// The name of the command, in small letters.
    pub name: &'static str,
    /// What does it.
    pub handler: Handler,
    /// The number of arguments with the name; at least so many where negative.
    pub arity: i32,
    /// What it is like.
    pub flags: Flags,
    /// Where its keys are.
    pub keys: Keys,
    /// The command's group, as Redis sorts them.
    pub group: &'static str,
    /// The version of Redis that had it first.
    pub since: &'static str,
    /// What it is for, in one sentence.
    pub summary: &'static str,
    /// The commands that are named by the first argument.
    pub subcommands: &'static [Command],
    /// The command's number among all commands and subcommands, which [`all`] gives them.
    pub number: u16,
}

impl Command {
    /// Whether so many arguments are right.
    #[inline]
    pub fn takes(&self, count: usize) -> bool {
        if self.arity >= 0 {
            count == self.arity as usize
        } else {
            count >= self.arity.unsigned_abs() as usize
        }
    }

    /// The subcommand of this name.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Command> {
        self.subcommands.iter().find(|command| name.eq_ignore_ascii_case(command.short_name().as_bytes()))
    }

    /// The name of a subcommand without that of its command.
    pub fn short_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, name)| name)
    }
}

/// A line of the table without subcommands.
#[allow(clippy::too_many_arguments)]
pub const fn command(
    name: &'static str,
    handler: Handler,
    arity: i32,
    flags: Flags,
    keys: Keys,
    group: &'static str,
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command { name, handler, arity, flags, keys, group, since, summary, subcommands: &[], number: 0 }
}

/// The tables of all groups, with numbers: they live as long as the process.
static ALL: LazyLock<Vec<Command>> = LazyLock::new(|| {
    let mut numbers = 0..;
    let mut numbered = |command: &Command| Command { number: numbers.next().unwrap_or(0), ..*command };
    let mut all: Vec<Command> = Vec::new();
    for command in GROUPS.iter().copied().flatten() {
        let mut command = numbered(command);
        let subcommands: Vec<_> = command.subcommands.iter().map(&mut numbered).collect();
        command.subcommands = subcommands.leak();
        all.push(command);
    }
    all
});

static COUNT: LazyLock<usize> = LazyLock::new(|| all_lines().count());

/// How many commands and subcommands there are.
pub fn count() -> usize {
    *COUNT
}

type ByName = HashMap<&'static [u8], &'static Command, foldhash::fast::FixedState>;

static BY_NAME: LazyLock<ByName> =
    LazyLock::new(|| all().map(|command| (command.name.as_bytes(), command)).collect());

/// The longest name of a command.
const LONGEST: usize = 32;

/// The command of this name, in whatever case.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let mut lower = [0; LONGEST];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    BY_NAME.get(&*lower).copied()
}

/// All commands.
pub fn all() -> impl Iterator<Item = &'static Command> {
    ALL.iter()
}

/// All commands, each with its subcommands behind it: in the order of their numbers.
pub fn all_lines() -> impl Iterator<Item = &'static Command> {
    all().flat_map(|command| std::iter::once(command).chain(command.subcommands))
}

/// A command, or with `|` a subcommand.
pub fn of_name(name: &[u8]) -> Option<&'static Command> {
    match memchr::memchr(b'|', name) {
        Some(at) => find(&name[..at])?.subcommand(&name[at + 1..]),
        None => find(name),
    }
}
