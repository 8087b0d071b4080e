//! Reads a run that may be damaged, and says which of its blocks are intact.
//!
//! Each block has a checksum that begins with the run's salt and the block's place: one that matches is what was written there. Where the
//! index or the footer is damaged, blocks are found one behind the other, because the entries of one say where it ends.

use std::ops::Range;

use crate::bitcask::inspect::{Content, Opened, Survey, Told, open};
use crate::format::features::Refusal;
use crate::format::ordered::RunEntry;
use crate::format::run::block::{Block, Ending, What};
use crate::format::run::{FOOTER_SIZE, Footer, HEADER_SIZE, Header, IndexShape, checksum, filter, seed};
use crate::format::{Damage, FileId};
use crate::lsm::key;
use crate::store::error::Result;
use crate::store::findings::Severity;
use crate::store::memory;

/// No block is larger: an entry has a key, a value, and little besides.
const LARGEST_BLOCK: u64 = (1 << 30) + (1 << 20);
/// Where no index says where a block ends, so much is read at first.
const GUESSED_BLOCK: u64 = 16 << 10;

/// Keys of which a newer version may have been in a block that is damaged.
pub struct Hole {
    /// The first key and the last; `None` where that is not known.
    pub first: Option<Vec<u8>>,
    pub last: Option<Vec<u8>>,
}

impl Hole {
    /// Whether a version of this key may have been there.
    pub fn may_hold(&self, key: &[u8]) -> bool {
        self.first.as_ref().is_none_or(|first| first.as_slice() <= key)
            && self.last.as_ref().is_none_or(|last| key <= last.as_slice())
    }
}

/// A run, as far as it can be read.
pub struct FoundRun {
    pub name: String,
    pub id: FileId,
    pub salt: u32,
    pub level: u32,
    /// Sequence numbers are counted from here.
    pub base: u64,
    pub max_seq: u64,
    /// Where its intact blocks stand, in their order.
    pub blocks: Vec<Range<u64>>,
    pub first_key: Vec<u8>,
    pub last_key: Vec<u8>,
    pub holes: Vec<Hole>,
    /// What is to be told of it: it does not change any more.
    findings: Vec<Found>,
    /// Whether something that takes a key away may be among what is lost.
    pub may_miss_tombstones: bool,
}

/// Something to be told of a run.
struct Found {
    severity: Severity,
    range: Range<u64>,
    key: Option<Vec<u8>>,
    message: String,
}

impl FoundRun {
    /// Notes what was found, to be told later.
    pub fn pend(&self, survey: &mut Survey<'_, '_>) -> Result<()> {
        for found in &self.findings {
            survey.ledger.pend(found.severity, &self.name, found.range.clone(), found.message.clone());
            let key = found.key.as_deref().map(memory::copy_of).transpose()?;
            if let Some(pending) = survey.ledger.pending.last_mut() {
                (pending.key, pending.is_final) = (key, true);
            }
        }
        Ok(())
    }
}

/// What the intact blocks hold.
#[derive(Default)]
struct Counted {
    entries: u64,
    keys: u64,
    tombstones: u64,
    expiring: u64,
    /// Of sequence numbers, counted from the base.
    least: Option<u64>,
    most: u64,
    hashes: Vec<u64>,
    first_key: Vec<u8>,
    /// The last key, and its sequence number.
    last: Option<(Vec<u8>, u64)>,
}

/// Looks at a run that the manifest lists with this line, or that no manifest lists. `None` where nothing can be read of it.
pub fn look(
    survey: &mut Survey<'_, '_>,
    name: &str,
    entry: Option<RunEntry>,
    store_id: &mut Option<[u8; 16]>,
) -> Told<Option<FoundRun>> {
    memory::room_for_small_things()?;
    let lost = |survey: &mut Survey<'_, '_>, why: &str| {
        let length = entry.map_or(0, |entry| entry.length);
        let message = format!(
            "{why}; what was in this run, up to {length} bytes, is lost, and older values of its keys may come back"
        );
        survey.ledger.pend(Severity::DataLost, name, 0..length, message);
        Ok(None)
    };
    let mut content = match open(survey.disk, name)? {
        Opened::File(content) => content,
        Opened::Missing => return lost(survey, "the run is missing"),
        Opened::Lost(why) => return lost(survey, &why),
    };
    let size = content.size();
    survey.telling.will_read(size);
    let length = entry.map_or(size, |entry| entry.length);
    let mut found = Finder { survey, content: &mut content, salt: 0, base: 0, findings: Vec::new() };
    if size < length {
        found.tell(
            size..length,
            format!("the file has {size} bytes, and the manifest says that it has {length}"),
        );
    } else if size > length && !found.survey.disk.is_volatile() {
        let message = format!("{} bytes stand behind the end that the manifest gives", size - length);
        found.tell(length..size, format!("{message}; the store does not open with them"));
    }
    let end = size.min(length);
    let header = match found.header(entry.as_ref(), *store_id)? {
        Ok(header) => header,
        Err(why) => return lost(found.survey, why),
    };
    if store_id.get_or_insert(header.store_id) != &header.store_id {
        let message = "it belongs to another store".into();
        found.survey.ledger.pend(Severity::SpaceLost, name, 0..0, message);
        return Ok(None);
    }
    (found.salt, found.base) = (header.salt, header.base);
    let footer = found.footer(header.id, entry.as_ref(), length)?;
    let mut counted = Counted::default();
    let mut run = FoundRun {
        name: name.into(),
        id: header.id,
        salt: header.salt,
        level: entry.map_or(0, |entry| entry.level),
        base: header.base,
        max_seq: entry.map_or(u64::MAX, |entry| entry.max_seq),
        blocks: Vec::new(),
        first_key: Vec::new(),
        last_key: Vec::new(),
        holes: Vec::new(),
        may_miss_tombstones: false,
        findings: Vec::new(),
    };
    let index = found.index(footer.as_ref())?;
    match (&index, &footer) {
        (Some((shape, bytes)), Some(footer)) => {
            found.blocks_of_index(shape, bytes, footer, &mut run, &mut counted)?;
        }
        _ => {
            let blocks_end = footer.as_ref().map_or(end, |footer| footer.filter_at);
            found.blocks_in_line(blocks_end, footer.is_some(), &mut run, &mut counted)?;
        }
    }
    found.filter(footer.as_ref(), &run, &counted)?;
    found.numbers(footer.as_ref(), entry.as_ref(), &mut run, &counted);
    // What has expired takes a key away too.
    run.may_miss_tombstones = footer
        .as_ref()
        .is_none_or(|footer| footer.tombstones > counted.tombstones || footer.expiring > counted.expiring);
    run.first_key = counted.first_key;
    run.last_key = counted.last.map(|(key, _)| key).unwrap_or_default();
    run.findings = found.findings;
    survey.ledger.records += counted.entries;
    survey.ledger.bytes += end;
    survey.telling.passed(content.bytes_read);
    Ok(Some(run))
}

struct Finder<'a, 's, 't> {
    survey: &'a mut Survey<'s, 't>,
    content: &'a mut Content,
    salt: u32,
    base: u64,
    findings: Vec<Found>,
}

impl Finder<'_, '_, '_> {
    /// Notes damage with which no key is lost.
    fn tell(&mut self, range: Range<u64>, message: String) {
        self.findings.push(Found { severity: Severity::SpaceLost, range, key: None, message });
    }

    fn lose(&mut self, range: Range<u64>, key: Option<Vec<u8>>, message: String) {
        let key = key.filter(|key| key::is_users(key)).map(|mut key| {
            key.remove(0);
            key
        });
        self.findings.push(Found { severity: Severity::DataLost, range, key, message });
    }

    /// The header, or what it must have been.
    fn header(
        &mut self,
        entry: Option<&RunEntry>,
        store_id: Option<[u8; 16]>,
    ) -> Told<std::result::Result<Header, Damage>> {
        let bytes = self.content.get(0, HEADER_SIZE as u64)?;
        let Some(mut bytes) = bytes.first_chunk::<HEADER_SIZE>().copied() else {
            return Ok(Err("it is too short"));
        };
        let what = match Header::decode(&bytes) {
            Ok(header) => {
                let is_it = entry.is_none_or(|entry| (header.id, header.salt) == (entry.id, entry.salt))
                    && store_id.is_none_or(|id| header.store_id == id || entry.is_none());
                return Ok(if is_it {
                    Ok(header)
                } else {
                    Err("the run is another one than the manifest names")
                });
            }
            Err(Refusal::Damaged(what)) => what,
            // What is intact is not read as if it were something else.
            Err(Refusal::OtherVersion(_)) => {
                return Ok(Err("the run was written by a newer version of filedb"));
            }
            Err(Refusal::NoMemory(refused)) => return Err(refused.into()),
        };
        let (Some(entry), Some(store_id)) = (entry, store_id) else { return Ok(Err(what)) };
        // All but the base is known. Whether that is right the numbers of the entries say later.
        let known = Header { id: entry.id, salt: entry.salt, store_id, base: 0 }.encode();
        let base = Header::base_of(&bytes);
        bytes.copy_from_slice(&known);
        let message =
            format!("{what}; the store does not open, but the manifest knows enough of the run to read it");
        self.tell(0..HEADER_SIZE as u64, message);
        Ok(Ok(Header { id: entry.id, salt: entry.salt, store_id, base }))
    }

    fn footer(&mut self, id: FileId, entry: Option<&RunEntry>, length: u64) -> Told<Option<Footer>> {
        let Some(at) = length.checked_sub(FOOTER_SIZE as u64) else { return Ok(None) };
        let bytes = self.content.get(at, FOOTER_SIZE as u64)?.first_chunk::<FOOTER_SIZE>().copied();
        let footer = bytes.ok_or("the run ends before its footer");
        let footer = footer.and_then(|bytes| Footer::decode(&bytes, self.salt, at)).and_then(|footer| {
            let is_it = footer.id == id
                && entry
                    .is_none_or(|entry| (footer.min_seq, footer.max_seq) == (entry.min_seq, entry.max_seq));
            if is_it { Ok(footer) } else { Err("the run's footer is that of another run") }
        });
        match footer {
            Ok(footer) => Ok(Some(footer)),
            Err(what) => {
                self.tell(at..length, format!("{what}; the store does not open"));
                Ok(None)
            }
        }
    }

    fn is_part_intact(&mut self, range: &Range<u64>) -> Told<bool> {
        let Some(end) = range.end.checked_sub(4).filter(|end| *end >= range.start) else { return Ok(false) };
        let mut hasher = crc32fast::Hasher::new_with_initial(seed(self.salt, range.start));
        if !self.content.hash(&mut hasher, range.start..end)? {
            return Ok(false);
        }
        let stored = self.content.get(end, 4)?.first_chunk::<4>().copied();
        Ok(stored == Some(hasher.finalize().to_le_bytes()))
    }

    fn index(&mut self, footer: Option<&Footer>) -> Told<Option<(IndexShape, Vec<u8>)>> {
        let Some(footer) = footer else { return Ok(None) };
        let range = footer.index_at..footer.footer_at;
        let what = if self.is_part_intact(&range)? {
            let bytes = self.content.copy(range.start..range.end - 4)?;
            match IndexShape::find(&bytes, footer.filter_at) {
                Ok(shape) => return Ok(Some((shape, bytes))),
                Err(what) => what,
            }
        } else {
            "the checksum of the run's index does not match"
        };
        self.tell(range, format!("{what}; the store does not open"));
        Ok(None)
    }

    /// Looks at the blocks that the index names.
    fn blocks_of_index(
        &mut self,
        shape: &IndexShape,
        index: &[u8],
        footer: &Footer,
        run: &mut FoundRun,
        counted: &mut Counted,
    ) -> Told<()> {
        let mut read = self.content.bytes_read;
        for n in 0..shape.blocks {
            let (from, last) =
                (shape.offset(index, n).unwrap_or(0), shape.last_key(index, n).unwrap_or_default());
            let to = shape.offset(index, n + 1).unwrap_or(footer.filter_at);
            let before = n.checked_sub(1).and_then(|n| shape.last_key(index, n));
            let first = before.or(index.get(shape.first_key.clone())).unwrap_or_default();
            let looked = if to - from > LARGEST_BLOCK {
                Err("a block is too long")
            } else {
                let bytes = self.content.copy(from..to)?;
                self.take(&bytes, from, first, Some(last), counted)?
            };
            match looked {
                Ok(()) => memory::push(&mut run.blocks, from..to)?,
                Err(what) => {
                    let what = if self.content.is_unreadable(&(from..to)) {
                        "the disk cannot read it"
                    } else {
                        what
                    };
                    let message = format!(
                        "{what}; what a block had is lost: values of keys up to the one that is named"
                    );
                    self.lose(from..to, Some(memory::copy_of(last)?), message);
                    let hole =
                        Hole { first: Some(memory::copy_of(first)?), last: Some(memory::copy_of(last)?) };
                    memory::push(&mut run.holes, hole)?;
                }
            }
            if self.content.bytes_read > read + (8 << 20) {
                self.survey.telling.passed(0);
                read = self.content.bytes_read;
            }
        }
        Ok(())
    }

    /// Finds blocks one behind the other, up to `end` or to the first that is damaged.
    fn blocks_in_line(
        &mut self,
        end: u64,
        is_exact: bool,
        run: &mut FoundRun,
        counted: &mut Counted,
    ) -> Told<()> {
        let mut at = HEADER_SIZE as u64;
        while at < end {
            let mut guess = GUESSED_BLOCK;
            let block = loop {
                let mut bytes = self.content.copy(at..end.min(at.saturating_add(guess)))?;
                match Block::find_end(&bytes, seed(self.salt, at)) {
                    Ending::At(len) => {
                        bytes.truncate(len);
                        break Some(bytes);
                    }
                    Ending::Behind if bytes.len() as u64 == guess && guess < LARGEST_BLOCK => {
                        guess = guess.saturating_mul(4).min(LARGEST_BLOCK);
                    }
                    Ending::Behind | Ending::Nowhere => break None,
                }
            };
            let Some(block) = block else { break };
            let first = memory::copy_of(counted.last.as_ref().map_or(&[][..], |(key, _)| key))?;
            if self.take(&block, at, &first, None, counted)?.is_err() {
                break;
            }
            let behind = at + block.len() as u64;
            memory::push(&mut run.blocks, at..behind)?;
            at = behind;
        }
        let is_all = at == end && is_exact || {
            // The filter behind them has a size that follows from the number of keys.
            let filter = at..at + filter::size(counted.keys as usize) as u64 + 4;
            !is_exact && counted.keys > 0 && self.is_part_intact(&filter)?
        };
        if !is_all {
            let message = "blocks from here on are damaged, or cannot be found without the index; what is in them is lost";
            self.lose(at..end, None, message.into());
            let first = counted.last.as_ref().map(|(key, _)| memory::copy_of(key)).transpose()?;
            memory::push(&mut run.holes, Hole { first, last: None })?;
        }
        Ok(())
    }

    /// Takes a block that is intact, whose keys are not before `first` and end with `last`.
    fn take(
        &mut self,
        bytes: &[u8],
        at: u64,
        first: &[u8],
        last: Option<&[u8]>,
        counted: &mut Counted,
    ) -> Told<std::result::Result<(), Damage>> {
        let block = match Block::parse(bytes, Some(seed(self.salt, at)), 0) {
            Ok(block) => block,
            Err(what) => return Ok(Err(what)),
        };
        let (mut place, mut key) = (0, Vec::new());
        let before = counted.last.take();
        let mut newest = before.clone();
        let mut entries = Vec::new();
        loop {
            let entry = match block.entry(place, &mut key) {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(Refusal::NoMemory(refused)) => return Err(refused.into()),
                Err(_) => {
                    counted.last = before;
                    return Ok(Err("a block cannot be read"));
                }
            };
            let is_next = newest.as_ref().is_none_or(|(other, seq)| {
                (other, std::cmp::Reverse(*seq)) < (&key, std::cmp::Reverse(entry.meta.seq))
            });
            if !is_next || key.as_slice() < first {
                counted.last = before;
                return Ok(Err("the keys of a block are out of order"));
            }
            let is_new = newest.as_ref().is_none_or(|(other, _)| *other != key);
            memory::push(
                &mut entries,
                (entry.meta, is_new.then(|| self.survey.ledger.about.hasher.hash(&key))),
            )?;
            if counted.entries == 0 && entries.len() == 1 {
                counted.first_key = memory::copy_of(&key)?;
            }
            newest = Some((memory::copy_of(&key)?, entry.meta.seq));
            place = entry.next;
        }
        if last.is_some_and(|last| last != key) {
            counted.last = before;
            return Ok(Err("a block ends with another key than the index says"));
        }
        counted.last = newest;
        for (meta, hash) in entries {
            counted.entries += 1;
            counted.tombstones += u64::from(meta.what == What::Nothing);
            counted.expiring += u64::from(meta.expiry_ms.is_some());
            counted.least = Some(counted.least.map_or(meta.seq, |least| least.min(meta.seq)));
            counted.most = counted.most.max(meta.seq);
            if let Some(hash) = hash {
                counted.keys += 1;
                memory::push(&mut counted.hashes, key::filter_hash(&hash))?;
            }
        }
        Ok(Ok(()))
    }

    /// Compares the filter with the keys.
    fn filter(&mut self, footer: Option<&Footer>, run: &FoundRun, counted: &Counted) -> Told<()> {
        let Some(footer) = footer else { return Ok(()) };
        let range = footer.filter_at..footer.index_at;
        if !self.is_part_intact(&range)? {
            self.tell(
                range,
                "the checksum of the run's filter does not match; the store does not open".into(),
            );
            return Ok(());
        }
        if self.survey.manifest.is_none() || !run.holes.is_empty() {
            return Ok(());
        }
        let bits = self.content.copy(range.start..range.end - 4)?;
        if counted.hashes.iter().any(|hash| !filter::may_hold(&bits, *hash)) {
            self.lose(
                range,
                None,
                "the filter denies a key that the run has, so reads do not find it".into(),
            );
        }
        Ok(())
    }

    /// Compares the numbers of the entries with those of the footer and of the manifest.
    fn numbers(
        &mut self,
        footer: Option<&Footer>,
        entry: Option<&RunEntry>,
        run: &mut FoundRun,
        counted: &Counted,
    ) {
        let listed =
            footer.map(|footer| (footer.min_seq, footer.max_seq)).or(entry.map(|e| (e.min_seq, e.max_seq)));
        let (Some((min, max)), Some(least)) = (listed, counted.least) else { return };
        run.max_seq = run.max_seq.min(max);
        if counted.most - least == max - min.min(max) {
            // Both ends are there: so that is where the numbers are counted from, whatever the header says.
            let base = min.wrapping_sub(least);
            if base != self.base && self.findings.is_empty() {
                self.lose(
                    0..HEADER_SIZE as u64,
                    None,
                    "the numbers of the entries do not fit the manifest".into(),
                );
            }
            run.base = base;
        }
        if let Some(footer) = footer
            && run.holes.is_empty()
            && (footer.entries, footer.keys, footer.tombstones)
                != (counted.entries, counted.keys, counted.tombstones)
        {
            let message = format!(
                "the footer says that the run has {} entries of {} keys, and it has {} of {}",
                footer.entries, footer.keys, counted.entries, counted.keys
            );
            self.lose(footer.footer_at..footer.footer_at + FOOTER_SIZE as u64, None, message);
        }
    }
}

/// Reads an intact block again.
pub fn read_block(content: &mut Content, run: &FoundRun, n: usize, buffer: &mut Vec<u8>) -> Result<bool> {
    let Some(range) = run.blocks.get(n) else { return Ok(false) };
    *buffer = content.copy(range.clone())?;
    let (body, crc) = match buffer.split_last_chunk::<4>() {
        Some(parts) => parts,
        None => return Ok(false),
    };
    Ok(checksum(seed(run.salt, range.start), body) == u32::from_le_bytes(*crc))
}
