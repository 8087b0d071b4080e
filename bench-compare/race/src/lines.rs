//! The lines of the result: what each is called, which figure of the driver it shows, and what filedb must reach there.

/// What is measured on: so many keys of 16 bytes, with values of so many bytes, under a limit of memory or none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Shape {
    pub keys: u64,
    pub value_size: u64,
    /// All memory that a store may take, its files' pages included; 0 where that is the machine's.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Only stores that keep their keys in order race.
    #[serde(default)]
    pub is_ordered: bool,
}

impl Shape {
    /// The shape that the targets are about; with other values only two of them hold.
    pub fn is_small(self) -> bool {
        self.value_size == SMALL
    }

    pub fn name(self) -> String {
        let shape = format!("{} keys, values of {}", count(self.keys), size(self.value_size));
        let shape = match self.memory_bytes {
            0 => shape,
            memory => format!("{shape}, {:.0} times the memory", self.live_bytes() as f64 / memory as f64),
        };
        if self.is_ordered { format!("{shape}, in order") } else { shape }
    }

    /// Which of ours race there, the first in the first place.
    pub fn ours(self) -> &'static [&'static str] {
        match self {
            Shape { is_ordered: true, .. } => &[OURS_ORDERED],
            Shape { memory_bytes: 0, .. } => &[OURS],
            _ => &[OURS, OURS_PREAD],
        }
    }

    /// The bytes of all keys and values.
    pub fn live_bytes(self) -> u64 {
        self.keys * (KEY + self.value_size)
    }
}

/// From so many keys on the targets for sizes hold.
const WEIGHABLE: u64 = 1_000_000;

/// The size of a key.
const KEY: u64 = 16;

/// The value size of most targets.
pub const SMALL: u64 = 100;

fn count(n: u64) -> String {
    match n {
        n if n >= 1_000_000 && n.is_multiple_of(100_000) => format!("{} million", n as f64 / 1e6),
        n if n.is_multiple_of(1_000) => format!("{},000", n / 1_000),
        n => n.to_string(),
    }
}

fn size(n: u64) -> String {
    if n >= 1024 && n.is_multiple_of(1024) { format!("{} KiB", n / 1024) } else { format!("{n} B") }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    PerSecond,
    Milliseconds,
    Nanoseconds,
    Bytes,
    /// Bytes per byte.
    Times,
}

impl Unit {
    pub fn is_better_high(self) -> bool {
        self == Unit::PerSecond
    }

    /// The title of an axis.
    pub fn title(self) -> &'static str {
        match self {
            Unit::PerSecond => "operations per second",
            Unit::Milliseconds => "milliseconds",
            Unit::Nanoseconds => "nanoseconds",
            Unit::Bytes => "bytes per key",
            Unit::Times => "bytes per byte of live keys and values",
        }
    }

    pub fn show(self, number: f64) -> String {
        match self {
            Unit::PerSecond => format!("{}/s", scaled(number, &[(1e6, " M"), (1e3, " k")])),
            Unit::Milliseconds => scaled(number * 1e6, &[(1e9, " s"), (1e6, " ms"), (1e3, " µs")]),
            Unit::Nanoseconds => scaled(number, &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")]),
            Unit::Bytes if number >= 1024.0 => format!("{:.1} KiB", number / 1024.0),
            Unit::Bytes => format!("{number:.1} B"),
            Unit::Times => format!("{number:.2} ×"),
        }
    }
}

fn scaled(number: f64, units: &[(f64, &str)]) -> String {
    let found = units.iter().find(|(size, _)| number >= *size);
    let (size, name) = found.copied().unwrap_or((1.0, ""));
    let n = number / size;
    let decimals = if n < 10.0 { 2 } else { usize::from(n < 100.0) };
    format!("{n:.decimals$}{name}")
}

/// What filedb must reach in a line.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// So many times as good as the best peer.
    TimesBestPeer(f64),
    /// At most so much, whatever the peers do.
    AtMost(f64),
    /// At most so much for each million keys.
    AtMostPerMillion(f64),
    /// At most so many times the time of the bare floor.
    TimesFloorTime(f64),
    /// So many times filedb's own figure in another line.
    TimesOwn(&'static str, f64),
    /// So many times as good as this peer.
    TimesPeer(&'static str, f64),
}

pub struct Line {
    /// What `--only` takes, and what the JSON file calls it.
    pub id: &'static str,
    pub title: &'static str,
    /// The driver's names.
    pub row: &'static str,
    pub figure: &'static str,
    pub unit: Unit,
    /// With small values, and with larger ones.
    pub small: Option<Target>,
    pub large: Option<Target>,
    /// With data that are larger than the memory.
    pub limited: Option<Target>,
    /// Where only stores that keep their keys in order race; and there under a limit of memory.
    pub ordered: Option<Target>,
    pub ordered_limited: Option<Target>,
    /// Peers may answer with this line too: the best of both counts.
    pub peers_also: Option<&'static str>,
}

const fn line(id: &'static str, title: &'static str, figure: &'static str, unit: Unit) -> Line {
    Line {
        id,
        title,
        row: id,
        figure,
        unit,
        small: None,
        large: None,
        limited: None,
        ordered: None,
        ordered_limited: None,
        peers_also: None,
    }
}

const fn rate(id: &'static str, title: &'static str) -> Line {
    line(id, title, "per_second", Unit::PerSecond)
}

use Target::{AtMost, AtMostPerMillion, TimesBestPeer, TimesFloorTime, TimesOwn, TimesPeer};

/// In the order in which they are shown.
pub const LINES: &[Line] = &[
    Line {
        small: Some(TimesBestPeer(2.0)),
        large: Some(TimesBestPeer(1.2)),
        limited: Some(TimesBestPeer(1.5)),
        ordered: Some(TimesBestPeer(1.5)),
        ..rate("load", "Load, 1 thread")
    },
    Line {
        ordered: Some(TimesBestPeer(1.5)),
        ..rate("load_in_order", "Load in the order of keys, 1 thread")
    },
    Line {
        small: Some(TimesFloorTime(1.4)),
        row: "load",
        ..rate("load_floor", "Load against the bare floor")
    },
    Line {
        small: Some(TimesBestPeer(1.5)),
        limited: Some(TimesBestPeer(1.5)),
        ordered: Some(TimesBestPeer(1.5)),
        ..rate("overwrite", "Overwrite, 1 thread")
    },
    Line {
        small: Some(TimesBestPeer(2.0)),
        large: Some(TimesBestPeer(1.2)),
        limited: Some(TimesBestPeer(1.0)),
        ordered: Some(TimesBestPeer(1.3)),
        ordered_limited: Some(TimesBestPeer(1.0)),
        ..rate("get", "Get, 1 thread")
    },
    Line { small: Some(TimesFloorTime(1.25)), row: "get", ..rate("get_floor", "Get against the bare floor") },
    rate("get_chain", "Get, 1 thread, each key known from the value before"),
    Line {
        small: Some(TimesBestPeer(2.0)),
        ordered: Some(TimesBestPeer(1.3)),
        ..rate("get_all", "Get, all cores")
    },
    Line {
        small: Some(TimesOwn("get", 1.8)),
        row: "get_all",
        ..rate("get_scaling", "Get, all cores against one thread")
    },
    Line {
        limited: Some(TimesBestPeer(1.0)),
        ordered: Some(TimesBestPeer(1.3)),
        ordered_limited: Some(TimesBestPeer(1.0)),
        ..rate("get_zipf", "Get, zipfian, 1 thread")
    },
    Line { ordered: Some(TimesBestPeer(1.3)), ..rate("get_zipf_all", "Get, zipfian, all cores") },
    Line {
        small: Some(TimesBestPeer(1.5)),
        ordered: Some(TimesBestPeer(1.5)),
        ..rate("absent", "Get of an absent key, 1 thread")
    },
    Line { ordered: Some(TimesBestPeer(1.5)), ..rate("absent_all", "Get of an absent key, all cores") },
    Line {
        small: Some(TimesBestPeer(3.0)),
        peers_also: Some("get"),
        ..rate("get_many", "Get of 64 keys in one call, per key; peers also one by one")
    },
    rate("mixed", "Mixed 50/50, 1 thread"),
    Line { small: Some(TimesBestPeer(1.3)), ..rate("mixed_all", "Mixed 50/50, all cores") },
    rate("mixed_zipf", "Mixed 50/50, zipfian, 1 thread"),
    rate("mixed_zipf_all", "Mixed 50/50, zipfian, all cores"),
    Line {
        small: Some(TimesBestPeer(0.7)),
        limited: Some(TimesBestPeer(0.7)),
        ordered: Some(TimesBestPeer(1.0)),
        ..rate("scan", "Scan of everything")
    },
    Line { ordered: Some(TimesBestPeer(1.0)), ..rate("scan_backwards", "Scan of everything, backwards") },
    Line {
        ordered: Some(TimesBestPeer(1.2)),
        ordered_limited: Some(TimesBestPeer(1.0)),
        ..rate("range_100", "Range of 100 from a random key")
    },
    rate("delete", "Delete, 1 thread"),
    rate("load_batch", "Load in batches of 1 MiB of values"),
    Line {
        small: Some(TimesBestPeer(1.0)),
        ordered: Some(TimesBestPeer(1.0)),
        ..rate("sync_1", "Put with sync, 1 thread")
    },
    Line {
        small: Some(TimesBestPeer(1.2)),
        ordered: Some(TimesBestPeer(1.2)),
        ..rate("sync_16", "Put with sync, 16 threads")
    },
    Line { row: "latency", ..line("latency_p50", "Get while loading, median", "p50_ns", Unit::Nanoseconds) },
    Line { row: "latency", ..line("latency_p99", "Get while loading, p99", "p99_ns", Unit::Nanoseconds) },
    Line { row: "latency", ..line("latency_p999", "Get while loading, p99.9", "p999_ns", Unit::Nanoseconds) },
    Line {
        small: Some(AtMostPerMillion(10.0)),
        ordered: Some(AtMost(100.0)),
        ..line(
            "open_closed",
            "Open after a clean close, first get included",
            "milliseconds",
            Unit::Milliseconds,
        )
    },
    Line {
        ordered: Some(AtMost(2_000.0)),
        ..line("open_killed", "Open after kill -9, first get included", "milliseconds", Unit::Milliseconds)
    },
    Line {
        small: Some(AtMost(24.0)),
        row: "load",
        ..line("memory", "Memory per key: anonymous RSS growth", "anonymous_memory_per_key", Unit::Bytes)
    },
    Line {
        row: "load",
        ..line("memory_mapped", "Mapped file pages in memory per key", "mapped_memory_per_key", Unit::Bytes)
    },
    Line {
        row: "load",
        ..line("memory_own", "Memory per key: the store's own figure", "own_memory_per_key", Unit::Bytes)
    },
    Line {
        small: Some(AtMost(1.3)),
        row: "close",
        ..line("disk_loaded", "Disk per live byte, loaded and closed", "disk_per_live_byte", Unit::Times)
    },
    Line {
        row: "load",
        ..line(
            "disk_loaded_open",
            "Disk per live byte, loaded, still open",
            "disk_per_live_byte",
            Unit::Times,
        )
    },
    Line {
        small: Some(AtMost(2.0)),
        row: "overwrite",
        ..line(
            "disk_overwritten",
            "Disk per live byte, all overwritten once, settled, still open",
            "disk_per_live_byte",
            Unit::Times,
        )
    },
    Line {
        row: "close_overwritten",
        ..line(
            "disk_overwritten_closed",
            "Disk per live byte, all overwritten once, closed",
            "disk_per_live_byte",
            Unit::Times,
        )
    },
    Line {
        ordered: Some(AtMost(1.3)),
        row: "overwrite_twice",
        ..line(
            "disk_overwritten_thrice",
            "Disk per live byte, all overwritten three times, settled, still open",
            "disk_per_live_byte",
            Unit::Times,
        )
    },
    Line {
        ordered: Some(TimesPeer("rocksdb", 1.0)),
        row: "close_overwritten_thrice",
        ..line(
            "written_overwrite_thrice",
            "Bytes written per byte stored, loaded, overwritten three times, closed",
            "written_per_byte",
            Unit::Times,
        )
    },
    Line {
        row: "close",
        ..line(
            "written_load",
            "Bytes written per byte stored, loaded and closed",
            "written_per_byte",
            Unit::Times,
        )
    },
    Line {
        row: "close_overwritten",
        ..line(
            "written_overwrite",
            "Bytes written per byte stored, loaded, overwritten, closed",
            "written_per_byte",
            Unit::Times,
        )
    },
];

impl Line {
    pub fn target(&self, shape: Shape) -> Option<Target> {
        let target = match (shape.is_ordered, shape.memory_bytes, shape.is_small()) {
            (true, 0, _) => self.ordered,
            (true, ..) => self.ordered_limited,
            (false, 0, true) => self.small,
            (false, 0, false) => self.large,
            (false, ..) => self.limited,
        };
        // What a store takes before its first key weighs too much in a small one.
        target.filter(|target| {
            !matches!(target, AtMost(_)) || shape.keys >= WEIGHABLE || self.unit == Unit::Milliseconds
        })
    }

    /// A line that only compares filedb with the floor or with itself has no ranking of its own.
    pub fn has_ranking(&self) -> bool {
        !matches!(self.small, Some(TimesFloorTime(_) | TimesOwn(..)))
    }
}

pub fn find(id: &str) -> Option<&'static Line> {
    LINES.iter().find(|line| line.id == id)
}

/// The store whose race this is, and how it is called where it reads by calls (io=pread).
pub const OURS: &str = "filedb";
pub const OURS_PREAD: &str = "filedb_pread";
/// Its ordered engine.
pub const OURS_ORDERED: &str = "filedb_lsm";
/// What is no store: the bare loop.
pub const FLOOR: &str = "floor";

/// A store that answers less than the others in a line, and so is shown there and not counted; with the reason.
pub fn discounted(line: &Line, engine: &str) -> Option<&'static str> {
    let is_synced = line.row.starts_with("sync_");
    (is_synced && engine == "sled")
        .then_some("its flush calls sync_file_range, which does not make the disk keep it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_people_write_them() {
        assert_eq!(Unit::PerSecond.show(1_234_567.0), "1.23 M/s");
        assert_eq!(Unit::PerSecond.show(45_600.0), "45.6 k/s");
        assert_eq!(Unit::PerSecond.show(512.0), "512/s");
        assert_eq!(Unit::Milliseconds.show(0.25), "250 µs");
        assert_eq!(Unit::Nanoseconds.show(5_823.0), "5.82 µs");
        assert_eq!(
            Shape { keys: 10_000_000, value_size: 100, memory_bytes: 0, is_ordered: false }.name(),
            "10 million keys, values of 100 B"
        );
        assert_eq!(
            Shape { keys: 20_000, value_size: 65_536, memory_bytes: 0, is_ordered: false }.name(),
            "20,000 keys, values of 64 KiB"
        );
        let limited =
            Shape { keys: 1_000_000, value_size: 500, memory_bytes: 129_000_000, is_ordered: false };
        assert_eq!(limited.name(), "1 million keys, values of 500 B, 4 times the memory");
    }

    #[test]
    fn ids_are_unique() {
        for (i, line) in LINES.iter().enumerate() {
            assert!(LINES[..i].iter().all(|other| other.id != line.id), "{} is there twice", line.id);
        }
    }
}
