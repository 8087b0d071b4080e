//! What was found in the files of a store: the newest versions of keys, damaged places, and what is to be told. It reads no directory,
//! and can be thrown away and begun anew.

use std::collections::HashSet;
use std::ops::Range;

use super::content::Content;
use super::files;
use super::keys::{Holds, Keys, Version};
use super::telling::Told;
use super::walk::{Numbers, Step, Walk};
use crate::disk::Disk;
use crate::format::collection::ListHead;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Header, Kind, Origin};
use crate::format::hint::HintEntry;
use crate::format::manifest::{FileEntry, FileState};
use crate::format::names;
use crate::format::ordered::RangeDelete;
use crate::format::{ALIGNMENT, Damage};
use crate::index::{KeyHash, KeyHasher};
use crate::store::findings::Severity;
use crate::store::memory;

/// How many damaged places are held until it is known what is lost with them; others are taken to have lost one key each.
const PLACES_HELD: usize = 1 << 16;
/// Keys of damaged records are held up to this length.
const KEY_HELD: usize = 1024;
/// How many records that a hint knows of are held for a damaged place.
pub const KNOWN_HELD: usize = 1024;
/// How many ranges of records in doubt are held of a file; what comes behind them is taken for a part of the last.
const DOUBTS_HELD: usize = 4096;
/// How many ranges of records in doubt are told by themselves.
const DOUBTS_TOLD: usize = 64;

/// A data file that is looked at.
pub struct Looked {
    /// The name of the file in the directory.
    pub name: String,
    /// What its frames are told relative to.
    pub origin: Origin,
    /// The manifest's line for it, or what is taken for one where there is no manifest.
    pub entry: FileEntry,
    /// Intact frames end here: of an open file the log.
    pub end: u64,
    /// Where and why the log in it ends before the file does.
    pub damage: Option<(Range<u64>, Damage)>,
    /// Intact frames behind the end of the log.
    pub frames_behind: u64,
    /// The first and the last number in it up to its end; zeros where there is none.
    pub seqs: (u64, u64),
    /// As above, of records alone.
    pub records: (u64, u64),
    /// The largest durable frontier that a frame carries.
    pub frontier: u64,
    /// Where records stand that may belong to a batch that is damaged.
    pub doubts: Vec<Range<u64>>,
}

impl Looked {
    pub fn new(name: String, origin: Origin, entry: FileEntry) -> Self {
        Looked {
            name,
            origin,
            entry,
            end: FILE_HEADER_SIZE,
            damage: None,
            frames_behind: 0,
            seqs: (0, 0),
            records: (0, 0),
            frontier: 0,
            doubts: Vec::new(),
        }
    }
}

/// A damaged place in a data file that counts.
pub struct Place {
    /// The file, in the order of those that were looked at.
    pub file: usize,
    pub range: Range<u64>,
    pub what: Damage,
    /// What stands there, where its header fits to what is around it.
    pub header: Option<Header>,
    /// The key that stands there then.
    pub key: Option<Vec<u8>>,
    /// Records that a hint says were there.
    pub known: Vec<HintEntry>,
    /// Whether the hint knows of all.
    pub is_known: bool,
    /// Keys whose newest versions the checkpoint says are there.
    pub alive: u64,
    /// Whether `key` is what was there, and not damaged itself.
    pub is_key_sure: bool,
}

/// Something to be told once it is certain that the store was not changed meanwhile.
pub struct Pending {
    pub severity: Severity,
    pub file: String,
    pub range: Range<u64>,
    pub key: Option<Vec<u8>>,
    pub message: String,
    /// The finding is about a file that does not change any more, and stays when the others are looked at again.
    pub is_final: bool,
}

/// What a ledger has to know of the store.
#[derive(Clone)]
pub struct About {
    /// The hash of its keys.
    pub hasher: KeyHasher,
    /// The store's time: what expires before has expired.
    pub now_ms: u64,
    /// Whether there is a manifest, and whether that says that there may be collections.
    pub is_listed: bool,
    pub has_collections: bool,
    /// In a store of the ordered engine: records up to this number are in runs, and count no more here.
    pub flushed: Option<u64>,
}

/// See the module.
pub struct Ledger {
    pub about: About,
    pub files: Vec<Looked>,
    pub keys: Keys,
    pub places: Vec<Place>,
    pub pending: Vec<Pending>,
    /// What was noted of a file once.
    noted: HashSet<(String, String)>,
    /// Whether the store holds batches.
    pub has_batches: bool,
    pub max_time_ms: u64,
    /// Whether the checkpoint says what is alive.
    pub is_compared: bool,
    /// Intact records, and bytes that were looked at.
    pub records: u64,
    pub bytes: u64,
    /// In a store of the ordered engine: deletes of ranges that the log has; how many runs were looked at, and how many keys there are.
    pub ranges: Vec<RangeDelete>,
    pub runs: u64,
    pub key_count: Option<u64>,
}

fn include(seqs: &mut (u64, u64), seq: u64) {
    *seqs = (if seqs.0 == 0 { seq } else { seqs.0.min(seq) }, seqs.1.max(seq));
}

impl Ledger {
    /// An empty one.
    pub fn new(about: About) -> Self {
        Ledger {
            // Pushes are batches.
            has_batches: about.is_listed && about.has_collections,
            about,
            files: Vec::new(),
            keys: Keys::default(),
            places: Vec::new(),
            pending: Vec::new(),
            noted: HashSet::new(),
            max_time_ms: 0,
            is_compared: false,
            records: 0,
            bytes: 0,
            ranges: Vec::new(),
            runs: 0,
            key_count: None,
        }
    }

    /// What was found in files that do not change any more stays; the others are looked at again.
    pub fn keep_sealed(&mut self) {
        self.pending.retain(|pending| pending.is_final);
        self.noted.clear();
        let files = &self.files;
        self.places.retain(|place| files[place.file].entry.state == FileState::Sealed);
    }

    /// What a walk has to know of a file.
    pub fn walked(&self, n: usize) -> (crate::format::FileId, Origin, Numbers) {
        let file = &self.files[n];
        let numbers = match file.entry.state {
            _ if !self.about.is_listed => Numbers::Any,
            FileState::Sealed => Numbers::Between(file.entry.min_seq, file.entry.max_seq),
            FileState::Open => Numbers::Log,
        };
        (file.entry.id, file.origin, numbers)
    }

    /// Notes something that is told later.
    pub fn pend(&mut self, severity: Severity, file: &str, range: Range<u64>, message: String) {
        self.pending.push(Pending {
            severity,
            file: file.to_string(),
            range,
            key: None,
            message,
            is_final: false,
        });
    }

    /// Notes a thing that stands in a file many times, if it does at all, for its first time.
    fn pend_once(&mut self, n: usize, range: Range<u64>, message: &str) {
        let name = self.files[n].name.clone();
        if self.noted.insert((name.clone(), message.to_string())) {
            self.pend(Severity::DataLost, &name, range, message.into());
        }
    }

    /// Notes what is wrong with the hint of a file, once.
    pub fn pend_hint(&mut self, n: usize, message: &str) {
        let name = names::hint(self.files[n].entry.id);
        if self.noted.insert((name.clone(), message.to_string())) {
            self.pend(Severity::DataLost, &name, 0..0, message.into());
        }
    }

    /// Notes that what stood at a place is gone, where nothing says what that was.
    pub fn lose(&mut self, file: &str, range: Range<u64>, message: &str) {
        self.pend(Severity::DataLost, file, range, message.into());
    }

    /// Notes an intact frame.
    pub fn note_frame(&mut self, n: usize, header: &Header) {
        let file = &mut self.files[n];
        self.has_batches |= header.kind == Kind::Batch;
        self.max_time_ms = self.max_time_ms.max(header.time_ms);
        file.frontier = file.frontier.max(header.frontier.unwrap_or(0));
        if header.kind != Kind::Batch {
            include(&mut file.seqs, header.seq);
        }
        if header.kind.is_record() {
            include(&mut file.records, header.seq);
        }
    }

    /// Takes an intact record; one that is in doubt later, if at all.
    pub fn note_record(
        &mut self,
        n: usize,
        (offset, header): (u64, &Header),
        in_doubt: bool,
        content: &mut Content,
    ) -> Told<()> {
        self.records += 1;
        if in_doubt {
            let end = offset + header.frame_size();
            let doubts = &mut self.files[n].doubts;
            let is_full = doubts.len() >= DOUBTS_HELD;
            match doubts.last_mut() {
                Some(last) if last.end == offset || is_full => last.end = end,
                _ => doubts.push(offset..end),
            }
            return Ok(());
        }
        self.take_record(n, (offset, header), content)
    }

    fn take_record(&mut self, n: usize, (offset, header): (u64, &Header), content: &mut Content) -> Told<()> {
        let key_range = header.key_range();
        let range = offset..offset + header.frame_size();
        match (self.about.flushed, header.kind) {
            (Some(flushed), _) if header.seq <= flushed => return Ok(()),
            (Some(_), Kind::Range) => {
                let value = header.value_range();
                let bounds = content.get(offset + value.start, value.end - value.start)?;
                match crate::format::ordered::decode_bounds(bounds) {
                    Ok((from, to)) => {
                        let (from, to) = (memory::copy_of(from)?, memory::copy_of(to)?);
                        memory::push(&mut self.ranges, RangeDelete { id: 0, seq: header.seq, from, to })?;
                    }
                    Err(what) => self.pend_once(n, range, what),
                }
                return Ok(());
            }
            (None, Kind::Range | Kind::Gone) => {
                self.pend_once(n, range, "there is a record of another engine; the store does not open");
                return Ok(());
            }
            _ => {}
        }
        if matches!(header.kind, Kind::Head | Kind::Element) && !self.about.has_collections {
            let message = "there is a collection, and the manifest does not say so; the store does not open";
            self.pend_once(n, range.clone(), message);
        }
        let has_expired = header.expiry_ms.is_some_and(|expiry_ms| expiry_ms <= self.about.now_ms);
        let head = if header.kind == Kind::Head {
            let value = header.value_range();
            ListHead::decode(content.get(offset + value.start, value.end - value.start)?).ok()
        } else {
            None
        };
        let key = content.get(offset + key_range.start as u64, u64::from(header.key_len))?;
        if matches!(header.kind, Kind::Element | Kind::Gone) {
            let holds = if header.kind == Kind::Gone { Holds::Nothing } else { Holds::Value };
            match key.try_into() {
                Ok(key) => self.keys.put_element(key, Version::new(header.seq, n, offset, holds))?,
                Err(_) => {
                    let message = "an element of a collection has a key that no element has";
                    self.pend_once(n, range, message);
                }
            }
            return Ok(());
        }
        let hash = self.about.hasher.hash(key);
        let holds = match header.kind {
            Kind::Tombstone => Holds::Nothing,
            _ if has_expired => Holds::Expired,
            Kind::Head => Holds::Head,
            _ => Holds::Value,
        };
        if header.kind == Kind::Head && head.is_none() {
            let message = "the head of a collection is of no known type, or has an empty range";
            self.pend_once(n, range, message);
            return Ok(());
        }
        if let Some(head) = head {
            self.keys.put_head(&hash, header.seq, head)?;
        }
        Ok(self.keys.put(&hash, Version::new(header.seq, n, offset, holds))?)
    }

    /// Takes the records that are in doubt where the store holds no batches.
    pub fn take_doubts(&mut self, disk: &dyn Disk) -> Told<()> {
        for n in 0..self.files.len() {
            let doubts = std::mem::take(&mut self.files[n].doubts);
            if doubts.is_empty() {
                continue;
            }
            let name = self.files[n].name.clone();
            if self.has_batches {
                self.tell_doubts(&name, doubts);
                continue;
            }
            let Some(mut content) = files::open(disk, &name)?.file() else { continue };
            for range in doubts {
                let mut walk = Walk::new(&mut content, self.walked(n), range);
                while let Some(step) = walk.next_step()? {
                    if let Step::Frame { offset, header, .. } = step
                        && header.kind.is_record()
                    {
                        self.take_record(n, (offset, &header), walk.content)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn tell_doubts(&mut self, name: &str, doubts: Vec<Range<u64>>) {
        let rest = doubts.get(DOUBTS_TOLD..).and_then(|rest| Some(rest.first()?.start..rest.last()?.end));
        for range in doubts.into_iter().take(DOUBTS_TOLD) {
            let message = "these records are intact, but may be the rest of a batch whose beginning is damaged, \
                           and count as lost with it";
            self.pend(Severity::DataLost, name, range, message.into());
        }
        if let Some(range) = rest {
            let message = "of the records here others too may be the rests of batches whose beginnings are damaged, \
                           and count as lost with them";
            self.pend(Severity::DataLost, name, range, message.into());
        }
    }

    /// Notes a damaged place.
    pub fn add_place(
        &mut self,
        n: usize,
        range: Range<u64>,
        what: Damage,
        header: Option<Header>,
        content: &mut Content,
    ) -> Told<()> {
        if self.places.len() >= PLACES_HELD {
            let message =
                "there are more damaged places than are told one by one; what stood in them is not known";
            self.pend_once(n, range.start..self.files[n].entry.length.max(range.end), message);
            return Ok(());
        }
        let mut key = None;
        if let Some(header) = header.filter(|header| (1..=KEY_HELD).contains(&(header.key_len as usize))) {
            let at = range.start + header.key_range().start as u64;
            key = Some(content.get(at, u64::from(header.key_len))?.to_vec());
        }
        let (known, is_known, alive, is_key_sure) = (Vec::new(), false, 0, false);
        self.places.push(Place { file: n, range, what, header, key, known, is_known, alive, is_key_sure });
        Ok(())
    }

    /// Notes a record that a hint knows of and that is in none of the intact frames. The places from `first_place` on are those of
    /// the file, in their order.
    pub fn note_known(&mut self, n: usize, entry: HintEntry, first_place: usize) -> Told<()> {
        let (root, word, fingerprint) = entry.hash;
        let hash = KeyHash { root, word, fingerprint };
        let offset = u64::from(entry.offset_units) * ALIGNMENT;
        let places = self.places.get_mut(first_place..).unwrap_or_default();
        let behind = places.partition_point(|place| place.range.start <= offset);
        let place = behind.checked_sub(1).and_then(|at| places.get_mut(at));
        let Some(place) = place.filter(|place| place.range.contains(&offset)) else {
            if self.places.len() < PLACES_HELD {
                self.pend_hint(n, "the hint names a record that is not in the data file");
            }
            return Ok(());
        };
        if place.known.len() < KNOWN_HELD {
            place.known.push(entry);
        }
        // What the hint says was deleted, or has expired, is gone.
        let has_expired = entry.expiry_ms.is_some_and(|expiry_ms| expiry_ms <= self.about.now_ms);
        if entry.tombstone || has_expired {
            let holds = if entry.tombstone { Holds::Nothing } else { Holds::Expired };
            self.keys.put(&hash, Version::new(entry.seq, n, offset, holds))?;
        }
        Ok(())
    }
}
