//! Goes through the intact blocks of all runs, key by key.

use super::super::ranges::Ranges;
use super::found::{FoundRun, read_block};
use crate::bitcask::inspect::{Content, Survey, Told, open};
use crate::format::features::Refusal;
use crate::format::run::block::{Block, Meta};
use crate::store::error::Result;
use crate::store::findings::Severity;
use crate::store::memory;

/// The newest intact version of a key.
#[derive(Clone)]
pub struct Row {
    pub key: Vec<u8>,
    pub meta: Meta,
    pub value: Vec<u8>,
    /// A newer delete of a range has it in it.
    pub is_deleted: bool,
    /// What took the key away may be among what is damaged.
    pub is_doubtful: bool,
}

impl Row {
    /// Whether it is what the key has, as far as can be known.
    pub fn counts(&self) -> bool {
        !self.is_deleted && !self.is_doubtful
    }
}

/// Runs that lie one behind the other.
struct Chain<'a> {
    runs: Vec<&'a FoundRun>,
    run: usize,
    block: usize,
    content: Option<Content>,
    buffer: Vec<u8>,
    at: usize,
    key: Vec<u8>,
    /// The entry where it is: what it says, and its value in the buffer.
    entry: Option<(Meta, std::ops::Range<usize>)>,
}

/// See the module.
pub struct Merged<'a> {
    runs: &'a [FoundRun],
    chains: Vec<Chain<'a>>,
    ranges: Ranges,
    has_begun: bool,
}

impl<'a> Merged<'a> {
    /// Before the first key.
    pub fn new(runs: &'a [FoundRun], ranges: Ranges) -> Result<Self> {
        let mut sorted = memory::collect(runs.iter().filter(|run| !run.blocks.is_empty()))?;
        sorted.sort_by(|a, b| a.first_key.cmp(&b.first_key));
        let mut chains: Vec<Chain<'a>> = Vec::new();
        for run in sorted {
            let ends_before =
                |chain: &&mut Chain<'a>| chain.runs.last().is_some_and(|last| last.last_key < run.first_key);
            match chains.iter_mut().find(ends_before) {
                Some(chain) => memory::push(&mut chain.runs, run)?,
                None => memory::push(&mut chains, Chain::new(memory::collect([run])?))?,
            }
        }
        Ok(Merged { runs, chains, ranges, has_begun: false })
    }

    /// The next key, with its newest version.
    pub fn next_row(&mut self, survey: &mut Survey<'_, '_>) -> Told<Option<Row>> {
        if !std::mem::replace(&mut self.has_begun, true) {
            for chain in &mut self.chains {
                chain.load(survey)?;
            }
        }
        let first =
            self.chains.iter().filter(|chain| chain.entry.is_some()).map(|chain| chain.key.as_slice()).min();
        let Some(key) = first else { return Ok(None) };
        let key = memory::copy_of(key)?;
        let mut newest: Option<(Meta, Vec<u8>)> = None;
        let mut level = 0;
        for chain in &mut self.chains {
            while let Some((meta, value)) = chain.entry.clone().filter(|_| chain.key == key) {
                if newest.as_ref().is_none_or(|(other, _)| other.seq < meta.seq) {
                    level = chain.runs.get(chain.run).map_or(0, |run| run.level);
                    newest = Some((meta, memory::copy_of(chain.buffer.get(value).unwrap_or_default())?));
                }
                chain.advance(survey)?;
            }
        }
        let Some((meta, value)) = newest else { return Ok(None) };
        let is_deleted = self.ranges.covering(&key, u64::MAX) > meta.seq;
        let is_doubtful = self.runs.iter().any(|run| {
            // What is on a lower level is older.
            let may_be_newer = run.level <= level && run.max_seq > meta.seq;
            run.may_miss_tombstones && may_be_newer && run.holes.iter().any(|hole| hole.may_hold(&key))
        });
        Ok(Some(Row { key, meta, value, is_deleted, is_doubtful }))
    }
}

impl<'a> Chain<'a> {
    fn new(runs: Vec<&'a FoundRun>) -> Self {
        Chain {
            runs,
            run: 0,
            block: 0,
            content: None,
            buffer: Vec::new(),
            at: 0,
            key: Vec::new(),
            entry: None,
        }
    }

    /// Reads the block where it is, or the next that can be read, and goes to its first entry.
    fn load(&mut self, survey: &mut Survey<'_, '_>) -> Told<()> {
        self.entry = None;
        while let Some(run) = self.runs.get(self.run) {
            if self.block >= run.blocks.len() {
                (self.run, self.block, self.content) = (self.run + 1, 0, None);
                continue;
            }
            if self.content.is_none() {
                self.content = open(survey.disk, &run.name)?.file();
            }
            let is_read = match &mut self.content {
                Some(content) => read_block(content, run, self.block, &mut self.buffer)?,
                None => false,
            };
            if is_read {
                (self.at, self.entry) = (0, None);
                self.key.clear();
                self.decode()?;
                if self.entry.is_some() {
                    return Ok(());
                }
            } else {
                let range = run.blocks.get(self.block).cloned().unwrap_or(0..0);
                let what = "a block was intact and is not any more: somebody changes the run, or the disk reads it differently each time";
                if survey.saves {
                    survey.telling.report.keys_lost += 1;
                    survey.telling.tell(Severity::DataLost, &run.name, range, None, what)?;
                } else {
                    survey.ledger.pend(Severity::DataLost, &run.name, range, what.into());
                }
            }
            self.block += 1;
        }
        Ok(())
    }

    fn decode(&mut self) -> Result<()> {
        self.entry = None;
        let base = self.runs.get(self.run).map_or(0, |run| run.base);
        // Its checksum was compared.
        let Ok(block) = Block::parse(&self.buffer, None, base) else { return Ok(()) };
        match block.entry(self.at, &mut self.key) {
            Ok(Some(entry)) => {
                self.at = entry.next;
                self.entry = Some((entry.meta, entry.value));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(Refusal::NoMemory(refused)) => Err(refused.into()),
            Err(_) => Ok(()),
        }
    }

    fn advance(&mut self, survey: &mut Survey<'_, '_>) -> Told<()> {
        self.decode()?;
        if self.entry.is_none() {
            self.block += 1;
            self.load(survey)?;
        }
        Ok(())
    }
}
