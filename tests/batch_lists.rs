//! Batches that change lists do what the same changes do one by one, also after the store was opened again.

use std::collections::{BTreeMap, VecDeque};

use filedb::{Batch, Db, Expiry, Options, Type};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Delete(u8),
    Push(u8, bool),
    Pop(u8, bool),
    Set(u8, u8),
    Expire(u8),
    Commit,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0u8..3;
    let step = prop_oneof![
        1 => key.clone().prop_map(Step::Put),
        1 => key.clone().prop_map(Step::Delete),
        6 => (key.clone(), any::<bool>()).prop_map(|(key, end)| Step::Push(key, end)),
        6 => (key.clone(), any::<bool>()).prop_map(|(key, end)| Step::Pop(key, end)),
        2 => (key.clone(), any::<u8>()).prop_map(|(key, at)| Step::Set(key, at)),
        1 => key.prop_map(Step::Expire),
        3 => Just(Step::Commit),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..80)
}

enum Has {
    Value(Vec<u8>),
    List(VecDeque<Vec<u8>>),
}

/// What the store has for each key is what the model has.
#[allow(clippy::unwrap_used)]
fn compare(db: &Db, model: &BTreeMap<Vec<u8>, Has>) {
    assert_eq!(db.count().unwrap(), model.len() as u64);
    for key in [b"a", b"b", b"c"] {
        match model.get(&key[..]) {
            None => assert_eq!(db.type_of(key).unwrap(), None),
            Some(Has::Value(value)) => assert_eq!(db.get(key).unwrap().as_ref(), Some(value)),
            Some(Has::List(list)) => {
                let found = db.list_range(key, 0, -1).unwrap().expect("the list is there");
                assert!(found.iter().eq(list.iter().map(Vec::as_slice)), "{key:?}");
                let mut seen = None;
                assert!(db.look(key, |it| seen = Some((it.holds, it.length))).unwrap());
                assert_eq!(seen, Some((Type::List, list.len() as u64)));
            }
        }
    }
    let mut scanned = 0;
    assert_eq!(db.scan(0, usize::MAX, |_, _| scanned += 1).unwrap(), None);
    assert_eq!(scanned, model.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_batch_does_to_lists_what_its_operations_do_one_by_one(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let mut db = Db::open(&path, &Options::default()).unwrap();
        let mut model: BTreeMap<Vec<u8>, Has> = BTreeMap::new();
        let mut batch = Batch::new();
        for (n, step) in steps.iter().chain(&[Step::Commit, Step::Reopen]).enumerate() {
            let key_of = |key: &u8| vec![b'a' + key];
            let value = n.to_string().into_bytes();
            match step {
                Step::Put(key) => {
                    batch.put(key_of(key), &value).unwrap();
                    model.insert(key_of(key), Has::Value(value));
                }
                Step::Delete(key) => {
                    batch.delete(key_of(key)).unwrap();
                    model.remove(&key_of(key));
                }
                Step::Push(key, front) => {
                    let key = key_of(key);
                    let has = model.entry(key.clone()).or_insert_with(|| Has::List(VecDeque::new()));
                    let Has::List(list) = has else { continue };
                    if *front {
                        batch.push_front(&key, &value).unwrap();
                        list.push_front(value);
                    } else {
                        batch.push_back(&key, &value).unwrap();
                        list.push_back(value);
                    }
                }
                Step::Pop(key, front) => {
                    let key = key_of(key);
                    let Some(Has::List(list)) = model.get_mut(&key) else { continue };
                    if *front {
                        batch.pop_front(&key).unwrap();
                        list.pop_front();
                    } else {
                        batch.pop_back(&key).unwrap();
                        list.pop_back();
                    }
                    if list.is_empty() {
                        model.remove(&key);
                    }
                }
                Step::Set(key, at) => {
                    let key = key_of(key);
                    let Some(Has::List(list)) = model.get_mut(&key) else { continue };
                    let at = usize::from(*at) % list.len();
                    batch.list_set(&key, at as i64, &value).unwrap();
                    list[at] = value;
                }
                Step::Expire(key) => {
                    let key = key_of(key);
                    if let Some(Has::List(_)) = model.get(&key) {
                        batch.list_expire(&key, Expiry::After(3_600_000)).unwrap();
                    }
                }
                Step::Commit => {
                    db.write_now(&batch).unwrap();
                    batch.clear();
                    compare(&db, &model);
                }
                Step::Reopen => {
                    db.write(&batch).unwrap();
                    batch.clear();
                    #[cfg(feature = "testing")]
                    {
                        db.maintain().unwrap();
                        // The store's own thread may take out what is left of a list meanwhile.
                        let counted = std::iter::repeat_with(|| db.recount()).take(1000).find(Result::is_ok);
                        assert!(counted.is_some(), "{:?}", db.recount());
                    }
                    db.close().unwrap();
                    db = Db::open(&path, &Options::default()).unwrap();
                    compare(&db, &model);
                }
            }
        }
    }
}

#[test]
fn a_batch_that_changes_a_list_that_is_not_there_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path().join("store"), &Options::default()).unwrap();
    let mut batch = Batch::new();
    batch.put(b"value", b"x").unwrap();
    batch.pop_back(b"list").unwrap();
    assert!(db.write(&batch).is_err());
    assert_eq!(db.count().unwrap(), 0);
}
