//! The index against an ordinary map, and under threads.

use super::*;
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

fn hash_of(hasher: &KeyHasher, n: u64) -> KeyHash {
    hasher.hash(&n.to_le_bytes())
}

fn entry_of(n: u64) -> Entry {
    Entry { location: Location { slot: 1, units: (n as u32) | 1 }, size: SizeClass::of_units(n % 1000 + 1) }
}

#[test]
fn no_key_is_lost_or_invented_by_growing_splitting_and_removing() {
    let (index, hasher) = (Index::new().unwrap(), KeyHasher::new(&[7; 16]));
    let mut model = HashMap::new();
    let mut random = 1u64;
    for step in 0..600_000u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = (random >> 33) % 400_000;
        let hash = hash_of(&hasher, key);
        if random.is_multiple_of(4) {
            assert_eq!(index.lock(hash).unwrap().remove(hash), model.remove(&key));
        } else {
            let old = index.lock_for_insert(hash).unwrap().insert(hash, entry_of(step));
            assert_eq!(old, model.insert(key, entry_of(step)));
        }
    }
    assert_eq!(index.len(), model.len() as u64);
    for key in 0..400_000 {
        assert_eq!(index.get(hash_of(&hasher, key)), model.get(&key).copied(), "{key}");
    }
    let (mut all, mut cursor) = (Vec::new(), Some(Cursor::START));
    while let Some(at) = cursor {
        cursor = index.collect(at, &mut all).unwrap();
    }
    assert_eq!(all.len(), model.len());
    assert!(all.is_sorted_by_key(|(hash, _)| *hash) || all.is_sorted_by_key(|(h, _)| (h.root, h.word)));
}

#[test]
fn memory_stays_below_24_bytes_per_key_while_growing() {
    let (index, hasher) = (Index::new().unwrap(), KeyHasher::new(&[9; 16]));
    for key in 0..3_000_000 {
        let hash = hash_of(&hasher, key);
        index.lock_for_insert(hash).unwrap().insert(hash, entry_of(key));
        if key % 10_000 == 0 {
            assert!(index.memory_bytes() <= key * 24 + (16 << 20), "{key} keys: {}", index.memory_bytes());
        }
        if key > 1_000_000 && key % 10_000 == 0 {
            assert!(index.memory_bytes() <= key * 24, "{key} keys: {}", index.memory_bytes());
        }
    }
}

#[test]
fn an_exported_index_is_imported_as_it_was() {
    for keys in [0, 1, 1_000, 700_000] {
        let (index, hasher) = (Index::new().unwrap(), KeyHasher::new(&[5; 16]));
        for key in 0..keys {
            let hash = hash_of(&hasher, key);
            index.lock_for_insert(hash).unwrap().insert(hash, entry_of(key));
        }
        let copy = Index::over(Box::new(Kept::of(&index))).unwrap();
        copy.take_over_all().unwrap();
        assert_eq!(copy.export(7).unwrap(), index.export(7).unwrap());
        assert_eq!(copy.len(), keys);
        for key in 0..keys + 10 {
            let hash = hash_of(&hasher, key);
            assert_eq!(copy.get(hash), index.get(hash));
        }
        for key in keys..keys + 300_000 {
            let hash = hash_of(&hasher, key);
            assert_eq!(copy.lock_for_insert(hash).unwrap().insert(hash, entry_of(key)), None);
        }
        assert!((0..keys + 300_000).all(|key| copy.get(hash_of(&hasher, key)) == Some(entry_of(key))));
    }
}

/// The keys of an index, as a checkpoint keeps them.
struct Kept {
    roots: Vec<Vec<Pair>>,
    were_let_go: std::sync::Arc<AtomicBool>,
    damaged: std::sync::Arc<AtomicBool>,
}

impl Kept {
    fn of(index: &Index) -> Self {
        let roots = (0..=255).map(|root| index.export(root).unwrap()).collect();
        Kept { roots, were_let_go: Default::default(), damaged: Default::default() }
    }
}

impl Sorted for Kept {
    fn len(&self, root: u8) -> usize {
        self.roots[usize::from(root)].len()
    }

    fn visit(&self, root: u8, from: u64, visit: &mut dyn FnMut(Pair) -> bool) {
        self.roots[usize::from(root)].iter().copied().skip_while(|key| key.0 < from).all(visit);
    }

    fn take(&self, root: u8, keys: &mut Vec<Pair>) -> Result<(), Unavailable> {
        if self.damaged.load(Ordering::Relaxed) && root != 0 {
            return Err(Unavailable::Damaged);
        }
        keys.extend(&self.roots[usize::from(root)]);
        Ok(())
    }

    fn let_go(&self) {
        assert!(!self.were_let_go.swap(true, Ordering::Relaxed));
    }
}

fn index_of(hasher: &KeyHasher, keys: u64) -> Index {
    let index = Index::new().unwrap();
    for key in 0..keys {
        let hash = hash_of(hasher, key);
        index.lock_for_insert(hash).unwrap().insert(hash, entry_of(key));
    }
    index
}

fn all_of(index: &Index) -> Vec<(KeyHash, Entry)> {
    let (mut all, mut cursor) = (Vec::new(), Some(Cursor::START));
    while let Some(at) = cursor {
        cursor = index.collect(at, &mut all).unwrap();
    }
    all
}

#[test]
fn keys_that_were_not_taken_over_yet_are_found_walked_and_exported() {
    for keys in [0, 1, 1_000, 700_000] {
        let hasher = KeyHasher::new(&[5; 16]);
        let index = index_of(&hasher, keys);
        let kept = Kept::of(&index);
        let (roots, let_go) = (kept.roots.clone(), kept.were_let_go.clone());
        let lazy = Index::over(Box::new(kept)).unwrap();
        assert_eq!(lazy.len(), keys);
        assert_eq!(all_of(&lazy), all_of(&index));
        let memory = lazy.memory_bytes();
        for key in 0..keys + 10 {
            assert_eq!(lazy.get(hash_of(&hasher, key)), index.get(hash_of(&hasher, key)));
        }
        assert!(lazy.memory_bytes() == memory && Kept::of(&lazy).roots == roots);
        // Walks that begin before a root is taken over and end after it.
        let (mut all, mut cursor) = (Vec::new(), Some(Cursor::START));
        while let Some(at) = cursor {
            cursor = lazy.collect(at, &mut all).unwrap();
            lazy.prepare(u64::MAX);
        }
        assert_eq!(all, all_of(&index));
        while lazy.prepare(u64::MAX) {}
        assert_eq!(let_go.load(Ordering::Relaxed), keys > 0);
        while lazy.prepare(u64::MAX) {}
        assert_eq!(let_go.load(Ordering::Relaxed), keys > 0);
        assert_eq!(all_of(&lazy), all_of(&index));
        assert!(lazy.memory_bytes() <= keys * 24 + (8 << 20));
    }
}

#[test]
fn a_root_that_changed_after_the_opening_is_not_taken_over() {
    let hasher = KeyHasher::new(&[5; 16]);
    let kept = Kept::of(&index_of(&hasher, 10_000));
    let damaged = kept.damaged.clone();
    let lazy = Index::over(Box::new(kept)).unwrap();
    damaged.store(true, Ordering::Relaxed);
    for key in 0..10_000 {
        let hash = hash_of(&hasher, key);
        let locked = lazy.lock_for_insert(hash);
        assert!(hash.root == 0 || matches!(locked, Err(Unavailable::Damaged)));
        assert!(hash.root == 0 || matches!(lazy.lock(hash), Err(Unavailable::Damaged)));
    }
    assert!(lazy.export(0).is_ok() && lazy.export(1).is_err() && lazy.take_over_all().is_err());
    assert_eq!(lazy.len(), 10_000);
}

#[test]
fn changes_and_lookups_agree_while_roots_are_taken_over() {
    const KEYS: u64 = 600_000;
    let hasher = KeyHasher::new(&[6; 16]);
    for round in 0..3u64 {
        let lazy = Index::over(Box::new(Kept::of(&index_of(&hasher, KEYS)))).unwrap();
        // A key that is divisible by three is replaced, then stays so; one that is one more is removed; the rest stay.
        let changed = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let (lazy, hasher, changed) = (&lazy, &hasher, &changed);
            scope.spawn(move || while lazy.prepare(u64::MAX) {});
            scope.spawn(move || {
                for key in (0..KEYS / 3).map(|n| n * 3) {
                    let (hash, gone) = (hash_of(hasher, key), hash_of(hasher, key + 1));
                    let old = lazy.lock_for_insert(hash).unwrap().insert(hash, entry_of(key + KEYS));
                    assert_eq!(old, Some(entry_of(key)));
                    assert_eq!(lazy.lock(gone).unwrap().remove(gone), Some(entry_of(key + 1)));
                    changed.store(key + 3, Ordering::Release);
                }
            });
            for n in 0..400_000u64 {
                let key = n.wrapping_mul(7_919 + round) % KEYS;
                let until = changed.load(Ordering::Acquire);
                let found = lazy.get(hash_of(hasher, key));
                let (before, after) = match key % 3 {
                    0 => (Some(entry_of(key)), Some(entry_of(key + KEYS))),
                    1 => (Some(entry_of(key)), None),
                    _ => (Some(entry_of(key)), Some(entry_of(key))),
                };
                assert!(found == after || found == before && key >= until, "{key}: {found:?}");
            }
        });
        assert_eq!(lazy.len(), KEYS - KEYS / 3);
        assert_eq!(all_of(&lazy).len() as u64, KEYS - KEYS / 3);
        for key in 0..KEYS {
            let wanted = [Some(entry_of(key + KEYS)), None, Some(entry_of(key))][key as usize % 3];
            assert_eq!(lazy.get(hash_of(&hasher, key)), wanted);
        }
    }
}

#[test]
fn several_segments_are_locked_in_order_and_have_room_for_a_whole_batch() {
    let (index, hasher) = (Index::new().unwrap(), KeyHasher::new(&[3; 16]));
    for round in 0..30u64 {
        let mut hashes: Vec<_> = (0..20_000).map(|n| hash_of(&hasher, round * 20_000 + n)).collect();
        hashes.sort();
        let mut all = index.lock_all_for_insert(&hashes).unwrap();
        for hash in &hashes {
            let locked = all.iter_mut().find(|locked| !locked.ends_before(*hash)).unwrap();
            assert_eq!(locked.insert(*hash, entry_of(round)), None);
        }
    }
    assert_eq!(index.len(), 600_000);
    assert!(index.memory_bytes() <= 600_000 * 24 + (4 << 20), "{}", index.memory_bytes());
}

#[test]
fn a_reader_never_misses_a_key_that_is_there_while_others_come_and_go() {
    let (index, hasher) = (Index::new().unwrap(), KeyHasher::new(&[1; 16]));
    const STABLE: u64 = 20_000;
    for key in 0..STABLE {
        let hash = hash_of(&hasher, key);
        index.lock_for_insert(hash).unwrap().insert(hash, entry_of(key));
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (index, hasher, done) = (&index, &hasher, &done);
            scope.spawn(move || {
                let mut key = reader;
                while !done.load(Ordering::Relaxed) {
                    key = (key * 31 + 7) % STABLE;
                    assert_eq!(index.get(hash_of(hasher, key)), Some(entry_of(key)));
                }
            });
        }
        for key in STABLE..STABLE + 500_000 {
            let hash = hash_of(&hasher, key);
            index.lock_for_insert(hash).unwrap().insert(hash, entry_of(key));
            if key % 3 == 0 {
                let gone = hash_of(&hasher, STABLE + (key - STABLE) / 2);
                index.lock(gone).unwrap().remove(gone);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn keys_that_crowd_at_the_end_of_a_segment_find_room_together() {
    let mut random = crate::disk::sim::Random::new(11);
    for crowd in [48, 54, 58, 64] {
        let index = Index::new().unwrap();
        let mut model = std::collections::BTreeMap::new();
        for _ in 0..400 {
            // Some are there already, and some of the rest are spread over the segment.
            let mut hashes: Vec<_> = (0..1 + random.below(90))
                .map(|_| {
                    let low = random.number();
                    let word = if random.one_in(4) { low } else { u64::MAX - (low >> (64 - crowd) >> 1) };
                    KeyHash { root: 200, word, fingerprint: 1 }
                })
                .collect();
            hashes.extend(model.keys().rev().take(3));
            hashes.sort();
            hashes.dedup();
            let mut all = index.lock_all_for_insert(&hashes).unwrap();
            for hash in hashes {
                let at = all.partition_point(|locked| locked.ends_before(hash));
                let entry = entry_of(model.len() as u64);
                assert_eq!(all[at].insert(hash, entry), model.insert(hash, entry));
            }
        }
        assert!(model.iter().all(|(hash, entry)| index.get(*hash) == Some(*entry)));
    }
}

#[test]
fn keys_that_crowd_at_the_end_of_a_segment_come_and_go_one_by_one() {
    let mut random = crate::disk::sim::Random::new(12);
    for crowd in [54, 58, 61, 64] {
        let index = Index::new().unwrap();
        let mut model = std::collections::BTreeMap::new();
        for n in 0..20_000 {
            let word = u64::MAX - (random.number() >> (64 - crowd));
            let hash = KeyHash { root: 200, word, fingerprint: 1 };
            if random.below(5) < 3 {
                let old = index.lock_for_insert(hash).unwrap().insert(hash, entry_of(n));
                assert_eq!(old, model.insert(hash, entry_of(n)));
            } else if let Some(hash) = model.range(hash..).next().map(|(hash, _)| *hash) {
                assert_eq!(index.lock(hash).unwrap().remove(hash), model.remove(&hash));
            }
        }
        assert_eq!(all_of(&index), model.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn versions_that_are_absorbed_in_any_order_leave_the_newest_of_each_key() {
    // Few keys in few segments, with hashes that share their words; and many, so that segments split.
    for (keys, versions, at_once) in [(50u64, 2_000u64, 7usize), (300_000, 900_000, 4_096)] {
        let (index, hasher) = (Index::new().unwrap(), KeyHasher::new(&[7; 16]));
        let hash = |key: u64| {
            let hash = hash_of(&hasher, key / 3);
            KeyHash { fingerprint: hash.fingerprint.wrapping_add((key % 3) as u8), ..hash }
        };
        let mut newest = std::collections::HashMap::new();
        let mut bins = vec![Vec::new(); 256];
        let mut absorber = index.absorber();
        let mut absorb = |root: u8, bin: &mut Vec<Version>| {
            // The entry of a version tells its number.
            let is_newer = |version: &Version, old: Entry| Ok(version.seq > u64::from(old.location.units));
            absorber.absorb::<Unavailable>(root, bin, is_newer).unwrap();
            assert!(bin.is_empty());
        };
        for n in 0..versions {
            // 7919 is prime to both numbers: each sequence number once, in a scattered order.
            let seq = 1 + n * 7_919 % versions;
            let key = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys;
            let entry =
                Entry { location: Location { slot: 3, units: seq as u32 }, size: SizeClass::of_units(5) };
            let last = newest.entry(key).or_insert((seq, entry));
            *last = (last.0.max(seq), if seq >= last.0 { entry } else { last.1 });
            let root = hash(key).root;
            let bin = &mut bins[usize::from(root)];
            bin.push(Version::new(hash(key), entry, seq));
            if bin.len() == at_once {
                absorb(root, bin);
            }
        }
        (0..=255).zip(&mut bins).for_each(|(root, bin)| absorb(root, bin));
        assert_eq!(index.len(), newest.len() as u64);
        assert!((0..keys).all(|key| index.get(hash(key)) == newest.get(&key).map(|(_, entry)| *entry)));
        let mut all = Vec::new();
        (0..=255).for_each(|root| all.extend(index.export(root).unwrap().iter().map(|pair| (root, pair.0))));
        assert!(all.len() == newest.len() && all.is_sorted());
        assert!(index.memory_bytes() <= newest.len() as u64 * 24 + (8 << 20));
    }
}

#[test]
fn places_are_in_the_order_of_the_files_whatever_the_sizes_and_lead_back_to_their_entries() {
    let mut entries = Vec::new();
    for slot in [0, 1, 255, 256, u16::MAX] {
        for units in [8, 9, 255, 256, u32::MAX] {
            for size in [1, 31, 32, 5_000, 1 << 30] {
                entries.push(Entry { location: Location { slot, units }, size: SizeClass::of_units(size) });
            }
        }
    }
    assert!(entries.is_sorted_by_key(|entry| entry.place()));
    assert!(entries.iter().all(|entry| Entry::from_place(entry.place()) == Some(*entry)));
}
