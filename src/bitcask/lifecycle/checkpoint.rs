//! Writing the index to disk at a clean close, and taking it from there at the next open.

use std::sync::Arc;

use super::overlaid::Overlaid;
use super::running::Places;
use crate::bitcask::engine::Engine;
use crate::bitcask::engine::clock::Reading;
use crate::bitcask::engine::expiry::Expiries;
use crate::bitcask::lifecycle::rebuild::Rebuilt;
use crate::disk::{Access, DiskFile, View};
use crate::format::checkpoint::{
    CheckpointElements, CheckpointFile, CheckpointHeader, CheckpointLine, CheckpointRoot, LINE_SIZE,
    PREFIX_SIZE, ROOTS,
};
use crate::format::features::{COLLECTIONS, Refusal};
use crate::format::manifest::{FileState, Manifest};
use crate::format::names;
use crate::format::packed::{Packed, Pair, pack};
use crate::index::{Index, Sorted, Unavailable};
use crate::log::Position;
use crate::log::catalog::{Catalog, replace};
use crate::log::opening::access;
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::store::options::Options;
use crate::sync::parallel::on_all_cores;

/// About so many bytes are the room for a key; of many, most take less.
pub(super) const USUAL_KEY_SIZE: u64 = 12;

/// Writes the whole index, and gives the identity of the checkpoint. It counts once a clean manifest names it. `clocks` is what
/// the clocks say now.
pub fn write(engine: &Engine, clocks: Reading) -> Result<u64> {
    if engine.elements.has_strays() {
        // The next opening looks for them, and is rid of them.
        return Ok(0);
    }
    let catalog = &engine.catalog;
    memory::room_for_small_things()?;
    let elements = match catalog.manifest().needs.has(COLLECTIONS) {
        true => Some(CheckpointElements {
            next_id: engine.elements.next_free_id(),
            roots: memory::vec_of(CheckpointRoot::default(), ROOTS)?,
        }),
        false => None,
    };
    let random =
        catalog.disk.random().map_err(|e| Error::io("name the checkpoint of", catalog.disk.path(), &e))?;
    let id = u64::from_le_bytes(random[..8].try_into().unwrap_or_default()).max(1);
    let files = catalog.files.all()?;
    let mut header = CheckpointHeader {
        store_id: catalog.manifest().store_id,
        id,
        files: memory::vec_with_room(files.len())?,
        roots: memory::vec_of(CheckpointRoot::default(), ROOTS)?,
        elements,
        lines: engine.expiries.len() as u64 + u64::from(clocks.is_ahead()),
    };
    let is_listed = |id| catalog.manifest().files.binary_search_by_key(&id, |entry| entry.id).is_ok();
    for file in files {
        if !is_listed(file.id) {
            // Tombstones that a merge kept count as live for ever.
            if file.usage.live_records() > 0 && !file.is_replaced() {
                let message = "the index points into the files of a merge that could not be committed";
                return Err(Error::Unsupported { message: message.into() });
            }
            // About to be removed.
            continue;
        }
        // Tombstones that a merge could not drop count as live while the store is open, and are tried again after it.
        let (usage, kept) = (&file.usage, file.kept_tombstones());
        header.files.push(CheckpointFile {
            id: file.id,
            slot: file.slot,
            live_records: usage.live_records().saturating_sub(kept.0),
            live_weight: usage.live_weight().saturating_sub(kept.1),
            records: usage.records(),
            total_weight: usage.weight(),
        });
    }
    // The header and the lines come first and say what the roots hold: their size is known before, their content after them.
    let keys_at = header.encode()?.len() as u64 + LINE_SIZE as u64 * header.lines + 4;
    let mut at = keys_at;
    let count = engine.index.len() + engine.elements.index().map_or(0, Index::len);
    let size = at + count * USUAL_KEY_SIZE;
    replace(catalog.disk.as_ref(), names::CHECKPOINT_TMP, names::CHECKPOINT, size, &mut |file| {
        write_index(&engine.index, &mut header.roots, file, &mut at, &|| false)?;
        if let (Some(index), Some(elements)) = (engine.elements.index(), &mut header.elements) {
            write_index(index, &mut elements.roots, file, &mut at, &|| false)?;
        }
        let mut front = Front::new(file, header.encode()?);
        for_each_line(engine, clocks, |line| front.push(&line.encode()))?;
        if front.finish()? != keys_at {
            return Err(std::io::Error::other(
                "there are other expiries than are counted, which is a bug in filedb",
            ));
        }
        // What was reserved and not needed.
        file.truncate(at)
    })?;
    Ok(id)
}

/// Writes the keys of an index from `at` on, and notes where each root is; an error where `is_over` says that nobody waits for it any more.
pub(super) fn write_index(
    index: &Index,
    roots: &mut [CheckpointRoot],
    file: &dyn DiskFile,
    at: &mut u64,
    is_over: &dyn Fn() -> bool,
) -> std::io::Result<()> {
    let mut packed = Vec::new();
    for (root, line) in (0..=u8::MAX).zip(roots) {
        if is_over() {
            return Err(std::io::Error::from(std::io::ErrorKind::Interrupted));
        }
        let keys = index.export(root).map_err(|why| std::io::Error::other(Error::from(why)))?;
        packed.clear();
        pack(&keys, &mut packed)?;
        let (records, bytes) = (keys.len() as u64, packed.len() as u64);
        *line = CheckpointRoot { records, bytes, crc: crc32fast::hash(&packed) };
        if !packed.is_empty() {
            file.write_at(&[&packed], *at)?;
        }
        *at += bytes;
    }
    Ok(())
}

/// Shows all lines to `visit`: one for each key that expires, and one of the clocks.
pub(super) fn for_each_line(
    engine: &Engine,
    clocks: Reading,
    mut visit: impl FnMut(CheckpointLine) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut result = Ok(());
    engine.expiries.for_each(|hash, expiry_ms| {
        if let Some(entry) = engine.index.get(hash).filter(|_| result.is_ok()) {
            let slot = Index::pack(&hash, entry);
            result = visit(CheckpointLine::Expiry { expiry_ms, root: hash.root, slot });
        }
    });
    if result.is_ok() && clocks.is_ahead() {
        let Reading { store_ms, wall_ms, monotonic_ms } = clocks;
        result = visit(CheckpointLine::Clocks { store_ms, wall_ms, monotonic_ms });
    }
    result
}

/// How many bytes of lines are written or read at once.
const LINES_AT_ONCE: usize = LINE_SIZE << 11;

/// The part of the file that has a checksum behind it, on its way there.
pub(super) struct Front<'a> {
    file: &'a dyn DiskFile,
    at: u64,
    bytes: Vec<u8>,
    crc: crc32fast::Hasher,
}

impl<'a> Front<'a> {
    /// Begins with the bytes of the header.
    pub(super) fn new(file: &'a dyn DiskFile, bytes: Vec<u8>) -> Self {
        Front { file, at: 0, bytes, crc: crc32fast::Hasher::new() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        memory::reserve(&mut self.bytes, bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() < LINES_AT_ONCE { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> std::io::Result<()> {
        self.crc.update(&self.bytes);
        self.file.write_at(&[&self.bytes], self.at)?;
        self.at += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }

    /// Gives where it ends.
    pub(super) fn finish(mut self) -> std::io::Result<u64> {
        self.write()?;
        self.file.write_at(&[&self.crc.finalize().to_le_bytes()], self.at)?;
        Ok(self.at + 4)
    }
}

/// Opens the files of a store that was closed cleanly and takes the index from its checkpoint. `None`, and no file is
/// open, where there is no checkpoint that belongs to this manifest beyond doubt.
pub fn load(catalog: &Arc<Catalog>, manifest: &Manifest, options: &Options) -> Result<Option<Rebuilt>> {
    let is_clean = manifest.clean || seeded_bug!("checkpoint-trusted-after-a-crash");
    if !is_clean || manifest.checkpoint == 0 {
        return Ok(None);
    }
    let (expiries, mut closed) = (Expiries::new()?, None);
    let belongs = |header: &CheckpointHeader| {
        let same_files = header.files.iter().map(|f| f.id).eq(manifest.files.iter().map(|f| f.id));
        same_files && (header.store_id, header.id) == (manifest.store_id, manifest.checkpoint)
    };
    let read = read(catalog, belongs, |line| match line {
        CheckpointLine::Expiry { expiry_ms, root, slot } => {
            Index::unpack(root, slot).map_or(Ok(()), |(hash, _)| expiries.add(hash, expiry_ms))
        }
        CheckpointLine::Clocks { store_ms, wall_ms, monotonic_ms } => {
            closed = Some(Reading { store_ms, wall_ms, monotonic_ms });
            Ok(())
        }
    })?;
    let Some(Read { file, header, keys_at }) = read else { return Ok(None) };
    if header.elements.is_some() != manifest.needs.has(COLLECTIONS) {
        // Of a version that wrote none where there were no elements.
        return Ok(None);
    }
    let Some((keys, elements)) = find_roots(&header, keys_at, file.size().ok())? else { return Ok(None) };
    let keys = Keys::of(file.clone(), keys);
    let is_overlaid =
        options.live && elements.iter().all(|root| root.count == 0) && Overlaid::can_be_over(&keys);
    let index_of = |keys: Keys| {
        // Who only reads has no thread that would take the keys over later, and what is not mapped is read once.
        let take_over_now = options.read_only || keys.view.is_none();
        if !take_over_now && !keys.are_intact() {
            return Ok(None);
        }
        let mut index = Index::over(Box::new(keys))?;
        // Whatever is in the way of it may not be in that of a rebuild, which says what is in its own.
        let is_there = !take_over_now || index.take_over_and_let_go().is_ok();
        Ok::<_, Error>(is_there.then_some(index))
    };
    let index = match is_overlaid {
        true => Some(Overlaid::index(keys, Places::same(&header)?, None, catalog)?),
        false => index_of(keys)?,
    };
    let Some(index) = index else { return Ok(None) };
    let elements = match elements.iter().any(|root| root.count > 0) {
        true => match index_of(Keys::of(file.clone(), elements))? {
            None => return Ok(None),
            elements => elements,
        },
        false => None,
    };

    for (entry, saved) in manifest.files.iter().zip(&header.files) {
        let file = catalog.open_file(entry, access(entry, options), Some(saved.slot))?;
        if options.live && entry.state == FileState::Open {
            // Its writer may have made room behind that, and have written there.
            file.follow(entry.length)?;
        }
        if file.tail() != entry.length {
            let what = "the file does not have the length that the manifest gives";
            return Err(file.corrupt(file.tail().min(entry.length), what));
        }
        file.include_seqs(entry.min_seq, entry.max_seq);
        let live = if is_overlaid { (0, 0) } else { (saved.live_records, saved.live_weight) };
        file.usage.set(saved.records, saved.total_weight, live.0, live.1);
    }
    Ok(Some(Rebuilt {
        expiries,
        elements,
        next_collection: header.elements.map_or(0, |elements| elements.next_id),
        index,
        max_seq: manifest.last_seq,
        max_time_ms: manifest.clock_ms,
        closed,
        frontier: Position::default(),
        sequence: None,
    }))
}

/// What stands in front of the keys.
pub(super) struct Read {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) header: CheckpointHeader,
    /// Where the keys begin.
    pub(super) keys_at: u64,
}

/// Reads the checkpoint up to the keys, if it is whole and the header is of the one that is looked for. `Err` where there is no
/// memory for it.
pub(super) fn read(
    catalog: &Catalog,
    belongs: impl Fn(&CheckpointHeader) -> bool,
    mut visit: impl FnMut(CheckpointLine) -> Result<()>,
) -> Result<Option<Read>> {
    let Ok(file) = catalog.disk.open(names::CHECKPOINT, Access::Read) else { return Ok(None) };
    // What the disk cannot give would end the process if it were read from a mapping.
    let can_read = |size| file.view().is_none_or(|view| view.load(0, size));
    let mut prefix = [0; PREFIX_SIZE];
    if !can_read(PREFIX_SIZE as u64) || file.read_at(&mut prefix, 0).is_err() {
        return Ok(None);
    }
    let Ok(sizes) = CheckpointHeader::sizes_from_prefix(&prefix) else { return Ok(None) };
    if file.size().map_or(true, |size| size < sizes.all) || !can_read(sizes.all) {
        return Ok(None);
    }
    let mut bytes = memory::vec_of(0, sizes.header as usize)?;
    if file.read_at(&mut bytes, 0).is_err() {
        return Ok(None);
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes);
    let mut header = match CheckpointHeader::decode(&bytes) {
        Ok(header) => header,
        Err(Refusal::NoMemory(refused)) => return Err(refused.into()),
        Err(Refusal::Damaged(_) | Refusal::OtherVersion(_)) => return Ok(None),
    };
    header.files.sort_unstable_by_key(|file| file.id);
    if !belongs(&header) {
        return Ok(None);
    }

    let (mut at, end) = (sizes.header, sizes.all - 4);
    memory::reserve(&mut bytes, LINES_AT_ONCE)?;
    while at < end {
        bytes.resize((end - at).min(LINES_AT_ONCE as u64) as usize, 0);
        if file.read_at(&mut bytes, at).is_err() {
            return Ok(None);
        }
        crc.update(&bytes);
        at += bytes.len() as u64;
        for line in bytes.chunks_exact(LINE_SIZE) {
            match CheckpointLine::decode(line) {
                Ok(line) => visit(line)?,
                Err(_) => return Ok(None),
            }
        }
    }
    let mut stored = [0; 4];
    let is_whole = file.read_at(&mut stored, end).is_ok() && crc.finalize() == u32::from_le_bytes(stored);
    Ok(is_whole.then_some(Read { file, header, keys_at: sizes.all }))
}

/// Where the keys of a root stand.
pub(super) struct Root {
    /// From where on, in bytes.
    offset: u64,
    bytes: u64,
    count: usize,
    crc: u32,
}

/// The keys of the index, and of the elements.
pub(super) type Roots = (Vec<Root>, Vec<Root>);

/// Where the keys of each root stand, and the elements, from `start` to the end of the file. `None` where they do not end there.
pub(super) fn find_roots(
    header: &CheckpointHeader,
    start: u64,
    file_size: Option<u64>,
) -> Result<Option<Roots>> {
    let mut end = start;
    let (mut keys, mut elements) = (memory::vec_with_room(ROOTS)?, memory::vec_with_room(ROOTS)?);
    let of_elements = header.elements.iter().flat_map(|elements| &elements.roots);
    for CheckpointRoot { records, bytes, crc } in header.roots.iter().chain(of_elements).copied() {
        let roots = if keys.len() < ROOTS { &mut keys } else { &mut elements };
        // No key takes less than a byte. Who says otherwise made the number up, and no memory is asked for by it.
        let Some(count) = usize::try_from(records).ok().filter(|_| records <= bytes) else { return Ok(None) };
        memory::push(roots, Root { offset: end, bytes, count, crc })?;
        let Some(behind) = end.checked_add(bytes) else { return Ok(None) };
        end = behind;
    }
    Ok((file_size == Some(end)).then_some((keys, elements)))
}

/// The keys of a checkpoint, where the index finds them until it takes them over.
pub(super) struct Keys {
    file: Arc<dyn DiskFile>,
    view: Option<View>,
    roots: Vec<Root>,
}

impl Keys {
    /// The keys of a checkpoint's file.
    pub(super) fn of(file: Arc<dyn DiskFile>, roots: Vec<Root>) -> Self {
        Keys { view: file.view(), file, roots }
    }

    /// Whether they are found in a mapping.
    pub(super) fn is_mapped(&self) -> bool {
        self.view.is_some()
    }

    /// Whether all keys in the mapping are what was written. Looks at them on all cores.
    pub(super) fn are_intact(&self) -> bool {
        let bytes = self.roots.iter().map(|root| root.bytes).sum();
        let parts = on_all_cores(ROOTS, bytes, |mut roots| {
            roots.all(|n| {
                let root = &self.roots[n];
                let is_intact = || self.in_place(root).is_some_and(|bytes| root.parse(bytes).is_ok());
                root.bytes == 0 || (self.is_loaded(root) && is_intact())
            })
        });
        parts.into_iter().all(|are_intact| are_intact)
    }

    /// Whether the keys of a root can be read: a page of a mapping that the disk cannot give would end the process.
    fn is_loaded(&self, root: &Root) -> bool {
        root.bytes == 0
            || self.view.as_ref().is_none_or(|view| view.load(root.offset, root.offset + root.bytes))
    }

    /// The bytes of a root in the mapping.
    fn in_place(&self, root: &Root) -> Option<&[u8]> {
        self.view.as_ref()?.get_settled(root.offset, root.bytes)
    }

    /// The bytes of a root, read into `buffer`, where they do not change any more.
    fn read<'a>(&self, root: &Root, buffer: &'a mut Vec<u8>) -> std::result::Result<&'a [u8], Unavailable> {
        let size = usize::try_from(root.bytes).map_err(|_| Unavailable::NoMemory)?;
        memory::reserve(buffer, size)?;
        buffer.resize(size, 0);
        if !self.is_loaded(root) || self.file.read_at(buffer, root.offset).is_err() {
            return Err(Unavailable::Damaged);
        }
        Ok(buffer)
    }
}

impl Root {
    /// The keys in the bytes of a root, which are what was written.
    fn parse<'a>(&self, bytes: &'a [u8]) -> std::result::Result<Packed<'a>, Unavailable> {
        if crc32fast::hash(bytes) != self.crc {
            return Err(Unavailable::Damaged);
        }
        Packed::parse(bytes, self.count).map_err(|_| Unavailable::Damaged)
    }
}

impl Sorted for Keys {
    fn len(&self, root: u8) -> usize {
        self.roots[usize::from(root)].count
    }

    fn visit(&self, root: u8, from: u64, visit: &mut dyn FnMut(Pair) -> bool) {
        let root = &self.roots[usize::from(root)];
        let mut buffer = Vec::new();
        let bytes = self.in_place(root).or_else(|| self.read(root, &mut buffer).ok()).unwrap_or_default();
        if let Ok(packed) = Packed::parse(bytes, root.count) {
            packed.iter_from(from).all(visit);
        }
    }

    fn take(&self, root: u8, keys: &mut Vec<Pair>) -> std::result::Result<(), Unavailable> {
        let root = &self.roots[usize::from(root)];
        let mut buffer = Vec::new();
        keys.extend(root.parse(self.read(root, &mut buffer)?)?.iter_from(0));
        Ok(())
    }

    fn let_go(&self) {
        if let Some(view) = &self.view {
            view.let_go();
        }
    }
}
