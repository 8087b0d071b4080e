//! Reads all of a store, and keeps what is needed to say what is damaged and what is lost by it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::content::Content;
use super::files::{self, Beginning, Listed, Looked};
use super::keys::{Holds, Keys, Version};
use super::telling::{Ended, Telling, Told};
use super::walk::{Step, Walk};
use crate::disk::Disk;
use crate::format::collection::ListHead;
use crate::format::features::COLLECTIONS;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Header, Kind, Origin};
use crate::format::hint::HintEntry;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::names::{self, Name};
use crate::format::{Damage, FileId};
use crate::index::{KeyHash, KeyHasher};
use crate::store::error::Error;
use crate::store::findings::Severity;

/// So often a store that changes meanwhile is looked at again.
const ATTEMPTS: usize = 8;
/// So many damaged places are held until it is known what is lost with them; of others it is taken to be one key each.
const PLACES_HELD: usize = 1 << 16;
/// Keys of damaged records are held up to this length.
const KEY_HELD: usize = 1024;
/// So many records that a hint knows of are held for a damaged place.
const KNOWN_HELD: usize = 1024;

/// The name of each data file, by number, salt and store, as its header says them.
type Strays = HashMap<(FileId, u32, [u8; 16]), (String, Origin)>;

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
    pub keys_lost: u64,
}

/// See the module.
pub struct Survey<'a, 't> {
    pub disk: &'a dyn Disk,
    pub telling: &'a mut Telling<'t>,
    /// Everything that is intact is wanted, whether it counts or not.
    pub saves: bool,
    pub manifest: Option<Manifest>,
    manifest_bytes: Vec<u8>,
    pub hasher: KeyHasher,
    pub names: Vec<String>,
    pub files: Vec<Looked>,
    pub keys: Keys,
    pub places: Vec<Place>,
    pub pending: Vec<Pending>,
    /// What was noted of a file once.
    noted: HashSet<(String, String)>,
    /// Whether the checkpoint says what is alive.
    pub is_compared: bool,
    /// Files that stand under other names than theirs.
    strays: Option<Strays>,
    /// Whether the store holds batches.
    has_batches: bool,
    /// The store's time: what expires before has expired.
    pub now_ms: u64,
    pub max_time_ms: u64,
}

impl<'a, 't> Survey<'a, 't> {
    /// A look at the store on a disk; `saves` where everything intact is wanted.
    pub fn new(disk: &'a dyn Disk, telling: &'a mut Telling<'t>, saves: bool) -> Self {
        Survey {
            disk,
            telling,
            saves,
            manifest: None,
            manifest_bytes: Vec::new(),
            hasher: KeyHasher::new(&[0; 16]),
            names: Vec::new(),
            files: Vec::new(),
            keys: Keys::default(),
            places: Vec::new(),
            pending: Vec::new(),
            noted: HashSet::new(),
            is_compared: false,
            strays: None,
            has_batches: false,
            now_ms: disk.now_ms(true),
            max_time_ms: 0,
        }
    }

    /// Looks at everything and tells what is damaged.
    pub fn check(&mut self) -> Told<()> {
        self.look()?;
        self.tell_all()
    }

    /// Reads everything; what is found is pending then.
    pub fn look(&mut self) -> Told<()> {
        for attempt in 1.. {
            self.pending.clear();
            self.noted.clear();
            self.strays = None;
            self.names = self
                .disk
                .list()
                .map_err(|e| Error::io("list the directory", self.disk.path(), &e))
                .map_err(Ended::Failed)?;
            match files::read_manifest(self.disk)? {
                Listed::Whole(manifest, bytes) => {
                    self.now_ms = self.now_ms.max(manifest.clock_ms);
                    if self.files.is_empty() {
                        self.hasher = KeyHasher::new(&manifest.hash_key);
                    }
                    self.has_batches |= manifest.needs.features & COLLECTIONS.mask() != 0;
                    self.manifest_bytes = bytes;
                    self.manifest = Some(manifest.copy_with_room(0)?);
                    self.look_at_listed(&manifest)?;
                }
                Listed::Damaged(what) => {
                    let message = format!(
                        "{what}; the store does not open, and which data files count is not known any more: keys that were \
                         removed shortly before may come back from files that a merge had replaced"
                    );
                    self.pend(Severity::DataLost, names::MANIFEST, 0..0, message);
                    self.look_at_unlisted()?;
                }
                Listed::Missing => {
                    if files::data_names(&self.names).is_empty() {
                        return Err(Error::Missing { path: self.disk.path().to_path_buf() }.into());
                    }
                    let message =
                        "the manifest is missing, though there are data files; the store does not open";
                    self.pend(Severity::DataLost, names::MANIFEST, 0..0, message.into());
                    self.look_at_unlisted()?;
                }
            }
            self.take_doubts()?;
            self.look_at_lists()?;
            self.look_at_checkpoint()?;
            if self.pending.is_empty() || self.saves || !self.has_changed()? {
                break;
            }
            // What was damaged in files that were not sealed is looked for again.
            let files = &self.files;
            self.places.retain(|place| files[place.file].entry.state == FileState::Sealed);
            if attempt == ATTEMPTS {
                self.pending.clear();
                let message = "the store is written to so fast that the files that are written were not compared \
                               with each other; their complete records are intact";
                self.pend(Severity::Note, names::MANIFEST, 0..0, message.into());
                break;
            }
        }
        Ok(())
    }

    /// Whether somebody changed the set of files since it was read.
    fn has_changed(&self) -> Told<bool> {
        Ok(match files::read_manifest(self.disk)? {
            Listed::Whole(_, bytes) => bytes != self.manifest_bytes,
            _ => false,
        })
    }

    /// Notes something that is told later.
    pub fn pend(&mut self, severity: Severity, file: &str, range: Range<u64>, message: String) {
        self.pending.push(Pending {
            severity,
            file: file.to_string(),
            range,
            key: None,
            message,
            keys_lost: 0,
        });
    }

    fn look_at_listed(&mut self, manifest: &Manifest) -> Told<()> {
        let sealed = self.files.iter().filter(|file| file.entry.state == FileState::Sealed);
        let is_looked_at: HashSet<(FileId, u32)> =
            sealed.map(|file| (file.entry.id, file.entry.salt)).collect();
        let mut open = Vec::new();
        for entry in &manifest.files {
            let is_sealed = entry.state == FileState::Sealed;
            // What is sealed does not change any more.
            if is_sealed && is_looked_at.contains(&(entry.id, entry.salt)) {
                continue;
            }
            let Some((looked, mut content)) = self.find(manifest, entry)? else { continue };
            self.files.push(looked);
            let n = self.files.len() - 1;
            let size = content.size();
            if is_sealed || manifest.clean {
                self.compare_length(n, size);
                self.look_at_whole(n, &mut content, entry.length.min(size))?;
            } else {
                open.push((n, content));
            }
        }
        self.look_at_open(&mut open)?;
        let open: Vec<usize> = open.iter().map(|(n, _)| *n).collect();
        self.judge(manifest, &open)
    }

    /// The file of a line of the manifest.
    fn find(&mut self, manifest: &Manifest, entry: &FileEntry) -> Told<Option<(Looked, Content)>> {
        let name = names::data(entry.id);
        let looked = |name: String, origin| Looked::new(name, origin, *entry);
        let mut why = "the file is missing";
        if let Some(mut content) = files::open(self.disk, &name)? {
            match files::read_header(&mut content, Some((entry, &manifest.store_id)))? {
                Beginning::Header(header) => {
                    let is_it = (header.id, header.origin.salt, header.store_id)
                        == (entry.id, entry.salt, manifest.store_id);
                    if is_it {
                        return Ok(Some((looked(name, header.origin), content)));
                    }
                    why = "the file is another one than the manifest names";
                }
                Beginning::Recovered(header, what) => {
                    let message = format!(
                        "{what}; the store does not open, but the manifest knows enough of the file to read it"
                    );
                    self.pend(Severity::SpaceLost, &name, 0..FILE_HEADER_SIZE, message);
                    return Ok(Some((looked(name, header.origin), content)));
                }
                Beginning::Lost(what) => why = what,
            }
        }
        // It may be there under another name.
        let wanted = (entry.id, entry.salt, manifest.store_id);
        if let Some((other, origin)) = self.strays()?.get(&wanted).cloned()
            && let Some(content) = files::open(self.disk, &other)?
        {
            let message = format!("{why}; it is there as '{other}', and has to be renamed");
            self.pend(Severity::SpaceLost, &name, 0..0, message);
            return Ok(Some((looked(other, origin), content)));
        }
        let message = format!("{why}; what was in it, up to {} bytes, is lost", entry.length);
        self.pend(Severity::DataLost, &name, 0..0, message);
        if let Some(last) = self.pending.last_mut() {
            last.keys_lost = 1;
        }
        Ok(None)
    }

    /// All data files by what their headers say.
    fn strays(&mut self) -> Told<&Strays> {
        if self.strays.is_none() {
            let mut strays = HashMap::new();
            for (_, name) in files::data_names(&self.names) {
                let Some(mut content) = files::open(self.disk, name)? else { continue };
                if let Beginning::Header(header) = files::read_header(&mut content, None)? {
                    let key = (header.id, header.origin.salt, header.store_id);
                    strays.insert(key, (name.clone(), header.origin));
                }
            }
            self.strays = Some(strays);
        }
        Ok(self.strays.get_or_insert_default())
    }

    fn compare_length(&mut self, n: usize, size: u64) {
        let (name, length) = (self.files[n].name.clone(), self.files[n].entry.length);
        if size < length {
            let message = format!("the file has {size} bytes, and the manifest says that it has {length}");
            self.pend(Severity::DataLost, &name, size..length, message);
            if let Some(last) = self.pending.last_mut() {
                last.keys_lost = 1;
            }
        } else if size > length {
            let message = format!(
                "{} bytes stand behind the end that the manifest gives; the store does not open with them",
                size - length
            );
            self.pend(Severity::SpaceLost, &name, length..size, message);
        }
    }

    /// All data files that are there and belong together, without a manifest.
    fn look_at_unlisted(&mut self) -> Told<()> {
        let random = self.disk.random().unwrap_or_default();
        self.hasher = KeyHasher::new(&random);
        let mut found: Vec<(String, files::Beginning, u64)> = Vec::new();
        for (_, name) in files::data_names(&self.names) {
            let Some(mut content) = files::open(self.disk, name)? else { continue };
            let beginning = files::read_header(&mut content, None)?;
            found.push((name.clone(), beginning, content.size()));
        }
        // The store that most of the bytes belong to.
        let mut stores: Vec<([u8; 16], u64)> = Vec::new();
        for (_, beginning, size) in &found {
            if let Beginning::Header(header) = beginning {
                let has_room = stores.len() < 1024;
                match stores.iter_mut().find(|(id, _)| *id == header.store_id) {
                    Some((_, bytes)) => *bytes += size,
                    None if has_room => stores.push((header.store_id, *size)),
                    None => {}
                }
            }
        }
        let store_id = stores.iter().max_by_key(|(_, bytes)| *bytes).map(|(id, _)| *id);
        // Of copies the one under its own name counts.
        found.sort_by_key(|(name, beginning, _)| match beginning {
            Beginning::Header(header) => *name != names::data(header.id),
            _ => true,
        });
        let mut known = HashSet::new();
        for (name, beginning, size) in found {
            match beginning {
                Beginning::Header(header) if Some(header.store_id) == store_id => {
                    let entry = files::unlisted(&header);
                    if !known.insert((entry.id, entry.salt)) {
                        let message = "it is a copy of another data file, which is read instead";
                        self.pend(Severity::SpaceLost, &name, 0..0, message.into());
                        continue;
                    }
                    let Some(mut content) = files::open(self.disk, &name)? else { continue };
                    self.files.push(Looked::new(name, header.origin, entry));
                    self.look_at_whole(self.files.len() - 1, &mut content, size)?;
                }
                Beginning::Header(_) => {
                    self.pend(Severity::SpaceLost, &name, 0..0, "it belongs to another store".into());
                }
                Beginning::Lost(what) | Beginning::Recovered(_, what) => {
                    let message = format!("{what}; what was in it is lost");
                    self.pend(Severity::DataLost, &name, 0..0, message);
                    if let Some(last) = self.pending.last_mut() {
                        last.keys_lost = 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// A file that has its final length.
    fn look_at_whole(&mut self, n: usize, content: &mut Content, end: u64) -> Told<()> {
        self.telling.will_read(end);
        let bytes = self.read_hint(n, content.size())?;
        let mut hint = bytes.as_deref().and_then(|bytes| self.open_hint(n, bytes));
        let mut walk_read = 0;
        let (id, origin) = (self.files[n].entry.id, self.files[n].origin);
        let mut walk = Walk::new(content, (id, origin), FILE_HEADER_SIZE..end);
        let first_place = self.places.len();
        while let Some(step) = walk.next_step()? {
            match step {
                Step::Frame { offset, header, in_doubt } => {
                    self.note_frame(n, &header);
                    self.files[n].end = self.files[n].end.max(offset + header.frame_size());
                    if header.kind.is_record() {
                        if let Some(hint) = &mut hint {
                            self.compare_hint(n, hint, Some((offset, &header)), walk.content, first_place)?;
                        }
                        self.note_record(n, (offset, &header), in_doubt, walk.content)?;
                    }
                }
                Step::Damage { range, what, header, is_like_a_batch } => {
                    self.has_batches |= is_like_a_batch;
                    self.add_place(n, range, what, header, walk.content)?;
                }
                Step::End(at) if at < end && self.manifest.is_some() => {
                    self.add_place(n, at..end, "there are zeros where frames should be", None, walk.content)?;
                }
                Step::End(_) => {}
            }
            let read = walk.content.bytes_read;
            if read >= walk_read + (8 << 20) {
                self.telling.passed(read - walk_read);
                walk_read = read;
            }
        }
        if let Some(hint) = &mut hint {
            self.compare_hint(n, hint, None, walk.content, first_place)?;
            for place in self.places.get_mut(first_place..).unwrap_or_default() {
                place.is_known = place.known.len() < KNOWN_HELD;
            }
        }
        self.telling.passed(content.bytes_read.saturating_sub(walk_read));
        self.telling.report.bytes += end;
        Ok(())
    }

    /// The files that are written to, in the order of the log. What stands in one was there before what stands in the next, so they are read
    /// again until none is begun meanwhile.
    fn look_at_open(&mut self, open: &mut [(usize, Content)]) -> Told<()> {
        let mut begun = None;
        for _ in 0..=open.len() {
            for (n, content) in open.iter_mut() {
                self.go_on(*n, content)?;
            }
            let now = open.iter().filter(|(n, _)| self.files[*n].seqs.1 != 0).count();
            if self.saves || begun.replace(now) == Some(now) {
                break;
            }
        }
        for (n, content) in open.iter() {
            self.telling.report.bytes += self.files[*n].end.min(content.size());
        }
        Ok(())
    }

    /// Reads on in an open file, from where its log ended so far.
    fn go_on(&mut self, n: usize, content: &mut Content) -> Told<()> {
        // What is incomplete may be under way: it is looked at again, with what stands behind it.
        const LOOKS: usize = 3;
        let (id, origin) = (self.files[n].entry.id, self.files[n].origin);
        let mut looks = 0;
        'again: loop {
            let from = self.files[n].end;
            let size = content.size_now();
            content.renew(size);
            let before = content.bytes_read;
            self.files[n].damage = None;
            (self.files[n].damage_behind, self.files[n].frames_behind) = (0, 0);
            let mut walk = Walk::new(content, (id, origin), from..size);
            while let Some(step) = walk.next_step()? {
                let is_behind = self.files[n].damage.is_some();
                match step {
                    Step::Frame { header, .. } if is_behind && !self.saves => {
                        self.files[n].frames_behind += 1;
                        self.files[n].frontier = self.files[n].frontier.max(header.frontier.unwrap_or(0));
                    }
                    Step::Frame { offset, header, in_doubt } => {
                        looks = if is_behind { looks } else { 0 };
                        self.note_frame(n, &header);
                        // A batch ends with the last frame in it.
                        if header.kind != Kind::Batch && !is_behind {
                            self.files[n].end = offset + header.frame_size();
                        }
                        if header.kind.is_record() {
                            self.note_record(n, (offset, &header), in_doubt, walk.content)?;
                        }
                    }
                    Step::Damage { range, what, is_like_a_batch, .. } => {
                        self.has_batches |= is_like_a_batch;
                        if is_behind {
                            self.files[n].damage_behind += 1;
                        } else {
                            looks += 1;
                            self.files[n].damage = Some((range, what));
                        }
                    }
                    Step::End(_) => {}
                }
            }
            self.telling.passed(content.bytes_read - before);
            if self.files[n].damage.is_none() || looks >= LOOKS || self.saves {
                break 'again;
            }
        }
        content.let_go();
        Ok(())
    }

    /// Looks at what stands behind the end of the log in an open file, where that is damage and no torn tail.
    pub fn look_behind(&mut self, n: usize) -> Told<()> {
        let Some(mut content) = files::open(self.disk, &self.files[n].name.clone())? else { return Ok(()) };
        let (id, origin, from) = (self.files[n].entry.id, self.files[n].origin, self.files[n].end);
        let size = content.size();
        let mut walk = Walk::new(&mut content, (id, origin), from..size);
        while let Some(step) = walk.next_step()? {
            match step {
                Step::Frame { offset, header, in_doubt } if header.kind.is_record() && !self.saves => {
                    self.note_frame(n, &header);
                    self.note_record(n, (offset, &header), in_doubt, walk.content)?;
                }
                Step::Damage { range, what, header, .. } => {
                    self.add_place(n, range, what, header, walk.content)?
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn note_frame(&mut self, n: usize, header: &Header) {
        let file = &mut self.files[n];
        self.has_batches |= header.kind == Kind::Batch;
        self.max_time_ms = self.max_time_ms.max(header.time_ms);
        file.frontier = file.frontier.max(header.frontier.unwrap_or(0));
        if header.kind != Kind::Batch {
            file.seqs.0 = if file.seqs.0 == 0 { header.seq } else { file.seqs.0.min(header.seq) };
            file.seqs.1 = file.seqs.1.max(header.seq);
        }
    }

    /// Takes an intact record; one that is in doubt later, if at all.
    fn note_record(
        &mut self,
        n: usize,
        (offset, header): (u64, &Header),
        in_doubt: bool,
        content: &mut Content,
    ) -> Told<()> {
        self.telling.report.records += 1;
        if in_doubt {
            let end = offset + header.frame_size();
            match self.files[n].doubts.last_mut() {
                Some(last) if last.end == offset => last.end = end,
                _ => self.files[n].doubts.push(offset..end),
            }
            return Ok(());
        }
        self.take_record(n, (offset, header), content)
    }

    fn take_record(&mut self, n: usize, (offset, header): (u64, &Header), content: &mut Content) -> Told<()> {
        let key_range = header.key_range();
        let has_collections =
            self.manifest.as_ref().is_none_or(|manifest| manifest.needs.features & COLLECTIONS.mask() != 0);
        if matches!(header.kind, Kind::Head | Kind::Element) && !has_collections {
            let message = "there is a collection, and the manifest does not say so; the store does not open";
            self.pend_once(n, offset..offset + header.frame_size(), message);
        }
        let has_expired = header.expiry_ms.is_some_and(|expiry_ms| expiry_ms <= self.now_ms);
        let head = if header.kind == Kind::Head {
            let value = header.value_range();
            ListHead::decode(content.get(offset + value.start, value.end - value.start)?).ok()
        } else {
            None
        };
        let key = content.get(offset + key_range.start as u64, u64::from(header.key_len))?;
        if header.kind == Kind::Element {
            match key.try_into() {
                Ok(key) => self.keys.put_element(key, Version::new(header.seq, n, offset, Holds::Value))?,
                Err(_) => {
                    let message = "an element of a collection has a key that no element has";
                    self.pend_once(n, offset..offset + header.frame_size(), message);
                }
            }
            return Ok(());
        }
        let hash = self.hasher.hash(key);
        let holds = match header.kind {
            Kind::Tombstone => Holds::Nothing,
            _ if has_expired => Holds::Expired,
            Kind::Head => Holds::Head,
            _ => Holds::Value,
        };
        if header.kind == Kind::Head && head.is_none() {
            let message = "the head of a collection is of no known type, or has an empty range";
            self.pend_once(n, offset..offset + header.frame_size(), message);
            return Ok(());
        }
        if let Some(head) = head {
            self.keys.put_head(&hash, header.seq, head)?;
        }
        Ok(self.keys.put(&hash, Version::new(header.seq, n, offset, holds))?)
    }

    /// Notes a thing that stands in a file many times, if it does at all, for its first time.
    fn pend_once(&mut self, n: usize, range: Range<u64>, message: &str) {
        let name = self.files[n].name.clone();
        if self.noted.insert((name.clone(), message.to_string())) {
            self.pend(Severity::DataLost, &name, range, message.into());
        }
    }

    pub fn add_place(
        &mut self,
        n: usize,
        range: Range<u64>,
        what: Damage,
        header: Option<Header>,
        content: &mut Content,
    ) -> Told<()> {
        if self.places.len() >= PLACES_HELD {
            self.telling.report.keys_lost += 1;
            let name = self.files[n].name.clone();
            return self.telling.tell(Severity::DataLost, &name, range, None, what);
        }
        let mut key = None;
        if let Some(header) = header.filter(|header| (1..=KEY_HELD).contains(&(header.key_len as usize))) {
            let at = range.start + header.key_range().start as u64;
            key = Some(content.get(at, u64::from(header.key_len))?.to_vec());
        }
        let place = Place {
            file: n,
            range,
            what,
            header,
            key,
            known: Vec::new(),
            is_known: false,
            alive: 0,
            is_key_sure: false,
        };
        self.places.push(place);
        Ok(())
    }

    /// Notes a record that a hint knows of and that is in none of the intact frames.
    pub fn note_known(&mut self, n: usize, entry: HintEntry, first_place: usize) -> Told<()> {
        let (root, word, fingerprint) = entry.hash;
        let hash = KeyHash { root, word, fingerprint };
        let offset = u64::from(entry.offset_units) * crate::format::ALIGNMENT;
        let places = self.places.get_mut(first_place..).unwrap_or_default();
        let Some(place) = places.iter_mut().rev().find(|place| place.range.contains(&offset)) else {
            let message = "the hint names a record that is not in the data file";
            self.pend_hint(n, message);
            return Ok(());
        };
        if place.known.len() < KNOWN_HELD {
            place.known.push(entry);
        }
        // What the hint says was deleted is deleted.
        if entry.tombstone {
            self.keys.put(&hash, Version::new(entry.seq, n, offset, Holds::Nothing))?;
        }
        Ok(())
    }

    pub fn pend_hint(&mut self, n: usize, message: &str) {
        let name = names::hint(self.files[n].entry.id);
        if self.noted.insert((name.clone(), message.to_string())) {
            self.pend(Severity::DataLost, &name, 0..0, message.into());
        }
    }

    /// Takes the records that are in doubt where the store holds no batches.
    fn take_doubts(&mut self) -> Told<()> {
        for n in 0..self.files.len() {
            let doubts = std::mem::take(&mut self.files[n].doubts);
            if doubts.is_empty() {
                continue;
            }
            let (name, id, origin) =
                (self.files[n].name.clone(), self.files[n].entry.id, self.files[n].origin);
            let Some(mut content) = files::open(self.disk, &name)? else { continue };
            for range in doubts {
                if self.has_batches {
                    let message = "these records are intact, but may be the rest of a batch whose beginning is damaged, \
                                   and count as lost with it";
                    self.pend(Severity::DataLost, &name, range, message.into());
                    continue;
                }
                let mut walk = Walk::new(&mut content, (id, origin), range);
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

    /// Names of files that are no part of the store, and what becomes of them.
    pub fn debris(&self) -> Vec<(String, &'static str)> {
        let Some(manifest) = &self.manifest else { return Vec::new() };
        let is_listed = |id: &FileId| manifest.files.binary_search_by_key(id, |entry| entry.id).is_ok();
        let looked: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        let debris = self.names.iter().filter_map(|name| match names::parse(name) {
            Some(Name::Data(id)) if !is_listed(&id) && !looked.contains(&name.as_str()) => Some((
                name.clone(),
                "the manifest does not list it, so it does not count; the next opening for writing removes it",
            )),
            Some(Name::Hint(id)) if !is_listed(&id) => {
                Some((name.clone(), "it belongs to no data file; the next opening for writing removes it"))
            }
            Some(Name::Temporary) => {
                Some((name.clone(), "a crash left it; the next opening for writing removes it"))
            }
            _ => None,
        });
        debris.collect()
    }
}
