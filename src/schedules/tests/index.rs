//! The index: readers, who take no lock, beside writers who move slots, let segments grow, split them and take roots over.

use std::sync::Arc;

use super::explore;
use crate::disk::sim::Random;
use crate::index::{Cursor, Entry, Index, KeyHash, Location, SizeClass, Sorted, Unavailable};
use crate::sync::scheduled::change_at_atomics;

/// Words of hashes that one root has, evenly spread.
const WORDS: u64 = 256;

/// All of one root, so that they share segments.
fn hash(n: u64) -> KeyHash {
    KeyHash { root: 7, word: n << 56, fingerprint: n as u8 }
}

fn entry(n: u64, version: u32) -> Entry {
    let location = Location { slot: n as u16, units: version };
    Entry { location, size: SizeClass::of_units(4) }
}

fn put(index: &Index, n: u64, version: u32) {
    index.lock_for_insert(hash(n)).expect("memory").insert(hash(n), entry(n, version));
}

fn remove(index: &Index, n: u64) {
    index.lock_for_insert(hash(n)).expect("memory").remove(hash(n));
}

/// An index that has the first version of these keys, made before there are any schedules.
fn index_of(keys: impl Iterator<Item = u64>) -> Index {
    change_at_atomics(false);
    let index = Index::new().expect("memory");
    keys.for_each(|n| put(&index, n, 1));
    change_at_atomics(true);
    index
}

/// Keys that stay, each with the version that it had at least.
fn look(index: &Index, random: &mut Random, stays: &[u64], seen: &mut [u32], never: u64) {
    let at = random.below(stays.len() as u64) as usize;
    let found = index.get(hash(stays[at])).expect("a key that stays is found");
    assert_eq!(u64::from(found.location.slot), stays[at], "it is the entry of another key");
    assert!(found.location.units >= seen[at], "an older version came back");
    seen[at] = found.location.units;
    assert_eq!(index.get(hash(never)), None, "a key that never was is found");
}

fn all_of(index: &Index) -> Vec<u64> {
    let (mut all, mut cursor) = (Vec::new(), Some(Cursor::START));
    while let Some(at) = cursor {
        cursor = index.collect(at, &mut all).expect("memory");
    }
    all.iter().map(|(hash, _)| hash.word >> 56).collect()
}

type Thread = shuttle::thread::JoinHandle<()>;

fn spawn(index: &Arc<Index>, work: impl FnOnce(&Index) + Send + 'static) -> Thread {
    let index = index.clone();
    shuttle::thread::spawn(move || work(&index))
}

fn join(threads: impl IntoIterator<Item = Thread>) {
    threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
}

fn reader(index: &Arc<Index>, seed: u64, looks: u32, stays: Vec<u64>, never: u64) -> Thread {
    spawn(index, move |index| {
        let (mut random, mut seen) = (Random::new(seed), vec![1; stays.len()]);
        (0..looks).for_each(|_| look(index, &mut random, &stays, &mut seen, never));
    })
}

#[test]
fn a_key_is_found_while_its_neighbours_come_and_go() {
    explore(8, |seed| {
        // All in one cluster, so that each that comes or goes moves others.
        let stays = vec![100, 104, 108, 112];
        let index = Arc::new(index_of([101, 105].into_iter().chain(stays.iter().copied())));
        let writer = |first: u64| {
            spawn(&index, move |index| {
                let mut random = Random::new(seed ^ first);
                for version in 2..5 {
                    let n = first + 4 * random.below(3);
                    if random.one_in(2) { remove(index, n) } else { put(index, n, version) }
                }
            })
        };
        let of_those_that_stay = spawn(&index, |index| (2..4).for_each(|version| put(index, 104, version)));
        let readers = [reader(&index, seed, 3, stays.clone(), 103), reader(&index, !seed, 3, stays, 99)];
        let writers = [writer(101), writer(98), of_those_that_stay];
        join(readers.into_iter().chain(writers));
        assert!(all_of(&index).is_sorted());
    });
}

/// `keys` are there, `more` come in two threads, and meanwhile somebody looks and somebody walks.
fn grows(seed: u64, keys: u64, more: u64) {
    let stays: Vec<u64> = (0..keys).map(|n| n * (WORDS / keys)).collect();
    let fresh: Vec<u64> = (0..WORDS).filter(|n| !stays.contains(n)).collect();
    let index = Arc::new(index_of(stays.iter().copied()));
    let step = fresh.len() as u64 / (2 * more + 1);
    let come = |from: u64| (0..more).map(|n| fresh[((from + 2 * n) * step) as usize]).collect::<Vec<_>>();
    let writer = |come: Vec<u64>| spawn(&index, move |index| come.iter().for_each(|n| put(index, *n, 1)));
    let (one, other) = (come(0), come(1));
    let never = fresh[fresh.len() - 1];
    let walk = {
        let stays = stays.clone();
        spawn(&index, move |index| {
            let seen = all_of(index);
            assert!(seen.is_sorted() && seen.windows(2).all(|two| two[0] != two[1]), "a key comes once");
            assert!(stays.iter().all(|n| seen.contains(n)), "a walk meets all that stays");
        })
    };
    let threads =
        [writer(one.clone()), writer(other.clone()), walk, reader(&index, seed, 4, stays.clone(), never)];
    join(threads);
    let mut expected = [stays, one, other].concat();
    expected.sort_unstable();
    assert_eq!(all_of(&index), expected);
}

#[test]
fn a_key_is_found_while_its_segment_grows() {
    explore(3, |seed| grows(seed, 11, 3));
}

#[test]
fn a_key_is_found_while_its_segment_is_split() {
    explore(1, |seed| grows(seed, 108, 3));
}

/// What a checkpoint has: one root.
struct Kept(Vec<(u64, u64)>);

impl Sorted for Kept {
    fn len(&self, root: u8) -> usize {
        if root == 7 { self.0.len() } else { 0 }
    }

    fn visit(&self, root: u8, from: u64, visit: &mut dyn FnMut((u64, u64)) -> bool) {
        if root == 7 {
            self.0.iter().copied().skip_while(|pair| pair.0 < from).all(visit);
        }
    }

    fn take(&self, root: u8, keys: &mut Vec<(u64, u64)>) -> Result<(), Unavailable> {
        if root == 7 {
            keys.extend(&self.0);
        }
        Ok(())
    }

    fn let_go(&self) {}
}

#[test]
fn a_key_is_found_while_its_root_is_taken_over() {
    explore(4, |seed| {
        // More than a segment takes: others are made for the rest.
        let stays: Vec<u64> = (0..120).map(|n| n * 2).collect();
        let kept = stays.iter().map(|n| Index::pack(&hash(*n), entry(*n, 1))).collect();
        change_at_atomics(false);
        let index = Arc::new(Index::over(Box::new(Kept(kept))).expect("memory"));
        change_at_atomics(true);
        let ahead = spawn(&index, |index| while index.prepare(0) {});
        let writer = spawn(&index, |index| {
            put(index, 41, 1);
            put(index, 40, 2);
            remove(index, 41);
        });
        let walk = {
            let stays = stays.clone();
            spawn(&index, move |index| {
                let seen = all_of(index);
                assert!(stays.iter().all(|n| seen.contains(n)), "a walk meets all that stays");
            })
        };
        join([ahead, writer, walk, reader(&index, seed, 4, stays.clone(), 43)]);
        assert_eq!(all_of(&index), stays);
    });
}
