//! Random histories: which operations, in which order, with which settings. A history depends on its seed only.

use std::time::Duration;

use filedb::disk::sim::{Random, Reserve, SimDisk};
use filedb::{EngineKind, IoMode, MergeMode, Options, PutOptions, SyncMode};

use super::history::{Op, PREFIXES, Reader, Value, Write};

/// What kind of histories a test wants.
#[derive(Clone, Copy)]
pub struct Profile {
    /// How many operations.
    pub ops: usize,
    /// How many different keys; fewer are overwritten more often.
    pub keys: u8,
    /// Whether the process may be killed.
    pub kills: bool,
    /// Whether there are reads: a test that reads everything after each step needs none.
    pub reads: bool,
    /// Whether somebody sets the wall clock.
    pub sets_clock: bool,
}

/// How the store of a history is opened, and what its disk is like.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub sync: SyncMode,
    pub io: IoMode,
    pub max_file_size: u64,
    pub merge: MergeMode,
    pub merge_space_amplification: f64,
    pub reserve: Reserve,
    pub is_mapped: bool,
    pub engine: EngineKind,
}

impl Settings {
    /// Small files, so that they rotate all the time.
    pub fn random(random: &mut Random) -> Self {
        Settings {
            sync: pick(random, &[SyncMode::None, SyncMode::None, SyncMode::Always, SyncMode::Interval]),
            io: IoMode::Pread,
            max_file_size: pick(random, &[400, 400, 400, 256, 1_000, 16 << 10]),
            merge: pick(random, &[MergeMode::Manual, MergeMode::Auto]),
            merge_space_amplification: pick(random, &[1.1, 1.5, 2.0]),
            reserve: pick(random, &[Reserve::Pages, Reserve::Exact, Reserve::Nothing]),
            is_mapped: random.one_in(2),
            engine: EngineKind::Auto,
        }
    }

    /// An empty simulated disk.
    pub fn disk(&self) -> SimDisk {
        let disk = SimDisk::new();
        disk.set_reserve(self.reserve);
        disk.set_mapped(self.is_mapped);
        disk
    }

    pub fn options(&self) -> Options {
        Options {
            sync: self.sync,
            io: self.io,
            max_file_size: self.max_file_size,
            merge: self.merge,
            merge_space_amplification: self.merge_space_amplification,
            engine: self.engine,
            // A memtable of 2 KiB, which is full all the time.
            lsm_memory: 16 << 10,
            ..Options::default()
        }
    }
}

/// A history, ready to run.
#[derive(Clone)]
pub struct Case {
    pub seed: u64,
    pub profile: Profile,
    pub settings: Settings,
    pub ops: Vec<Op>,
}

impl Case {
    pub fn random(seed: u64, profile: Profile) -> Case {
        let mut random = Random::new(seed);
        let settings = Settings::random(&mut random);
        Case { seed, profile, settings, ops: random_ops(&mut random, profile) }
    }

    /// The same for a machine whose clocks go on by themselves: no key expires while the history runs, other than at once.
    pub fn on_a_real_machine(mut self) -> Case {
        self.ops.retain(|op| !matches!(op, Op::Advance { .. } | Op::SetClock { .. }));
        let at_once_or_never = |ttl_ms: &mut u64| {
            if *ttl_ms < 3_600_000 {
                *ttl_ms = 0;
            }
        };
        let whole_or_none = |life: &mut Duration| {
            if life.as_secs() < 3_600 {
                *life = Duration::ZERO;
            }
        };
        for op in &mut self.ops {
            match op {
                Op::PutWith { how, .. } => how.ttl.iter_mut().for_each(whole_or_none),
                Op::Expire { ttl_ms, .. } => at_once_or_never(ttl_ms),
                Op::Batch { writes } => {
                    writes.iter_mut().filter_map(|it| it.ttl_ms.as_mut()).for_each(at_once_or_never);
                }
                _ => {}
            }
        }
        self
    }
}

pub fn random_ops(random: &mut Random, profile: Profile) -> Vec<Op> {
    let mut next_version = 0;
    (0..profile.ops).map(|_| random_op(random, profile, &mut next_version)).collect()
}

fn random_op(random: &mut Random, profile: Profile, next_version: &mut u32) -> Op {
    let mut value = |random: &mut Random| {
        *next_version += 1;
        Value { version: *next_version, len: random_len(random) }
    };
    let key = random.below(u64::from(profile.keys)) as u8;
    loop {
        let op = match random.below(120) {
            0..42 => Op::Put { key, value: value(random) },
            42..54 => Op::Delete { key },
            54..64 if profile.reads => Op::Get {
                key,
                reader: pick(random, &[Reader::Get, Reader::Read, Reader::Pinned, Reader::Many]),
            },
            64..67 if profile.reads => Op::Exists { key },
            67..69 if profile.reads => Op::List { prefix: random.below(PREFIXES.len() as u64) as usize },
            69..71 if profile.reads => Op::Count,
            71..77 => Op::Sync,
            77..80 => Op::Reopen,
            80..83 if profile.kills => Op::Kill,
            83..86 => Op::Maintain,
            86..88 => Op::Merge,
            88..94 => {
                let count = 1 + random.below(6);
                let write = |_| {
                    let key = random.below(u64::from(profile.keys)) as u8;
                    let value = (!random.one_in(4)).then(|| value(random));
                    let ttl_ms = (value.is_some() && random.one_in(4)).then(|| random_ttl(random));
                    Write { key, value, ttl_ms }
                };
                Op::Batch { writes: (0..count).map(write).collect() }
            }
            94..106 => Op::PutWith { key, value: value(random), how: random_how(random) },
            106..109 => Op::Expire { key, ttl_ms: random_ttl(random) },
            109..111 => Op::Persist { key },
            111..113 if profile.reads => Op::Ttl { key },
            113..118 => Op::Advance { ms: random_time(random) },
            118..120 if profile.sets_clock => {
                let by_ms = random_time(random).max(1_000) as i64;
                Op::SetClock { by_ms: if random.one_in(2) { by_ms } else { -by_ms } }
            }
            _ => continue,
        };
        return op;
    }
}

/// More to say about a put.
fn random_how(random: &mut Random) -> PutOptions {
    let mut how = PutOptions { sync: random.one_in(8), ..PutOptions::default() };
    match random.below(12) {
        0 | 1 => how.if_absent = true,
        2 | 3 => how.if_present = true,
        _ => {}
    }
    match random.below(8) {
        0 | 1 => how.keep_ttl = true,
        2 => {}
        _ => how.ttl = Some(Duration::from_millis(random_ttl(random))),
    }
    how
}

/// Most are over before the history is.
fn random_ttl(random: &mut Random) -> u64 {
    match random.below(12) {
        0 => 0,
        1 => 1 + random.below(5),
        2..9 => 1 + random.below(10_000),
        9 => 3_600_000,
        10 => DAY,
        _ => pick(random, &[u64::MAX, u64::MAX - 1_700_000_000_000, 1 << 40, 1 << 41, 1 << 56]),
    }
}

/// Mostly seconds; now and then more than the 40 bits of a frame can say.
fn random_time(random: &mut Random) -> u64 {
    match random.below(24) {
        0..4 => random.below(8),
        4..20 => random.below(5_000),
        20..22 => DAY + random.below(DAY),
        22 => 3_600_000,
        _ => pick(random, &[1 << 40, 50 * 365 * DAY]),
    }
}

const DAY: u64 = 24 * 3_600_000;

/// Empty, small, some of the size of a file, and now and then one of more than a page.
fn random_len(random: &mut Random) -> u32 {
    let len = match random.below(20) {
        0..2 => 0,
        2..5 => random.below(8),
        5..13 => random.below(80),
        13..19 => random.below(420),
        _ => 5_000 + random.below(240),
    };
    len as u32
}

pub fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}
