//! What the findings mean: where the log ends, what is a torn tail and what damage, and what is lost with it.
//!
//! The rules are those of an opening, which would refuse the store or cut the tail off, and are asked of the same functions
//! (`log/recovery/`). Here nothing is cut, and everything is told.

use std::collections::{HashMap, HashSet};

use super::content::Content;
use super::files;
use super::keys::{FoundList, Holds, Version};
use super::ledger::{Looked, Place};
use super::survey::Survey;
use super::telling::Told;
use crate::format::frame::{Header, Kind, MAX_HEADER_SIZE};
use crate::format::manifest::{FileState, Manifest};
use crate::format::{Damage, FileId, names};
use crate::index::KeyHash;
use crate::log::Position;
use crate::log::opening::active::LAST_SEQ;
use crate::log::recovery::ends_at_gap;
use crate::log::recovery::sequence::{self, Break, Walked};
use crate::log::recovery::tails::damage_of;
use crate::store::findings::Severity;
use crate::store::memory;

/// What an opening has to know of an open file.
fn walked(file: &Looked) -> Walked {
    let damage = file.damage.as_ref().map(|(range, what)| (range.start, *what));
    Walked { entry: file.entry, seqs: file.seqs, end: file.end, damage }
}

impl Survey<'_, '_> {
    /// Tells torn tails from damage in the files that were not sealed, which are in the order of the log. Gives the file before which an
    /// opening would end the log, where there is one and that has not been done yet: what is told then is nothing.
    pub fn judge(&mut self, manifest: &Manifest, open: &[usize]) -> Told<Option<FileId>> {
        memory::room_for_small_things()?;
        let files = &self.ledger.files;
        let frontier = Position(files.iter().map(|file| file.frontier).max().unwrap_or(0));
        let walked: Vec<Walked> = open.iter().filter_map(|n| files.get(*n)).map(walked).collect();
        let (sequence, breaks) = sequence::compare(manifest, &walked, frontier);
        if manifest.clean {
            // Its files were compared with the lengths that the manifest gives, and every damaged place is told.
            if self.ledger.places.is_empty() && self.ledger.pending.is_empty() {
                self.tell_breaks(open, &breaks);
            }
            return Ok(None);
        }
        let mut tails = Vec::with_capacity(walked.len());
        for file in &walked {
            // Where there are zeros up to its end, a walk that inspects has found no damage.
            tails.push(damage_of(file, frontier, |_| Ok(false))?);
        }
        let in_use = self.disk.is_locked_by_a_writer();
        let opens = tails.iter().all(Option::is_none)
            && breaks.iter().all(|place| place.before.is_some())
            && manifest.files.iter().all(|entry| {
                let is_it = |file: &Looked| (file.entry.id, file.entry.salt) == (entry.id, entry.salt);
                files.iter().any(is_it)
            });
        let is_judged = open.iter().filter_map(|n| files.get(*n)).any(|file| self.is_lost(&file.entry));
        if let Some(gap) = sequence.gaps.first()
            && ends_at_gap(manifest)
            && opens
            && !in_use
            && !is_judged
        {
            return Ok(Some(*gap));
        }
        self.tell_breaks(open, &breaks);
        for (&n, tail) in open.iter().zip(tails) {
            self.tell_tail(n, tail, frontier, in_use)?;
        }
        Ok(None)
    }

    /// Tells how the log ends in an open file.
    fn tell_tail(
        &mut self,
        n: usize,
        tail: Option<(u64, Damage)>,
        frontier: Position,
        in_use: bool,
    ) -> Told<()> {
        let file = &self.ledger.files[n];
        let (end, name, damage) = (file.end, file.name.clone(), file.damage.clone());
        if let Some((offset, what)) = tail {
            if damage.is_none() {
                let durable = if frontier.file() == file.entry.id { frontier.offset() } else { 0 };
                let behind = file.entry.length.max(durable).max(offset);
                self.ledger.lose(&name, offset..behind, what);
            }
            return self.look_behind(n, true);
        }
        let Some((range, what)) = damage else { return Ok(()) };
        if !in_use {
            let message = match file.frames_behind {
                0 => format!(
                    "the log ends here with a write that is not complete ({what}), as a crash leaves it; it was promised to nobody, and the next opening cuts it off"
                ),
                frames => format!(
                    "the log ends here ({what}), as a power cut leaves it; {frames} frames behind it were promised to nobody, and the next opening cuts them off"
                ),
            };
            self.ledger.pend(Severity::Note, &name, range.start.max(end)..range.end, message);
        }
        // A list whose newest head is among them may have lost elements: it is better as it was before.
        if self.saves && !self.ledger.about.has_collections { self.look_behind(n, false) } else { Ok(()) }
    }

    /// Tells where numbers are missing between the open files.
    fn tell_breaks(&mut self, open: &[usize], breaks: &[Break]) {
        for place in breaks {
            let Some(n) = open.get(place.at.0) else { continue };
            let (name, end) = (self.ledger.files[*n].name.clone(), place.at.1);
            match place.before {
                None => self.ledger.lose(&name, end..end, place.what),
                Some(_) => {
                    let message =
                        "records are missing here that a power cut took; they were promised to nobody";
                    self.ledger.pend(Severity::Note, &name, end..end, message.into());
                }
            }
        }
    }

    /// Compares the sequence numbers of records with those that the manifest says a file has, which an opening goes by.
    pub fn look_at_numbers(&mut self) {
        let mut found = Vec::new();
        for file in self.ledger.files.iter().filter(|_| self.manifest.is_some()) {
            let ((first, last), listed) = (file.records, (file.entry.min_seq, file.entry.max_seq));
            let is_sealed = file.entry.state == FileState::Sealed;
            if is_sealed && first != 0 && (first < listed.0 || last > listed.1) {
                let message = format!(
                    "it holds records of the numbers {first} to {last}, and the manifest says {} to {}: an opening may take an older \
                     value of a key for the newest",
                    listed.0, listed.1
                );
                found.push((file.name.clone(), message));
            }
        }
        for (name, message) in found {
            self.ledger.pend(Severity::DataLost, &name, 0..0, message);
        }
        let counted = self.manifest.as_ref().map_or(0, |manifest| manifest.last_seq);
        let last = self.ledger.files.iter().map(|file| file.seqs.1).fold(counted, u64::max);
        if last.saturating_add(1) >= LAST_SEQ {
            let message =
                format!("a record has the number {last}, which no store comes to; the store does not open");
            self.ledger.pend(Severity::DataLost, names::MANIFEST, 0..0, message);
        }
    }

    /// Looks whether each list has its elements.
    pub fn look_at_lists(&mut self) -> Told<()> {
        memory::room_for_small_things()?;
        for list in self.lists()? {
            if list.missing() == 0 {
                continue;
            }
            let (n, offset) = list.version.place();
            let message = format!(
                "the head of a list names {} elements, of which {} are not there",
                list.head.length(),
                list.missing()
            );
            let key = self.key_at(n, offset)?;
            let name = self.ledger.files[n].name.clone();
            self.ledger.pend(Severity::DataLost, &name, offset..offset, message);
            if let Some(last) = self.ledger.pending.last_mut() {
                last.key = key;
            }
        }
        Ok(())
    }

    /// The lists, each with those of its elements that are there.
    pub fn lists(&mut self) -> Told<Vec<FoundList>> {
        let mut lists: Vec<FoundList> = self.ledger.keys.lists().collect();
        // Of two heads with one number, which no store has, the newer has the elements.
        lists.sort_by_key(|list| (list.head.id, std::cmp::Reverse(list.version.seq)));
        let mut others = Vec::new();
        lists.dedup_by(|list, before| {
            let is_other = list.head.id == before.head.id;
            if is_other {
                others.push(list.version.place());
            }
            is_other
        });
        if let Some((n, offset)) = others.first().copied() {
            let name = self.ledger.files[n].name.clone();
            self.ledger.lose(&name, offset..offset, "the head of a list names the elements of another list");
        }
        let by_id: HashMap<u64, usize> =
            lists.iter().enumerate().map(|(n, list)| (list.head.id, n)).collect();
        for (id, position, version) in self.ledger.keys.elements() {
            if let Some(list) = by_id.get(&id).and_then(|n| lists.get_mut(*n))
                && (list.head.first..list.head.end).contains(&position)
                && self.ledger.keys.is_current(id, position, version.seq)
            {
                list.elements
                    .try_reserve(1)
                    .map_err(|_| crate::store::error::Error::NoMemory { bytes: 24 })?;
                list.elements.push((position, version));
            }
        }
        for list in &mut lists {
            list.elements.sort_unstable_by_key(|(position, _)| *position);
        }
        Ok(lists)
    }

    /// The key of the intact record at a place.
    fn key_at(&mut self, n: usize, offset: u64) -> Told<Option<Vec<u8>>> {
        let name = self.ledger.files[n].name.clone();
        let Some(mut content) = files::open(self.disk, &name)?.file() else { return Ok(None) };
        Ok(read_key(&mut content, &self.ledger.files[n].origin, offset)?)
    }

    /// How many keys have their newest version in the log, and are there: without those that a delete of a range took.
    pub fn count_keys(&mut self) -> Told<u64> {
        if self.ledger.ranges.is_empty() {
            return Ok(self.ledger.keys.count());
        }
        let is_there = |version: &Version| matches!(version.holds(), Holds::Value | Holds::Head);
        let mut versions: Vec<Version> = memory::collect(self.ledger.keys.all().filter(is_there))?;
        versions.sort_unstable_by_key(Version::place);
        let (mut count, mut open): (u64, Option<(usize, Content)>) = (0, None);
        for version in versions {
            let (n, offset) = version.place();
            if open.as_ref().is_none_or(|(held, _)| *held != n) {
                let name = self.ledger.files[n].name.clone();
                open = files::open(self.disk, &name)?.file().map(|content| (n, content));
            }
            let Some((_, content)) = &mut open else { continue };
            let key = read_key(content, &self.ledger.files[n].origin, offset)?.unwrap_or_default();
            count += u64::from(!self.is_in_range(&key, version.seq));
        }
        Ok(count)
    }

    /// Tells everything that was found.
    pub fn tell_all(&mut self) -> Told<()> {
        let report = &mut self.telling.report;
        report.keys = self.ledger.key_count.unwrap_or_else(|| self.ledger.keys.count());
        (report.records, report.bytes) = (self.ledger.records, self.ledger.bytes);
        let files: HashSet<_> =
            self.ledger.files.iter().map(|file| (file.entry.id, file.entry.salt)).collect();
        self.telling.report.files = files.len() as u64 + self.ledger.runs;
        for pending in std::mem::take(&mut self.ledger.pending) {
            self.telling.report.keys_lost += u64::from(pending.severity == Severity::DataLost);
            let (severity, range, key) = (pending.severity, pending.range, pending.key.as_deref());
            self.telling.tell(severity, &pending.file, range, key, pending.message)?;
        }
        self.ledger.places.sort_by_key(|place| (place.file, place.range.start));
        for place in std::mem::take(&mut self.ledger.places) {
            self.tell_place(&place)?;
        }
        if !self.disk.is_locked_by_a_writer() {
            for (name, what) in self.debris() {
                self.telling.tell(Severity::Note, &name, 0..0, None, what)?;
            }
        }
        Ok(())
    }

    /// Tells what is lost with a damaged place.
    fn tell_place(&mut self, place: &Place) -> Told<()> {
        memory::room_for_small_things()?;
        let hash = place.key.as_ref().map(|key| self.ledger.about.hasher.hash(key));
        let lost = self.lost_with(place, hash);
        self.telling.report.keys_lost += lost;
        let severity = if lost > 0 { Severity::DataLost } else { Severity::SpaceLost };
        let is_known = place.is_known || self.ledger.is_compared;
        let what = place.what;
        let older = hash.and_then(|hash| self.ledger.keys.get(&hash)).is_some_and(|version| {
            matches!(version.holds(), Holds::Value | Holds::Head)
                && place.header.is_some_and(|header| version.seq < header.seq)
        });
        let message = match (lost, place.header.map(|header| header.kind)) {
            (0, _) => format!("{what}; nothing that counts was there"),
            (1, Some(Kind::Put | Kind::Head)) if older => {
                format!("{what}; the newest value of this key is lost, an older one is intact")
            }
            (1, Some(Kind::Put | Kind::Head)) => format!("{what}; the value of this key is lost"),
            (1, Some(Kind::Tombstone)) => {
                format!("{what}; the removal of this key is lost, so that an older value may come back")
            }
            (1, Some(Kind::Element)) => format!("{what}; an element of a list is lost"),
            (_, Some(Kind::Batch)) => format!("{what}; all writes of a batch are lost"),
            (lost, _) if is_known => format!("{what}; the newest values of {lost} keys are lost"),
            _ => format!("{what}; what stood there is not known"),
        };
        let name = self.ledger.files[place.file].name.clone();
        // What the checkpoint has another hash for is damaged itself.
        let is_true = !self.ledger.is_compared || place.alive == 0 || place.is_key_sure;
        let key = place.key.as_deref().filter(|_| is_true);
        self.telling.tell(severity, &name, place.range.clone(), key, message)
    }

    /// How many keys lose their newest version with a place: as far as that is known, or one.
    fn lost_with(&self, place: &Place, hash: Option<KeyHash>) -> u64 {
        if self.ledger.is_compared {
            return place.alive;
        }
        // What is in runs counts here no more.
        let entry = &self.ledger.files[place.file].entry;
        let last = match place.header {
            Some(header) if header.kind != Kind::Batch => header.seq,
            _ if entry.state == FileState::Sealed && self.manifest.is_some() => entry.max_seq,
            _ => u64::MAX,
        };
        if self.ledger.about.flushed.is_some_and(|flushed| last <= flushed) {
            return 0;
        }
        if place.is_known {
            let is_newest = |entry: &&crate::format::hint::HintEntry| {
                let (root, word, fingerprint) = entry.hash;
                let known = self.ledger.keys.get(&KeyHash { root, word, fingerprint });
                let has_expired =
                    entry.expiry_ms.is_some_and(|expiry_ms| expiry_ms <= self.ledger.about.now_ms);
                !entry.tombstone && !has_expired && known.is_none_or(|version| version.seq < entry.seq)
            };
            return place.known.iter().filter(is_newest).count() as u64;
        }
        let Some(header) = place.header else { return 1 };
        if header.kind == Kind::Mark {
            return 0;
        }
        let newer =
            hash.and_then(|hash| self.ledger.keys.get(&hash)).is_some_and(|version| version.seq > header.seq);
        u64::from(!newer)
    }
}

/// The key of the record at an offset.
pub fn read_key(
    content: &mut Content,
    origin: &crate::format::frame::Origin,
    offset: u64,
) -> crate::store::error::Result<Option<Vec<u8>>> {
    let Ok(header) = Header::decode(content.get(offset, MAX_HEADER_SIZE as u64)?, origin) else {
        return Ok(None);
    };
    let at = offset + header.key_range().start as u64;
    Ok(Some(content.get(at, u64::from(header.key_len))?.to_vec()))
}
