//! What the findings mean: where the log ends, what is a torn tail and what damage, and what is lost with it.
//!
//! The rules are those of an opening (`lifecycle/tails.rs` and `lifecycle/sequence.rs`), which would refuse the store or cut the
//! tail off. Here nothing is cut, and everything is told.

use std::collections::{HashMap, HashSet};

use super::content::Content;
use super::files;
use super::keys::{FoundList, Holds};
use super::survey::{Place, Survey};
use super::telling::Told;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Header, Kind, MAX_HEADER_SIZE};
use crate::format::manifest::Manifest;
use crate::index::KeyHash;
use crate::log::Position;
use crate::store::findings::Severity;

impl Survey<'_, '_> {
    /// Tells torn tails from damage in the files that were not sealed, which are in the order of the log.
    pub fn judge(&mut self, manifest: &Manifest, open: &[usize]) -> Told<()> {
        let frontier = self.files.iter().map(|file| file.frontier).max().unwrap_or(0);
        let frontier = Position(open.iter().map(|n| self.files[*n].frontier).fold(frontier, u64::max));
        let in_use = self.disk.is_locked_by_a_writer();
        for &n in open {
            let file = &self.files[n];
            let (id, end, name) = (file.entry.id, file.end, file.name.clone());
            let is_before = Position::new(id, end) < frontier;
            let damage = file.damage.clone();
            if end < file.entry.length || (is_before && damage.is_some()) {
                if damage.is_none() {
                    let message = "the log ends before what was durable";
                    self.lose(&name, end..file.entry.length.max(end), message);
                }
                self.look_behind(n)?;
            } else if frontier.file() == id && is_before {
                self.lose(&name, end..frontier.offset(), "the log ends before what was durable");
            } else if let Some((range, what)) = damage
                && !in_use
            {
                let message = match file.frames_behind {
                    0 => format!(
                        "the log ends here with a write that is not complete ({what}), as a crash leaves it; it was promised to nobody, and the next opening cuts it off"
                    ),
                    frames => format!(
                        "the log ends here ({what}), as a power cut leaves it; {frames} frames behind it were promised to nobody, and the next opening cuts them off"
                    ),
                };
                self.pend(Severity::Note, &name, range, message);
            }
        }
        self.judge_sequence(manifest, open, frontier);
        Ok(())
    }

    /// Whether numbers are missing between the open files.
    fn judge_sequence(&mut self, manifest: &Manifest, open: &[usize], frontier: Position) {
        let mut last: Option<(u64, usize)> = None;
        let mut broken: Option<(usize, u64)> = None;
        for &n in open {
            let file = &self.files[n];
            let (first, its_last) = file.seqs;
            if first == 0 {
                broken = broken.filter(|(_, end)| *end == FILE_HEADER_SIZE).or(Some((n, file.end)));
                continue;
            }
            let is_next = match last {
                Some((last, _)) => last.checked_add(1) == Some(first),
                None => first <= manifest.last_seq.saturating_add(1),
            };
            if !is_next && file.entry.follows {
                let (at, end) = broken.unwrap_or((n, FILE_HEADER_SIZE));
                let name = self.files[at].name.clone();
                if frontier.file() >= file.entry.id {
                    self.lose(
                        &name,
                        end..end,
                        "the log ends here, and goes on with a later record in the next file",
                    );
                } else {
                    let message =
                        "records are missing here that a power cut took; they were promised to nobody";
                    self.pend(Severity::Note, &name, end..end, message.into());
                }
            }
            last = Some((its_last, n));
            broken = Some((n, self.files[n].end));
        }
        if let Some((_, n)) = last.filter(|(last, _)| *last < manifest.last_seq) {
            let (name, end) = (self.files[n].name.clone(), self.files[n].end);
            self.lose(&name, end..end, "the log ends before what was durable when the manifest was written");
        }
    }

    /// Notes that what stood at a place is gone, where nothing says what that was.
    fn lose(&mut self, file: &str, range: std::ops::Range<u64>, message: &str) {
        self.pend(Severity::DataLost, file, range, message.into());
        if let Some(last) = self.pending.last_mut() {
            last.keys_lost = 1;
        }
    }

    /// Looks whether each list has its elements.
    pub fn look_at_lists(&mut self) -> Told<()> {
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
            let name = self.files[n].name.clone();
            self.pend(Severity::DataLost, &name, offset..offset, message);
            if let Some(last) = self.pending.last_mut() {
                last.key = key;
            }
        }
        Ok(())
    }

    /// The lists, each with those of its elements that are there.
    pub fn lists(&mut self) -> Told<Vec<FoundList>> {
        let mut lists: Vec<FoundList> = self.keys.lists().collect();
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
            let name = self.files[n].name.clone();
            self.lose(&name, offset..offset, "the head of a list names the elements of another list");
        }
        let by_id: HashMap<u64, usize> =
            lists.iter().enumerate().map(|(n, list)| (list.head.id, n)).collect();
        for (id, position, version) in self.keys.elements() {
            if let Some(list) = by_id.get(&id).and_then(|n| lists.get_mut(*n))
                && (list.head.first..list.head.end).contains(&position)
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
        let Some(mut content) = files::open(self.disk, &self.files[n].name.clone())? else { return Ok(None) };
        Ok(read_key(&mut content, &self.files[n].origin, offset)?)
    }

    /// Tells everything that was found.
    pub fn tell_all(&mut self) -> Told<()> {
        self.telling.report.keys = self.keys.count();
        let files: HashSet<_> = self.files.iter().map(|file| (file.entry.id, file.entry.salt)).collect();
        self.telling.report.files = files.len() as u64;
        for pending in std::mem::take(&mut self.pending) {
            self.telling.report.keys_lost += pending.keys_lost;
            let (severity, range, key) = (pending.severity, pending.range, pending.key.as_deref());
            self.telling.tell(severity, &pending.file, range, key, pending.message)?;
        }
        self.places.sort_by_key(|place| (place.file, place.range.start));
        for place in std::mem::take(&mut self.places) {
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
        let hash = place.key.as_ref().map(|key| self.hasher.hash(key));
        let lost = self.lost_with(place, hash);
        self.telling.report.keys_lost += lost;
        let severity = if lost > 0 { Severity::DataLost } else { Severity::SpaceLost };
        let is_known = place.is_known || self.is_compared;
        let what = place.what;
        let older = hash.and_then(|hash| self.keys.get(&hash)).is_some_and(|version| {
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
        let name = self.files[place.file].name.clone();
        // What the checkpoint has another hash for is damaged itself.
        let is_true = !self.is_compared || place.alive == 0 || place.is_key_sure;
        let key = place.key.as_deref().filter(|_| is_true);
        self.telling.tell(severity, &name, place.range.clone(), key, message)
    }

    /// How many keys lose their newest version with a place: as far as that is known, or one.
    fn lost_with(&self, place: &Place, hash: Option<KeyHash>) -> u64 {
        if self.is_compared {
            return place.alive;
        }
        if place.is_known {
            let is_newest = |entry: &&crate::format::hint::HintEntry| {
                let (root, word, fingerprint) = entry.hash;
                let known = self.keys.get(&KeyHash { root, word, fingerprint });
                let has_expired = entry.expiry_ms.is_some_and(|expiry_ms| expiry_ms <= self.now_ms);
                !entry.tombstone && !has_expired && known.is_none_or(|version| version.seq < entry.seq)
            };
            return place.known.iter().filter(is_newest).count() as u64;
        }
        let Some(header) = place.header else { return 1 };
        if header.kind == Kind::Mark {
            return 0;
        }
        let newer =
            hash.and_then(|hash| self.keys.get(&hash)).is_some_and(|version| version.seq > header.seq);
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
