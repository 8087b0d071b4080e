//! The operations of the simulated disk: their numbers, the faults that hit them, and the trace that tells of them.

use std::fmt;

/// What was asked of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is named for the method of Disk or DiskFile that it stands for")]
pub enum Kind {
    Lock,
    List,
    Create,
    Open,
    Rename,
    Remove,
    SyncDir,
    Size,
    Read,
    Reserve,
    Write,
    Sync,
    Truncate,
    Prepare,
    Seal,
}

impl Kind {
    /// Whether the operation changes what a later process, or a later machine, finds.
    pub fn changes_the_disk(self) -> bool {
        !matches!(
            self,
            Kind::Lock | Kind::List | Kind::Open | Kind::Size | Kind::Read | Kind::Prepare | Kind::Seal
        )
    }
}

/// One operation as it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The number of the operation; the first is 1.
    pub number: u64,
    /// What was asked.
    pub kind: Kind,
    /// Of which file; for a renaming, the old name.
    pub name: String,
    /// The place in the file, or the size asked for.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// The error number it was answered with; 0 for success.
    pub errno: i32,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { number, kind, name, offset, length, errno } = self;
        write!(f, "{number:5} {kind:?}")?;
        if !name.is_empty() {
            write!(f, " {name}")?;
        }
        match kind {
            Kind::Read | Kind::Write => write!(f, " {length} bytes at {offset}")?,
            Kind::Reserve | Kind::Truncate => write!(f, " to {offset}")?,
            _ => {}
        }
        if *errno != 0 {
            write!(f, " -> {}", std::io::Error::from_raw_os_error(*errno))?;
        }
        Ok(())
    }
}

/// An operation that fails.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The number of the first operation that it may hit.
    pub from: u64,
    /// Whether every later one is hit as well, or only the first.
    pub lasts: bool,
    /// The kinds that it hits; empty for all.
    pub kinds: &'static [Kind],
    /// What the operation fails with.
    pub errno: i32,
    /// Whether a write that is hit has written a part of its bytes before it fails.
    pub short_write: bool,
}

impl Fault {
    /// The `n`-th operation fails, and only that.
    pub fn once(n: u64, errno: i32) -> Self {
        Fault { from: n, lasts: false, kinds: &[], errno, short_write: false }
    }

    /// Every operation from the `n`-th on fails.
    pub fn from_then_on(n: u64, errno: i32) -> Self {
        Fault { lasts: true, ..Fault::once(n, errno) }
    }

    /// The same fault, for these kinds of operation only.
    pub fn of(self, kinds: &'static [Kind]) -> Self {
        Fault { kinds, ..self }
    }

    /// The same fault, where writes that fail leave a part of their bytes behind.
    pub fn with_short_writes(self) -> Self {
        Fault { short_write: true, ..self }
    }

    pub(super) fn hits(&self, number: u64, kind: Kind) -> bool {
        number >= self.from && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}
