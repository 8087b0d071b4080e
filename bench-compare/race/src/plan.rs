//! What is measured, and in which order.
//!
//! A job is one store in one fresh directory: a few processes one after the other, each with some rows. All stores do the same
//! group of rows one after the other, then the next group comes, and all of it is repeated: a noisy minute of the machine hits
//! every store, and a run that is cut off has all rows, with fewer repeats.

use crate::lines::{FLOOR, LINES, Line, OURS, OURS_ORDERED, OURS_PREAD, SMALL, Shape};

pub const ENGINES: &[&str] = &[
    OURS,
    OURS_PREAD,
    OURS_ORDERED,
    FLOOR,
    "lmdb",
    "leveldb",
    "rocksdb",
    "tkrzw",
    "sqlite",
    "redb",
    "fjall",
    "sled",
    "candystore",
];

/// One process of the driver.
pub struct Process {
    /// The driver's rows. Those in `needed` are run also when nobody asked for them: later rows stand on them.
    pub rows: &'static [&'static str],
    pub needed: &'static [&'static str],
    /// It ends by killing itself.
    pub dies: bool,
}

const fn process(rows: &'static [&'static str], needed: &'static [&'static str]) -> Process {
    Process { rows, needed, dies: false }
}

pub struct Group {
    pub name: &'static str,
    pub durable: bool,
    pub processes: &'static [Process],
    /// Of a full race; a quick one leaves out what no target is about.
    pub only_full: bool,
}

const READ: Group = Group {
    name: "read",
    durable: false,
    only_full: false,
    processes: &[
        process(
            &[
                "load",
                "get",
                "get_chain",
                "get_all",
                "get_zipf",
                "get_zipf_all",
                "absent",
                "absent_all",
                "get_many",
                "scan",
                "close",
            ],
            &["load", "close"],
        ),
        process(&["open_closed", "mixed", "mixed_all", "mixed_zipf", "mixed_zipf_all"], &[]),
        process(&["open_closed"], &[]),
        Process { rows: &["open_closed", "die"], needed: &["open_closed", "die"], dies: true },
        process(&["open_killed"], &["open_killed"]),
    ],
};
const WRITE: Group = Group {
    name: "write",
    durable: false,
    only_full: false,
    processes: &[process(
        &["load", "overwrite", "close_overwritten", "delete"],
        &["load", "overwrite", "close_overwritten"],
    )],
};
const SYNC_1: Group = Group {
    name: "sync, 1 thread",
    durable: true,
    only_full: false,
    processes: &[process(&["sync_1"], &[])],
};
const SYNC_16: Group = Group {
    name: "sync, 16 threads",
    durable: true,
    only_full: false,
    processes: &[process(&["sync_16"], &[])],
};
const LATENCY: Group =
    Group { name: "latency", durable: false, only_full: false, processes: &[process(&["latency"], &[])] };
const BATCH: Group =
    Group { name: "batch", durable: false, only_full: true, processes: &[process(&["load_batch"], &[])] };
/// What is worth knowing about larger values.
const VALUES: Group = Group {
    name: "values",
    durable: false,
    only_full: false,
    processes: &[process(
        &["load", "get", "get_all", "get_zipf", "scan", "overwrite", "close_overwritten", "mixed_all"],
        &["load"],
    )],
};
const QUICK_VALUES: Group = Group {
    name: "values",
    durable: false,
    only_full: false,
    processes: &[process(&["load", "get", "get_all", "scan"], &["load"])],
};
/// What is worth knowing about data that are larger than the memory.
const LIMITED: Group = Group {
    name: "limited",
    durable: false,
    only_full: false,
    processes: &[process(&["load", "get", "get_zipf", "scan", "overwrite", "close_overwritten"], &["load"])],
};
/// The stores that race there.
const LIMITED_ENGINES: &[&str] = &[OURS, OURS_PREAD, "lmdb", "tkrzw", "leveldb", "rocksdb"];
/// What is worth knowing about stores that keep their keys in order.
const ORDERED_READ: Group = Group {
    name: "read",
    durable: false,
    only_full: false,
    processes: &[
        process(
            &[
                "load",
                "get",
                "get_all",
                "get_zipf",
                "get_zipf_all",
                "absent",
                "absent_all",
                "scan",
                "scan_backwards",
                "range_100",
                "close",
            ],
            &["load", "close"],
        ),
        process(&["open_closed"], &[]),
        Process { rows: &["open_closed", "die"], needed: &["open_closed", "die"], dies: true },
        process(&["open_killed"], &["open_killed"]),
    ],
};
const ORDERED_LOAD: Group = Group {
    name: "load in order",
    durable: false,
    only_full: false,
    processes: &[process(&["load_in_order"], &[])],
};
const ORDERED_WRITE: Group = Group {
    name: "write",
    durable: false,
    only_full: false,
    processes: &[process(
        &["load", "overwrite", "overwrite_twice", "close_overwritten_thrice"],
        &["load", "overwrite", "overwrite_twice"],
    )],
};
const ORDERED_LIMITED: Group = Group {
    name: "limited",
    durable: false,
    only_full: false,
    processes: &[process(&["load", "get", "get_zipf", "range_100"], &["load"])],
};
/// The stores that race there.
const ORDERED_ENGINES: &[&str] = &[OURS_ORDERED, "leveldb", "rocksdb", "fjall"];
const ORDERED_GROUPS: &[&Group] = &[&ORDERED_READ, &ORDERED_LOAD, &ORDERED_WRITE, &SYNC_1, &SYNC_16];
const ORDERED_LIMITED_GROUPS: &[&Group] = &[&ORDERED_LIMITED];
const LIMITED_GROUPS: &[&Group] = &[&LIMITED];
const SMALL_GROUPS: &[&Group] = &[&READ, &WRITE, &SYNC_1, &SYNC_16, &LATENCY, &BATCH];
const LARGE_GROUPS: &[&Group] = &[&VALUES];
const QUICK_LARGE_GROUPS: &[&Group] = &[&QUICK_VALUES];

/// What the floor can do.
const FLOOR_ROWS: &[&str] =
    &["load", "get", "get_chain", "get_all", "get_zipf", "get_zipf_all", "absent", "absent_all", "overwrite"];

/// How long and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Effort {
    pub repeats: u32,
    /// The longest that a row of reads measures, in seconds.
    pub seconds: f64,
    /// The longest that a load by single puts measures; the rest comes in batches, off the clock.
    pub load_seconds: f64,
    /// The most operations of a row of reads.
    pub operations: u64,
    pub is_quick: bool,
}

impl Effort {
    pub const FULL: Effort =
        Effort { repeats: 3, seconds: 3.0, load_seconds: 45.0, operations: 4 << 20, is_quick: false };
    pub const QUICK: Effort =
        Effort { repeats: 1, seconds: 0.3, load_seconds: 2.0, operations: 1 << 20, is_quick: true };
}

/// One store in one fresh directory.
pub struct Job {
    pub repeat: u32,
    pub shape: Shape,
    pub group: &'static Group,
    pub engine: &'static str,
    /// The rows of each process that are to run.
    pub processes: Vec<(&'static Process, Vec<&'static str>)>,
}

impl Job {
    /// Tells it from every other job of a race.
    pub fn id(&self) -> String {
        format!(
            "{} {}{}x{}/{} {} {}",
            self.repeat,
            if self.shape.is_ordered { "ordered " } else { "" },
            self.shape.keys,
            self.shape.value_size,
            self.shape.memory_bytes,
            self.group.name,
            self.engine
        )
    }

    /// A rough guess, which the orchestrator corrects as it goes.
    pub fn guessed_seconds(&self, effort: Effort) -> f64 {
        let micros = match self.engine {
            OURS | OURS_PREAD | FLOOR => 0.5,
            OURS_ORDERED => 2.0,
            "tkrzw" | "candystore" => 1.0,
            "lmdb" | "fjall" => 4.0,
            "leveldb" | "rocksdb" => 7.0,
            "sqlite" | "sled" => 14.0,
            _ => 30.0,
        } + self.shape.value_size as f64 / 500.0;
        let alone = self.shape.keys as f64 * micros / 1e6;
        let fill = alone.min(effort.load_seconds + alone * 0.3);
        let rows = self.processes.iter().flat_map(|(_, rows)| rows);
        rows.map(|row| match *row {
            "load" | "load_in_order" | "overwrite" | "latency" => fill + 2.5,
            "overwrite_twice" => fill * 2.0 + 2.5,
            "load_batch" => fill * 0.5,
            "delete" => fill,
            "close"
            | "close_overwritten"
            | "close_overwritten_thrice"
            | "open_closed"
            | "open_killed"
            | "die" => 0.3,
            _ => effort.seconds,
        })
        .sum()
    }
}

/// The shapes of a race. `keys` stands for the numbers of keys with small values.
pub fn shapes(keys: &[u64], is_quick: bool) -> Vec<Shape> {
    let free = |(keys, value_size)| Shape { keys, value_size, ..Shape::default() };
    let small = keys.iter().map(|&keys| free((keys, SMALL)));
    let large: [(u64, u64); 2] = if is_quick {
        [(20_000, 1 << 10), (1_000, 64 << 10)]
    } else {
        [(1_000_000, 1 << 10), (20_000, 64 << 10)]
    };
    let mut shapes: Vec<_> = small.chain(large.map(free)).chain(limited_shapes(is_quick)).collect();
    // The largest last, for the sake of a run that is cut off.
    shapes.sort_by_key(|shape| shape.keys * if shape.is_small() { 2 } else { 1 });
    shapes
}

/// Data that are 2 and 4 times as large as the memory.
pub fn limited_shapes(is_quick: bool) -> Vec<Shape> {
    let keys = if is_quick { 400_000 } else { 1_000_000 };
    let shape = Shape { keys, value_size: 500, ..Shape::default() };
    let limited = |times| Shape { memory_bytes: shape.live_bytes() / times, ..shape };
    vec![limited(2), limited(4)]
}

/// Where stores race that keep their keys in order: in memory, and with data that are four times as large.
pub fn ordered_shapes(keys: &[u64], is_quick: bool) -> Vec<Shape> {
    let shape = |keys| Shape { keys, value_size: SMALL, is_ordered: true, ..Shape::default() };
    let mut shapes: Vec<_> = keys.iter().map(|&keys| shape(keys)).collect();
    let limited = shape(if is_quick { 2_000_000 } else { 10_000_000 });
    shapes.push(Shape { memory_bytes: limited.live_bytes() / 4, ..limited });
    shapes
}

/// The jobs of a race in their order. `lines` are what is asked for: all when there are none.
pub fn jobs(shapes: &[Shape], engines: &[&'static str], lines: &[&'static Line], effort: Effort) -> Vec<Job> {
    let smallest = shapes.iter().find(|shape| shape.is_small()).copied();
    let mut jobs = Vec::new();
    for repeat in 0..effort.repeats {
        for &shape in shapes {
            let groups = match (shape.is_small(), effort.is_quick) {
                _ if shape.is_ordered && shape.memory_bytes > 0 => ORDERED_LIMITED_GROUPS,
                _ if shape.is_ordered => ORDERED_GROUPS,
                _ if shape.memory_bytes > 0 => LIMITED_GROUPS,
                (true, _) => SMALL_GROUPS,
                (false, true) => QUICK_LARGE_GROUPS,
                (false, false) => LARGE_GROUPS,
            };
            // A synced put takes as long whatever the number of keys.
            let groups = groups.iter().filter(|group| {
                !(group.durable && Some(shape) != smallest || group.only_full && effort.is_quick)
            });
            for (i, &group) in groups.enumerate() {
                for k in 0..engines.len() {
                    // Nobody always runs behind the same store.
                    let engine = engines[(k + i + repeat as usize) % engines.len()];
                    let races = match shape {
                        Shape { is_ordered: true, .. } => ORDERED_ENGINES.contains(&engine),
                        Shape { memory_bytes: 0, .. } => ![OURS_PREAD, OURS_ORDERED].contains(&engine),
                        _ => LIMITED_ENGINES.contains(&engine),
                    };
                    if races {
                        jobs.extend(job(repeat, shape, group, engine, lines));
                    }
                }
            }
        }
    }
    jobs
}

fn job(
    repeat: u32,
    shape: Shape,
    group: &'static Group,
    engine: &'static str,
    lines: &[&'static Line],
) -> Option<Job> {
    let is_asked_for = |row: &str| {
        let lines: Vec<_> = if lines.is_empty() { LINES.iter().collect() } else { lines.to_vec() };
        lines.iter().any(|line| {
            let own = match line.small {
                Some(crate::lines::Target::TimesOwn(own, _)) => Some(own),
                _ => line.peers_also,
            };
            line.row == row || own == Some(row)
        })
    };
    let can = |row: &str| engine != FLOOR || FLOOR_ROWS.contains(&row);
    let mut processes = Vec::new();
    let mut is_useful = false;
    // From the end: what a later process stands on is needed only when that one runs.
    for process in group.processes.iter().rev() {
        let asked: Vec<_> =
            process.rows.iter().copied().filter(|row| can(row) && is_asked_for(row)).collect();
        let stands_under = !processes.is_empty();
        is_useful |= !asked.is_empty();
        let is_base = stands_under && !process.needed.is_empty();
        if asked.is_empty() && !is_base {
            continue;
        }
        // What is needed comes with the rows behind it, and with the processes behind this one.
        let last = process.rows.iter().rposition(|row| asked.contains(row)).unwrap_or(0);
        let last = if stands_under { process.rows.len() } else { last };
        let rows = process.rows.iter().enumerate().filter(|(i, row)| {
            let is_base = *i < last && process.needed.contains(row) && can(row);
            is_base || asked.contains(row)
        });
        let rows = rows.map(|(_, row)| *row);
        processes.push((process, rows.collect()));
    }
    processes.reverse();
    // A death that nobody wants to see the end of.
    if processes.last().is_some_and(|(process, _): &(&Process, _)| process.dies) {
        processes.pop();
    }
    processes.retain(|(_, rows): &(_, Vec<_>)| !rows.is_empty());
    (is_useful && !processes.is_empty()).then_some(Job { repeat, shape, group, engine, processes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines;

    fn rows(only: &str, engine: &'static str, group: &'static Group) -> Vec<Vec<&'static str>> {
        let lines: Vec<_> = lines::find(only).into_iter().collect();
        let shape = Shape { keys: 1000, value_size: SMALL, ..Shape::default() };
        let job = job(0, shape, group, engine, &lines);
        job.map(|job| job.processes.into_iter().map(|(_, rows)| rows).collect()).unwrap_or_default()
    }

    #[test]
    fn a_single_row_brings_what_it_stands_on_and_no_more() {
        assert_eq!(rows("get", "lmdb", &READ), [vec!["load", "get"]]);
        assert_eq!(rows("load", "lmdb", &WRITE), [vec!["load"]]);
        assert_eq!(rows("get", "lmdb", &WRITE), Vec::<Vec<&str>>::new());
        assert_eq!(
            rows("open_killed", "lmdb", &READ),
            [vec!["load", "close"], vec!["open_closed", "die"], vec!["open_killed"]]
        );
        assert_eq!(
            rows("delete", "lmdb", &WRITE),
            [vec!["load", "overwrite", "close_overwritten", "delete"]]
        );
    }

    #[test]
    fn the_floor_does_only_what_it_can() {
        assert_eq!(rows("scan", FLOOR, &READ), Vec::<Vec<&str>>::new());
        assert_eq!(rows("overwrite", FLOOR, &WRITE), [vec!["load", "overwrite"]]);
    }
}
