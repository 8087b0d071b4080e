//! Reads all of a store, and keeps what is needed to say what is damaged and what is lost by it.

use std::collections::HashSet;

use super::content::Content;
use super::files::{self, Listed, Strays};
use super::ledger::{About, KNOWN_HELD, Ledger, Looked};
use super::telling::{Ended, Telling, Told};
use super::walk::{Step, Walk};
use crate::disk::Disk;
use crate::format::FileId;
use crate::format::features::COLLECTIONS;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::Kind;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::names;
use crate::index::KeyHasher;
use crate::store::error::Error;
use crate::store::findings::Severity;
use crate::store::memory;

/// How often a store that changes meanwhile is looked at again.
const ATTEMPTS: usize = 8;

/// What looks at what a store has beside its data files.
pub type Beside<'a> = &'a mut dyn FnMut(&mut Survey<'_, '_>) -> Told<()>;

/// Compares the checkpoint, and looks whether lists have their elements: what there is beside the data files of the default engine.
pub fn look_beside(survey: &mut Survey<'_, '_>) -> Told<()> {
    // A list that the checkpoint does not have was removed, and needs no elements.
    survey.look_at_checkpoint()?;
    survey.look_at_lists()
}

/// See the module.
pub struct Survey<'a, 't> {
    pub disk: &'a dyn Disk,
    pub telling: &'a mut Telling<'t>,
    /// Everything that is intact is wanted, whether it counts or not.
    pub saves: bool,
    pub manifest: Option<Manifest>,
    manifest_bytes: Vec<u8>,
    pub names: Vec<String>,
    /// Files that stand under other names than theirs.
    pub strays: Option<Strays>,
    pub ledger: Ledger,
    /// What the machine's clock said when it began.
    pub began_ms: u64,
    /// From this file on the log is lost, where a power cut left a gap in a store with collections: as for an opening.
    lost_from: Option<FileId>,
}

impl<'a, 't> Survey<'a, 't> {
    /// A look at the store on a disk; `saves` where everything intact is wanted.
    pub fn new(disk: &'a dyn Disk, telling: &'a mut Telling<'t>, saves: bool, is_ordered: bool) -> Self {
        let began_ms = disk.now_ms(true);
        let hasher = KeyHasher::new(&[0; 16]);
        let flushed = is_ordered.then_some(0);
        let about = About { hasher, now_ms: began_ms, is_listed: false, has_collections: true, flushed };
        Survey {
            disk,
            telling,
            saves,
            manifest: None,
            manifest_bytes: Vec::new(),
            names: Vec::new(),
            strays: None,
            ledger: Ledger::new(about),
            began_ms,
            lost_from: None,
        }
    }

    /// Looks at everything and tells what is damaged.
    pub fn check(&mut self, beside: Beside<'_>) -> Told<()> {
        self.look(beside)?;
        self.tell_all()
    }

    /// Whether the store is one of the ordered engine.
    pub fn is_ordered(&self) -> bool {
        self.ledger.about.flushed.is_some()
    }

    /// Reads everything; what is found is pending then. What there is beside data files `beside` looks at.
    pub fn look(&mut self, beside: Beside<'_>) -> Told<()> {
        memory::room_for_small_things()?;
        for attempt in 1.. {
            self.strays = None;
            self.names = self
                .disk
                .list()
                .map_err(|e| Error::io("list the directory", self.disk.path(), &e))
                .map_err(Ended::Failed)?;
            match files::read_manifest(self.disk, self.is_ordered())? {
                Listed::Whole(manifest, bytes) => {
                    self.begin(&manifest);
                    self.manifest_bytes = bytes;
                    self.manifest = Some(manifest.copy_with_room(0)?);
                    self.look_at_listed(&manifest)?;
                }
                Listed::Damaged(what) => {
                    let message = format!(
                        "{what}; the store does not open, and which data files count is not known any more: keys that were \
                         removed shortly before may come back from files that a merge had replaced"
                    );
                    self.look_at_unlisted(message)?;
                }
                Listed::Missing => {
                    if files::data_names(&self.names).is_empty() && !files::has_runs(self.disk)? {
                        return Err(Error::Missing { path: self.disk.path().to_path_buf() }.into());
                    }
                    let message =
                        "the manifest is missing, though there are data files; the store does not open";
                    self.look_at_unlisted(message.into())?;
                }
            }
            self.ledger.take_doubts(self.disk)?;
            beside(self)?;
            self.look_at_numbers();
            if self.ledger.pending.is_empty() || self.saves || !self.has_changed()? {
                break;
            }
            if attempt == ATTEMPTS {
                self.ledger.keep_sealed();
                let message = "the store is written to so fast that the files that are written were not compared \
                               with each other; their complete records are intact";
                self.ledger.pend(Severity::Note, names::MANIFEST, 0..0, message.into());
                break;
            }
        }
        Ok(())
    }

    /// Makes the ledger ready for a look at what a manifest lists: what is known of files that it lists too, and that do not change, stays.
    fn begin(&mut self, manifest: &Manifest) {
        let about = About {
            hasher: KeyHasher::new(&manifest.hash_key),
            now_ms: self.ledger.about.now_ms.max(manifest.clock_ms),
            is_listed: true,
            has_collections: self.is_ordered() || manifest.needs.features & COLLECTIONS.mask() != 0,
            flushed: self.is_ordered().then_some(manifest.ordered.flushed_seq),
        };
        let listed: HashSet<(FileId, u32)> =
            manifest.files.iter().map(|entry| (entry.id, entry.salt)).collect();
        let files = &self.ledger.files;
        // What was in a file that a merge replaced is elsewhere now, or gone.
        let goes_on = self.manifest.as_ref().is_some_and(|before| before.hash_key == manifest.hash_key)
            && self.ledger.about.flushed == about.flushed
            && files.iter().all(|file| listed.contains(&(file.entry.id, file.entry.salt)));
        if !goes_on {
            self.ledger = Ledger::new(about);
            return;
        }
        self.ledger.keep_sealed();
        self.ledger.has_batches |= about.has_collections;
        self.ledger.about = about;
    }

    /// Whether somebody changed the set of files since it was read.
    fn has_changed(&self) -> Told<bool> {
        Ok(match files::read_manifest(self.disk, self.is_ordered())? {
            Listed::Whole(_, bytes) => bytes != self.manifest_bytes,
            _ => false,
        })
    }

    fn look_at_listed(&mut self, manifest: &Manifest) -> Told<()> {
        self.lost_from = None;
        let open = self.look_at_files(manifest)?;
        self.lost_from = self.judge(manifest, &open)?;
        if self.lost_from.is_some() {
            self.ledger = Ledger::new(self.ledger.about.clone());
            let open = self.look_at_files(manifest)?;
            self.judge(manifest, &open)?;
        }
        Ok(())
    }

    /// Looks at the files that a manifest lists; gives those that are open.
    fn look_at_files(&mut self, manifest: &Manifest) -> Told<Vec<usize>> {
        memory::room_for_small_things()?;
        let sealed = self.ledger.files.iter().filter(|file| file.entry.state == FileState::Sealed);
        let is_looked_at: HashSet<(FileId, u32)> =
            sealed.map(|file| (file.entry.id, file.entry.salt)).collect();
        let (mut all, mut written) = (Vec::new(), Vec::new());
        for entry in &manifest.files {
            let is_sealed = entry.state == FileState::Sealed;
            // What is sealed does not change any more.
            if is_sealed && is_looked_at.contains(&(entry.id, entry.salt)) {
                continue;
            }
            let Some((looked, mut content)) = self.find(manifest, entry)? else { continue };
            self.ledger.files.push(looked);
            let n = self.ledger.files.len() - 1;
            if !is_sealed {
                all.push(n);
            }
            let size = content.size();
            if is_sealed || manifest.clean {
                self.compare_length(n, size);
                self.look_at_whole(n, &mut content, entry.length.min(size))?;
            } else if self.is_lost(entry) {
                let message = "a power cut took records that stood before this file and were promised to nobody; what is in it counts \
                               no more, because a list could name elements that were lost; the next opening cuts it off";
                self.ledger.pend(Severity::Note, &names::data(entry.id), 0..size, message.into());
            } else {
                written.push((n, content));
            }
        }
        self.look_at_open(&mut written)?;
        Ok(all)
    }

    /// Whether the log ends before an open file.
    pub fn is_lost(&self, entry: &FileEntry) -> bool {
        self.lost_from.is_some_and(|from| entry.id >= from)
    }

    fn compare_length(&mut self, n: usize, size: u64) {
        let (name, length) = (self.ledger.files[n].name.clone(), self.ledger.files[n].entry.length);
        if size < length {
            let message = format!("the file has {size} bytes, and the manifest says that it has {length}");
            self.ledger.pend(Severity::DataLost, &name, size..length, message);
        } else if size > length {
            let message = format!(
                "{} bytes stand behind the end that the manifest gives; the store does not open with them",
                size - length
            );
            self.ledger.pend(Severity::SpaceLost, &name, length..size, message);
        }
    }

    /// All data files that are there and belong together, without a manifest, of which `message` says what is wrong with it.
    fn look_at_unlisted(&mut self, message: String) -> Told<()> {
        let random = self.disk.random().unwrap_or_default();
        let hasher = KeyHasher::new(&random);
        let flushed = self.is_ordered().then_some(0);
        let about = About { hasher, is_listed: false, has_collections: true, flushed, ..self.ledger.about };
        self.ledger = Ledger::new(about);
        self.manifest = None;
        self.ledger.pend(Severity::DataLost, names::MANIFEST, 0..0, message);
        for (name, header, size) in files::choose(self.disk, &self.names, &mut self.ledger)? {
            let Some(mut content) = files::open(self.disk, &name)?.file() else { continue };
            self.ledger.files.push(Looked::new(name, header.origin, files::unlisted(&header)));
            self.look_at_whole(self.ledger.files.len() - 1, &mut content, size)?;
        }
        Ok(())
    }

    /// A file that has its final length.
    fn look_at_whole(&mut self, n: usize, content: &mut Content, end: u64) -> Told<()> {
        memory::room_for_small_things()?;
        self.telling.will_read(end);
        let bytes = self.read_hint(n, content.size())?;
        let mut hint = bytes.as_deref().and_then(|bytes| self.open_hint(n, bytes));
        let mut walk_read = 0;
        let mut walk = Walk::new(content, self.ledger.walked(n), FILE_HEADER_SIZE..end);
        let first_place = self.ledger.places.len();
        while let Some(step) = walk.next_step()? {
            match step {
                Step::Frame { offset, header, in_doubt } => {
                    self.ledger.note_frame(n, &header);
                    let file = &mut self.ledger.files[n];
                    file.end = file.end.max(offset + header.frame_size());
                    if header.kind.is_record() {
                        if let Some(hint) = &mut hint {
                            self.compare_hint(n, hint, Some((offset, &header)), walk.content, first_place)?;
                        }
                        self.ledger.note_record(n, (offset, &header), in_doubt, walk.content)?;
                    }
                }
                Step::Damage { range, what, header, is_like_a_batch } => {
                    self.ledger.has_batches |= is_like_a_batch;
                    self.ledger.add_place(n, range, what, header, walk.content)?;
                }
                Step::End(at) if at < end && self.manifest.is_some() => {
                    let what = "there are zeros where frames should be";
                    self.ledger.add_place(n, at..end, what, None, walk.content)?;
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
            for place in self.ledger.places.get_mut(first_place..).unwrap_or_default() {
                place.is_known = place.known.len() < KNOWN_HELD;
            }
        }
        self.telling.passed(content.bytes_read.saturating_sub(walk_read));
        self.ledger.bytes += end;
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
            let now = open.iter().filter(|(n, _)| self.ledger.files[*n].seqs.1 != 0).count();
            if self.saves || begun.replace(now) == Some(now) {
                break;
            }
        }
        for (n, content) in open.iter() {
            self.ledger.bytes += self.ledger.files[*n].end.min(content.size());
        }
        Ok(())
    }

    /// Reads on in an open file, from where its log ended so far.
    fn go_on(&mut self, n: usize, content: &mut Content) -> Told<()> {
        memory::room_for_small_things()?;
        // What is incomplete may be under way: it is looked at again, with what stands behind it.
        const LOOKS: usize = 3;
        let mut looks = 0;
        'again: loop {
            let from = self.ledger.files[n].end;
            let size = content.size_now();
            content.renew(size);
            let before = content.bytes_read;
            self.ledger.files[n].damage = None;
            self.ledger.files[n].frames_behind = 0;
            let walked = self.ledger.walked(n);
            let mut walk = Walk::new(content, walked, from..size).behind(self.ledger.files[n].seqs.1);
            while let Some(step) = walk.next_step()? {
                let file = &mut self.ledger.files[n];
                let is_behind = file.damage.is_some();
                match step {
                    Step::Frame { header, .. } if is_behind => {
                        file.frames_behind += 1;
                        file.frontier = file.frontier.max(header.frontier.unwrap_or(0));
                    }
                    Step::Frame { offset, header, in_doubt } => {
                        looks = 0;
                        // A batch ends with the last frame in it.
                        if header.kind != Kind::Batch {
                            file.end = offset + header.frame_size();
                        }
                        self.ledger.note_frame(n, &header);
                        if header.kind.is_record() {
                            self.ledger.note_record(n, (offset, &header), in_doubt, walk.content)?;
                        }
                    }
                    Step::Damage { range, what, .. } if !is_behind => {
                        looks += 1;
                        file.damage = Some((range, what));
                    }
                    Step::Damage { .. } | Step::End(_) => {}
                }
            }
            self.telling.passed(content.bytes_read - before);
            if self.ledger.files[n].damage.is_none() || looks >= LOOKS || self.saves {
                break 'again;
            }
        }
        content.let_go();
        Ok(())
    }

    /// Looks at what stands behind the end of the log in an open file, and takes it; `is_damage` where it is no torn tail.
    pub fn look_behind(&mut self, n: usize, is_damage: bool) -> Told<()> {
        memory::room_for_small_things()?;
        let Some(mut content) = files::open(self.disk, &self.ledger.files[n].name.clone())?.file() else {
            return Ok(());
        };
        let (from, last) = (self.ledger.files[n].end, self.ledger.files[n].seqs.1);
        let size = content.size();
        let mut walk = Walk::new(&mut content, self.ledger.walked(n), from..size).behind(last);
        while let Some(step) = walk.next_step()? {
            match step {
                Step::Frame { offset, header, in_doubt } => {
                    self.ledger.note_frame(n, &header);
                    if header.kind.is_record() {
                        self.ledger.note_record(n, (offset, &header), in_doubt, walk.content)?;
                    }
                }
                Step::Damage { range, what, header, is_like_a_batch } => {
                    self.ledger.has_batches |= is_like_a_batch;
                    if is_damage {
                        self.ledger.add_place(n, range, what, header, walk.content)?
                    }
                }
                Step::End(_) => {}
            }
        }
        Ok(())
    }
}
