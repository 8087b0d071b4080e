//! The bytes of one simulated file: what processes see, what the disk holds, and the changes between the two.
//!
//! The bytes are shared between images until one of them changes, so that an image costs a few pointers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::power::{PowerCut, Random};

/// What becomes of the dirty pages when a sync fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedSync {
    /// The pages stay dirty: the next sync writes them.
    KeepsPages,
    /// The pages are marked clean without having been written, and processes go on reading them from the cache, until the machine restarts.
    /// The next sync succeeds and writes nothing. This is what Linux does.
    LosesPages,
    /// The pages are dropped from the cache too: processes read the old bytes, or zeros, at once.
    DropsPages,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    Resize { size: u64 },
}

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    live: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    /// The changes since the last sync that the next one would make durable, oldest first.
    unsynced: Vec<Change>,
}

impl Content {
    /// A file that holds these bytes, all of them durable.
    pub fn durable(bytes: Vec<u8>) -> Self {
        let bytes = Arc::new(bytes);
        Content { live: bytes.clone(), durable: bytes, unsynced: Vec::new() }
    }

    pub fn live(&self) -> &[u8] {
        &self.live
    }

    pub fn size(&self) -> u64 {
        self.live.len() as u64
    }

    pub fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    pub fn write(&mut self, bytes: &[u8], offset: u64) {
        if !bytes.is_empty() {
            self.change(Change::Write { offset, bytes: bytes.into() });
        }
    }

    pub fn resize(&mut self, size: u64) {
        if size != self.size() {
            self.change(Change::Resize { size });
        }
    }

    fn change(&mut self, change: Change) {
        apply(&change, Arc::make_mut(&mut self.live));
        self.unsynced.push(change);
    }

    /// Makes durable what is dirty; what an earlier failed sync lost is not dirty any more.
    pub fn sync(&mut self) {
        if self.unsynced.is_empty() {
            return;
        }
        let durable = Arc::make_mut(&mut self.durable);
        for change in self.unsynced.drain(..) {
            apply(&change, durable);
        }
        if *self.durable == *self.live {
            self.durable = self.live.clone();
        }
    }

    /// A sync that fails. The size is metadata and goes the journal's way: it stays to be written later.
    pub fn fail_sync(&mut self, what: FailedSync) {
        if what == FailedSync::KeepsPages {
            return;
        }
        self.unsynced = vec![Change::Resize { size: self.size() }];
        if what == FailedSync::DropsPages {
            let size = self.live.len();
            self.live = self.durable.clone();
            Arc::make_mut(&mut self.live).resize(size, 0);
        }
    }

    /// What is read after the power came back.
    pub fn after_power_cut(&self, random: &mut Random, policy: PowerCut) -> Vec<u8> {
        match policy.fate(random) {
            PowerCut::LosesAll => self.durable.to_vec(),
            PowerCut::KeepsAll | PowerCut::KeepsData => self.with_changes(self.unsynced.len()),
            PowerCut::KeepsNames => {
                let mut bytes = self.durable.to_vec();
                bytes.resize(self.live.len(), 0);
                bytes
            }
            PowerCut::Torn(unit) => self.torn(random, unit),
            PowerCut::Scattered(unit) => self.scattered(random, unit),
            PowerCut::NewestFirst(unit) => self.newest_first(random, unit),
            PowerCut::Mixed => unreachable!("a fate is never mixed"),
        }
    }

    fn with_changes(&self, count: usize) -> Vec<u8> {
        let mut bytes = self.durable.to_vec();
        for change in &self.unsynced[..count] {
            apply(change, &mut bytes);
        }
        bytes
    }

    fn torn(&self, random: &mut Random, unit: u64) -> Vec<u8> {
        let whole = random.below(self.unsynced.len() as u64 + 1) as usize;
        let mut bytes = self.with_changes(whole);
        if let Some(Change::Write { offset, bytes: written }) = self.unsynced.get(whole) {
            let end = offset + written.len() as u64;
            // A cut falls on a unit of the disk, not of the write; the units are `first..=last`.
            let (first, last) = (offset / unit, end.div_ceil(unit) - 1);
            let kept_units = random.below(last - first + 1);
            if kept_units > 0 {
                let kept = ((first + kept_units) * unit - offset) as usize;
                apply(&Change::Write { offset: *offset, bytes: written[..kept].into() }, &mut bytes);
            }
            // The size is written apart from the data, and may be ahead of it.
            if random.one_in(2) && bytes.len() < end as usize {
                bytes.resize(end as usize, 0);
            }
        }
        bytes
    }

    fn scattered(&self, random: &mut Random, unit: u64) -> Vec<u8> {
        let touched = self.touched(unit);
        // The version of each unit: 0 is the durable one, n the one after the n-th change.
        let chosen: BTreeMap<u64, usize> = touched
            .into_iter()
            .map(|(index, versions)| {
                let n = random.below(versions.len() as u64 + 1) as usize;
                // The newest version and the oldest are by far the likeliest on a real machine.
                let n = match random.below(4) {
                    0 => 0,
                    1 => versions.len(),
                    _ => n,
                };
                (index, if n == 0 { 0 } else { versions[n - 1] })
            })
            .collect();
        let sizes = self.sizes();
        let size = match random.below(3) {
            0 => self.size(),
            1 => self.durable.len() as u64,
            _ => sizes[random.below(sizes.len() as u64) as usize],
        };
        self.assemble(unit, &chosen, size)
    }

    fn newest_first(&self, random: &mut Random, unit: u64) -> Vec<u8> {
        let first = random.below(self.unsynced.len() as u64 + 1) as usize;
        let chosen = self
            .touched(unit)
            .into_iter()
            .map(|(index, versions)| {
                let newest = versions.last().copied().unwrap_or(0);
                (index, if newest > first { newest } else { 0 })
            })
            .collect();
        self.assemble(unit, &chosen, self.size())
    }

    /// For each unit that was changed, the numbers (from 1) of the changes that touched it.
    fn touched(&self, unit: u64) -> BTreeMap<u64, Vec<usize>> {
        let mut touched: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut size = self.durable.len() as u64;
        for (change, number) in self.unsynced.iter().zip(1..) {
            let (start, end) = match change {
                Change::Write { offset, bytes } => (*offset, offset + bytes.len() as u64),
                // Growing shows zeros where nothing was; only cutting changes bytes.
                Change::Resize { size: new } => (*new, size),
            };
            size = size_after(size, change);
            for index in start / unit..end.div_ceil(unit) {
                touched.entry(index).or_default().push(number);
            }
        }
        touched
    }

    /// Every size that the file had since the last sync.
    fn sizes(&self) -> Vec<u64> {
        let mut sizes = vec![self.durable.len() as u64];
        for change in &self.unsynced {
            sizes.push(size_after(sizes[sizes.len() - 1], change));
        }
        sizes
    }

    /// The file in which each unit has the chosen version.
    fn assemble(&self, unit: u64, chosen: &BTreeMap<u64, usize>, size: u64) -> Vec<u8> {
        let longest = self.sizes().into_iter().max().unwrap_or(0) as usize;
        let mut bytes = self.durable.to_vec();
        bytes.resize(longest, 0);
        let mut running = self.durable.to_vec();
        for (change, number) in self.unsynced.iter().zip(1..) {
            apply(change, &mut running);
            for (index, version) in chosen {
                if *version == number {
                    let start = ((index * unit) as usize).min(longest);
                    let end = (((index + 1) * unit) as usize).min(longest);
                    bytes[start..end].fill(0);
                    if let Some(there) = running.get(start..end.min(running.len())) {
                        bytes[start..start + there.len()].copy_from_slice(there);
                    }
                }
            }
        }
        bytes.resize(size as usize, 0);
        bytes
    }
}

fn apply(change: &Change, content: &mut Vec<u8>) {
    match change {
        Change::Write { offset, bytes } => {
            let start = *offset as usize;
            let end = start + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[start..end].copy_from_slice(bytes);
        }
        Change::Resize { size } => content.resize(*size as usize, 0),
    }
}

fn size_after(size: u64, change: &Change) -> u64 {
    match change {
        Change::Write { offset, bytes } => size.max(offset + bytes.len() as u64),
        Change::Resize { size } => *size,
    }
}
