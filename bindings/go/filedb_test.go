package filedb_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"sync"
	"syscall"
	"testing"
	"time"

	filedb "example.com/filedb/bindings/go"
)

func open(t testing.TB, options filedb.Options) *filedb.Store {
	t.Helper()
	db, err := filedb.Open(filepath.Join(t.TempDir(), "store"), options)
	ok(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// both runs a test on a store with mapped files, and on one without.
func both(t *testing.T, test func(t *testing.T, db *filedb.Store)) {
	for _, io := range []string{"mmap", "pread"} {
		t.Run(io, func(t *testing.T) { test(t, open(t, filedb.Options{"io": io})) })
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is checks an outcome and the absence of an error: is(t, true)(db.Has(key)).
func is[T comparable](t testing.TB, wanted T) func(T, error) {
	return func(got T, err error) {
		t.Helper()
		if err != nil || got != wanted {
			t.Fatalf("got %v and the error %v, not %v", got, err, wanted)
		}
	}
}

func fails(t testing.TB, err error, wanted ...error) {
	t.Helper()
	for _, one := range wanted {
		if !errors.Is(err, one) {
			t.Fatalf("the error is '%v', not '%v'", err, one)
		}
	}
}

func put(t testing.TB, db *filedb.Store, key, value string) {
	t.Helper()
	ok(t, db.Put([]byte(key), []byte(value)))
}

// contents is all of a store, by a walk.
func contents(t testing.TB, db *filedb.Store) map[string]string {
	t.Helper()
	walk, err := db.Iterate(nil)
	ok(t, err)
	defer walk.Close()
	all := map[string]string{}
	for walk.Next() {
		all[string(walk.Key())] = string(walk.Value())
	}
	ok(t, walk.Err())
	return all
}

func same(t testing.TB, got, wanted any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Fatalf("got %v, not %v", got, wanted)
	}
}

func TestWhatWasWrittenIsThereAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	db, err := filedb.Open(path, filedb.Options{"sync": "always"})
	ok(t, err)
	put(t, db, "key", "value")
	ok(t, db.Close())
	fails(t, db.Close(), filedb.ErrClosed, fs.ErrClosed)
	again, err := filedb.Open(path, nil)
	ok(t, err)
	defer again.Close()
	same(t, contents(t, again), map[string]string{"key": "value"})
}

func TestAStoreBehavesAsAMap(t *testing.T) {
	both(t, func(t *testing.T, db *filedb.Store) {
		model := map[string]string{}
		for i := 0; i < 3000; i++ {
			key, value := fmt.Sprint("key", i*7%1000), string(bytes.Repeat([]byte("v"), i%9))
			put(t, db, key, value)
			model[key] = value
			if i%3 == 0 {
				is(t, true)(db.Delete([]byte(key)))
				delete(model, key)
			}
		}
		same(t, contents(t, db), model)
		is(t, uint64(len(model)))(db.Count())
		listed, err := db.Keys([]byte("key"))
		ok(t, err)
		for _, key := range listed {
			if _, found := model[string(key)]; !found {
				t.Fatalf("%s was listed", key)
			}
		}
		same(t, len(listed), len(model))
		none, err := db.Keys([]byte("other"))
		ok(t, err)
		same(t, len(none), 0)
	})
}

func TestAnAbsentKeyIsNotFound(t *testing.T) {
	both(t, func(t *testing.T, db *filedb.Store) {
		absent := []byte("absent")
		_, err := db.Get(absent)
		fails(t, err, filedb.ErrNotFound, fs.ErrNotExist)
		_, err = db.GetInto(absent, make([]byte, 9))
		fails(t, err, filedb.ErrNotFound)
		_, err = db.Pin(absent)
		fails(t, err, filedb.ErrNotFound)
		_, err = db.TTL(absent)
		fails(t, err, filedb.ErrNotFound)
		is(t, false)(db.Has(absent))
		is(t, false)(db.Delete(absent))
		is(t, false)(db.Expire(absent, time.Second))
		is(t, false)(db.Persist(absent))
	})
}

func TestValuesOfAnySizeComeBack(t *testing.T) {
	both(t, func(t *testing.T, db *filedb.Store) {
		for _, size := range []int{0, 1, 4095, 4096, 4097, 200_000, 3_000_000} {
			key, value := []byte("key"), bytes.Repeat([]byte{0, 255, 7}, size/3+1)[:size]
			ok(t, db.Put(key, value))
			got, err := db.Get(key)
			ok(t, err)
			pin, err := db.Pin(key)
			ok(t, err)
			many, err := db.GetMany([][]byte{key})
			ok(t, err)
			for _, one := range [][]byte{got, pin.Bytes(), many[0], []byte(contents(t, db)["key"])} {
				if !bytes.Equal(one, value) {
					t.Fatalf("a value of %d bytes came back as one of %d", size, len(one))
				}
			}
			if got == nil || many[0] == nil {
				t.Fatal("an empty value is a value")
			}
			ok(t, pin.Close())
			ok(t, pin.Close())
		}
	})
}

func TestGetIntoSaysHowMuchItNeeds(t *testing.T) {
	db := open(t, nil)
	put(t, db, "key", "value")
	buffer := []byte(".......")
	is(t, 5)(db.GetInto([]byte("key"), buffer))
	same(t, string(buffer), "value..")
	n, err := db.GetInto([]byte("key"), buffer[:4])
	fails(t, err, filedb.ErrBufferTooSmall)
	same(t, n, 5)
	n, err = db.GetInto([]byte("key"), nil)
	fails(t, err, filedb.ErrBufferTooSmall)
	same(t, n, 5)
}

func TestGetManyAnswersInOrder(t *testing.T) {
	both(t, func(t *testing.T, db *filedb.Store) {
		var keys [][]byte
		for i := 0; i < 1000; i++ {
			put(t, db, fmt.Sprint(i), fmt.Sprint("value", i))
			keys = append(keys, []byte(fmt.Sprint(i*3)))
		}
		values, err := db.GetMany(keys)
		ok(t, err)
		for i, value := range values {
			if wanted := fmt.Sprint("value", i*3); i*3 < 1000 && string(value) != wanted || i*3 >= 1000 && value != nil {
				t.Fatalf("%s is %s", keys[i], value)
			}
		}
		none, err := db.GetMany(nil)
		ok(t, err)
		same(t, len(none), 0)
		_, err = db.GetMany([][]byte{[]byte("1"), nil})
		fails(t, err, filedb.ErrInvalidArgument)
	})
}

func TestConditions(t *testing.T) {
	db := open(t, nil)
	key := []byte("key")
	is(t, false)(db.PutWith(key, nil, filedb.PutOptions{IfPresent: true}))
	is(t, true)(db.PutWith(key, nil, filedb.PutOptions{IfAbsent: true, Sync: true}))
	is(t, false)(db.PutWith(key, nil, filedb.PutOptions{IfAbsent: true}))
	is(t, true)(db.PutWith(key, []byte("2"), filedb.PutOptions{IfPresent: true}))
	same(t, contents(t, db), map[string]string{"key": "2"})
	_, err := db.PutWith(key, nil, filedb.PutOptions{IfAbsent: true, IfPresent: true})
	fails(t, err, filedb.ErrInvalidArgument, fs.ErrInvalid)
}

func TestExpiry(t *testing.T) {
	both(t, func(t *testing.T, db *filedb.Store) {
		key := []byte("key")
		is(t, true)(db.PutWith(key, nil, filedb.PutOptions{TTL: time.Hour}))
		is(t, true)(db.PutWith(key, nil, filedb.PutOptions{KeepTTL: true}))
		left, err := db.TTL(key)
		ok(t, err)
		if left <= 59*time.Minute || left > time.Hour {
			t.Fatalf("%v are left of an hour", left)
		}
		is(t, true)(db.Persist(key))
		is(t, filedb.NoExpiry)(db.TTL(key))
		is(t, true)(db.Expire(key, time.Minute))
		is(t, true)(db.Expire(key, 0))
		is(t, false)(db.Has(key))
		_, err = db.Expire(key, -1)
		fails(t, err, filedb.ErrInvalidArgument)
		_, err = db.PutWith(key, nil, filedb.PutOptions{TTL: -1})
		fails(t, err, filedb.ErrInvalidArgument)
		is(t, true)(db.PutWith(key, nil, filedb.PutOptions{TTL: 1}))
		for {
			found, err := db.Has(key)
			ok(t, err)
			if !found {
				break
			}
		}
	})
}

func TestABatchIsWrittenWhole(t *testing.T) {
	db := open(t, nil)
	put(t, db, "debt", "1")
	batch := filedb.NewBatch()
	ok(t, batch.Put([]byte("alice"), []byte("90")))
	ok(t, batch.Put([]byte("bob"), []byte("110")))
	ok(t, batch.Delete([]byte("debt")))
	fails(t, batch.Put(nil, nil), filedb.ErrInvalidArgument)
	is(t, false)(db.Has([]byte("alice")))
	ok(t, db.Write(batch))
	same(t, contents(t, db), map[string]string{"alice": "90", "bob": "110"})
	batch.Clear()
	ok(t, batch.Put([]byte("carol"), nil))
	ok(t, db.Write(batch))
	is(t, uint64(3))(db.Count())
	batch.Close()
	batch.Close()
	fails(t, db.Write(batch), filedb.ErrClosed)
	fails(t, batch.Put([]byte("late"), nil), filedb.ErrClosed)
	fails(t, batch.Delete([]byte("late")), filedb.ErrClosed)
}

func TestAPutInABatchMayExpireAndHasNoConditions(t *testing.T) {
	db, batch := open(t, nil), filedb.NewBatch()
	ok(t, batch.PutWith([]byte("a"), []byte("1"), filedb.PutOptions{TTL: time.Hour}))
	ok(t, batch.PutWith([]byte("b"), []byte("2"), filedb.PutOptions{}))
	fails(t, batch.PutWith([]byte("c"), nil, filedb.PutOptions{IfAbsent: true}), filedb.ErrUnsupported)
	fails(t, batch.PutWith([]byte("c"), nil, filedb.PutOptions{TTL: -1}), filedb.ErrInvalidArgument)
	ok(t, db.Write(batch))
	same(t, contents(t, db), map[string]string{"a": "1", "b": "2"})
	left, err := db.TTL([]byte("a"))
	ok(t, err)
	same(t, left > 59*time.Minute && left <= time.Hour, true)
	is(t, filedb.NoExpiry)(db.TTL([]byte("b")))
	batch.Close()
	fails(t, batch.PutWith([]byte("a"), nil, filedb.PutOptions{}), filedb.ErrClosed)
}

func TestSortedKeysAreInTheOrderOfTheirBytes(t *testing.T) {
	db := open(t, nil)
	for i := 0; i < 1000; i++ {
		put(t, db, fmt.Sprint("key", i), "")
	}
	put(t, db, "other\xff", "")
	keys, err := db.SortedKeys([]byte("key"))
	ok(t, err)
	same(t, len(keys), 1000)
	same(t, sort.SliceIsSorted(keys, func(a, b int) bool { return bytes.Compare(keys[a], keys[b]) < 0 }), true)
}

func TestAWalkSeesOneMoment(t *testing.T) {
	both(t, func(t *testing.T, db *filedb.Store) {
		const n = 5000
		for i := 0; i < n; i++ {
			put(t, db, fmt.Sprint("key", i), "old")
		}
		walk, err := db.Iterate([]byte("key"))
		ok(t, err)
		defer walk.Close()
		seen := map[string]bool{}
		for step := 0; ; step++ {
			// By single rows and by many, in turn.
			next := walk.Next
			if step/700%2 == 1 {
				next = walk.NextRow
			}
			if !next() {
				break
			}
			same(t, string(walk.Value()), "old")
			seen[string(walk.Key())] = true
			put(t, db, string(walk.Key()), "new")
		}
		ok(t, walk.Err())
		same(t, len(seen), n)
		same(t, walk.Next(), false)
		ok(t, walk.Err())
	})
}

func TestAWalkTakesRowsOfAllSizes(t *testing.T) {
	both(t, func(t *testing.T, db *filedb.Store) {
		model := map[string]string{}
		for i := 0; i < 400; i++ {
			size := i * i * i % 1000
			if i%100 == 3 {
				size = 300_000 + i
			}
			key, value := fmt.Sprint(i), string(bytes.Repeat([]byte{byte(i)}, size))
			model[key] = value
			put(t, db, key, value)
		}
		got := contents(t, db)
		for key, value := range model {
			if got[key] != value {
				t.Fatalf("the value of %s came back with %d bytes, not %d", key, len(got[key]), len(value))
			}
		}
		same(t, len(got), len(model))
	})
}

func TestFoldVisitsUntilItIsToldToStop(t *testing.T) {
	db := open(t, nil)
	for i := 0; i < 10; i++ {
		put(t, db, fmt.Sprint(i), "v")
	}
	var seen []string
	ok(t, db.Fold(func(key, value []byte) bool {
		seen = append(seen, string(key)+string(value))
		return true
	}))
	sort.Strings(seen)
	same(t, seen, "[0v 1v 2v 3v 4v 5v 6v 7v 8v 9v]")
	n := 0
	ok(t, db.Fold(func(key, value []byte) bool { n++; return n < 3 }))
	same(t, n, 3)
	ok(t, db.Fold(func(key, value []byte) bool { _, err := db.Delete(key); return err == nil }))
	is(t, uint64(0))(db.Count())
}

func TestAPanicGoesThroughFold(t *testing.T) {
	db := open(t, nil)
	put(t, db, "key", "value")
	defer func() {
		same(t, recover(), "enough")
		put(t, db, "key", "still works")
	}()
	db.Fold(func(key, value []byte) bool { panic("enough") })
	t.Fatal("Fold returned")
}

func TestSyncAndMerge(t *testing.T) {
	db := open(t, filedb.Options{"merge": "manual", "max_file_size": "64KiB"})
	for i := 0; i < 1000; i++ {
		put(t, db, fmt.Sprint(i%10), string(make([]byte, 1000)))
	}
	ok(t, db.Sync())
	ok(t, db.Merge())
	is(t, uint64(10))(db.Count())
}

func TestStatsAreThoseOfTheStore(t *testing.T) {
	db := open(t, nil)
	put(t, db, "key", "value")
	walk, err := db.Iterate(nil)
	ok(t, err)
	stats, err := db.Stats()
	ok(t, err)
	same(t, []uint64{stats.Keys, stats.Files, stats.Iterators}, []uint64{1, 1, 1})
	ok(t, walk.Close())
}

func TestALogHearsWhatTheStoreDoes(t *testing.T) {
	var lock sync.Mutex
	heard := 0
	options := filedb.Options{"log_level": "debug"}
	db, err := filedb.OpenLogged(filepath.Join(t.TempDir(), "store"), options, func(level filedb.Level, message string) {
		lock.Lock()
		defer lock.Unlock()
		if level >= filedb.LevelError && level <= filedb.LevelDebug && message != "" {
			heard++
		}
	})
	ok(t, err)
	put(t, db, "key", "value")
	ok(t, db.Merge())
	ok(t, db.Close())
	if heard == 0 {
		t.Fatal("nothing was heard")
	}
	_, err = filedb.OpenLogged("", nil, func(filedb.Level, string) {})
	fails(t, err, filedb.ErrInvalidArgument)
}

func TestErrorsSayWhatAndWhere(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "store")
	db, err := filedb.Open(path, nil)
	ok(t, err)
	for i := 0; i < 100; i++ {
		put(t, db, fmt.Sprint("key", i), fmt.Sprint("value", i))
	}
	_, err = filedb.Open(path, nil)
	fails(t, err, filedb.ErrLocked)
	fails(t, db.Put(nil, nil), filedb.ErrInvalidArgument)
	fails(t, db.Put(make([]byte, 65537), nil), filedb.ErrTooLarge)
	ok(t, db.Close())

	_, err = filedb.Open(path, filedb.Options{"error_if_exists": "true"})
	fails(t, err, filedb.ErrExists, fs.ErrExist)
	_, err = filedb.Open(filepath.Join(directory, "absent"), filedb.Options{"create_if_missing": "false"})
	fails(t, err, filedb.ErrMissing, fs.ErrNotExist, syscall.ENOENT)
	_, err = filedb.Open(path, filedb.Options{"sink": "always"})
	fails(t, err, filedb.ErrInvalidArgument)
	_, err = filedb.Open("a\x00b", nil)
	fails(t, err, filedb.ErrInvalidArgument)
	_, err = filedb.Open(path, filedb.Options{"sync": "always\x00"})
	fails(t, err, filedb.ErrInvalidArgument)
	ok(t, os.WriteFile(filepath.Join(directory, "file"), nil, 0o600))
	_, err = filedb.Open(filepath.Join(directory, "file", "store"), nil)
	fails(t, err, filedb.ErrIO, syscall.ENOTDIR)
	var said *filedb.Error
	if !errors.As(err, &said) || said.Op != "open" || said.Errno != syscall.ENOTDIR {
		t.Fatalf("%#v", err)
	}

	readOnly, err := filedb.Open(path, filedb.Options{"read_only": "true"})
	ok(t, err)
	fails(t, readOnly.Put([]byte("key"), nil), filedb.ErrReadOnly, fs.ErrPermission)
	ok(t, readOnly.Close())

	// Damage, and a walk that goes on behind it.
	files, err := filepath.Glob(filepath.Join(path, "*.data"))
	ok(t, err)
	content, err := os.ReadFile(files[0])
	ok(t, err)
	at := bytes.Index(content, []byte("value50"))
	content[at] ^= 1
	ok(t, os.WriteFile(files[0], content, 0o600))
	db, err = filedb.Open(path, nil)
	ok(t, err)
	defer db.Close()
	_, err = db.Get([]byte("key50"))
	fails(t, err, filedb.ErrCorrupt)
	if !errors.As(err, &said) || said.FileID == 0 || said.Offset == 0 || said.Offset > uint64(at) {
		t.Fatalf("%#v", err)
	}
	_, err = db.GetMany([][]byte{[]byte("key1"), []byte("key50")})
	fails(t, err, filedb.ErrCorrupt)
	fails(t, db.Fold(func(key, value []byte) bool { return true }), filedb.ErrCorrupt)
	walk, err := db.Iterate(nil)
	ok(t, err)
	rows, damaged := 0, 0
	for {
		for walk.Next() {
			rows++
		}
		if walk.Err() == nil {
			break
		}
		fails(t, walk.Err(), filedb.ErrCorrupt)
		damaged++
	}
	same(t, []int{rows, damaged}, []int{99, 1})
	ok(t, walk.Close())
}

func TestEveryCodeHasASentence(t *testing.T) {
	for code := filedb.ErrClosed; code <= filedb.ErrNotFound; code++ {
		if code != 0 && len(code.Error()) < len("filedb: ")+3 {
			t.Errorf("%d says '%v'", int(code), code)
		}
	}
	same(t, filedb.ErrNotFound, "filedb: there is no such key")
}

func TestAClosedStoreSaysSo(t *testing.T) {
	db := open(t, nil)
	for i := 0; i < 2000; i++ {
		put(t, db, fmt.Sprint(i), "value")
	}
	walk, err := db.Iterate(nil)
	ok(t, err)
	same(t, walk.Next(), true)
	batch, key := filedb.NewBatch(), []byte("key")
	ok(t, db.Close())
	verbs := map[string]func() error{
		"Put":        func() error { return db.Put(key, nil) },
		"PutWith":    func() error { _, err := db.PutWith(key, nil, filedb.PutOptions{}); return err },
		"Delete":     func() error { _, err := db.Delete(key); return err },
		"Get":        func() error { _, err := db.Get(key); return err },
		"GetInto":    func() error { _, err := db.GetInto(key, nil); return err },
		"GetMany":    func() error { _, err := db.GetMany([][]byte{key}); return err },
		"Pin":        func() error { _, err := db.Pin(key); return err },
		"Has":        func() error { _, err := db.Has(key); return err },
		"Keys":       func() error { _, err := db.Keys(nil); return err },
		"SortedKeys": func() error { _, err := db.SortedKeys(nil); return err },
		"Count":      func() error { _, err := db.Count(); return err },
		"Sync":       db.Sync,
		"Merge":      db.Merge,
		"Stats":      func() error { _, err := db.Stats(); return err },
		"TTL":        func() error { _, err := db.TTL(key); return err },
		"Expire":     func() error { _, err := db.Expire(key, 1); return err },
		"Persist":    func() error { _, err := db.Persist(key); return err },
		"Write":      func() error { return db.Write(batch) },
		"Iterate":    func() error { _, err := db.Iterate(nil); return err },
		"Fold":       func() error { return db.Fold(nil) },
		"Close":      db.Close,
	}
	for name, verb := range verbs {
		if err := verb(); !errors.Is(err, filedb.ErrClosed) {
			t.Errorf("%s answers '%v'", name, err)
		}
	}
	for walk.Next() {
	}
	fails(t, walk.Err(), filedb.ErrClosed)
	ok(t, walk.Close())
	ok(t, walk.Close())
	same(t, walk.Next(), false)
	fails(t, walk.Err(), filedb.ErrClosed)
}

func TestEndsInAnyOrder(t *testing.T) {
	both(t, func(t *testing.T, db *filedb.Store) {
		path := filepath.Join(t.TempDir(), "store")
		for order := 0; order < 6; order++ {
			db, err := filedb.Open(path, filedb.Options{"io": "mmap"})
			ok(t, err)
			for i := 0; i < 2000; i++ {
				put(t, db, fmt.Sprint(i), "value")
			}
			walk, err := db.Iterate(nil)
			ok(t, err)
			walk.Next()
			pin, err := db.Pin([]byte("7"))
			ok(t, err)
			ends := []func() error{db.Close, walk.Close, pin.Close}
			for i, end := range []int{order % 3, (order%3 + 1 + order/3) % 3, (order%3 + 2 - order/3) % 3} {
				if i == 0 && end != 2 || i == 1 && order%3 != 2 && end != 2 {
					same(t, string(pin.Bytes()), "value")
				}
				ok(t, ends[end]())
			}
		}
	})
}

func TestTheGarbageCollectorEndsInAnyOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	for round := 0; round < 20; round++ {
		func() {
			db := openOnceCollected(t, path)
			put(t, db, fmt.Sprint(round), "value")
			is(t, uint64(round+1))(db.Count())
			for i := 0; i < 10; i++ {
				walk, err := db.Iterate(nil)
				ok(t, err)
				walk.Next()
				ok(t, filedb.NewBatch().Put([]byte("key"), nil))
			}
		}()
	}
	ok(t, openOnceCollected(t, path).Close())
}

// Opens a store that a handle nobody holds may still have open: the collector has closed it, or does it now.
func openOnceCollected(t *testing.T, path string) *filedb.Store {
	t.Helper()
	db, err := filedb.Open(path, nil)
	for errors.Is(err, filedb.ErrLocked) {
		runtime.GC()
		runtime.Gosched()
		db, err = filedb.Open(path, nil)
	}
	ok(t, err)
	return db
}

func TestAWalkKeepsItsStoreOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	walk := func() *filedb.Iterator {
		db, err := filedb.Open(path, nil)
		ok(t, err)
		for i := 0; i < 2000; i++ {
			put(t, db, fmt.Sprint(i), "value")
		}
		walk, err := db.Iterate(nil)
		ok(t, err)
		return walk
	}()
	rows := 0
	for ; walk.Next(); rows++ {
		if rows%500 == 0 {
			runtime.GC()
		}
	}
	ok(t, walk.Err())
	same(t, rows, 2000)
	walk.Close()
	walk = nil
	// The directory must not be removed while the collector closes the store in it.
	ok(t, openOnceCollected(t, path).Close())
}

func TestGoroutinesShareAStore(t *testing.T) {
	both(t, func(t *testing.T, db *filedb.Store) {
		var all sync.WaitGroup
		for g := 0; g < 8; g++ {
			all.Add(1)
			go func(g int) {
				defer all.Done()
				for i := 0; i < 500; i++ {
					key := []byte(fmt.Sprint(g, "/", i))
					if err := db.Put(key, key); err != nil {
						t.Error(err)
					}
					if got, err := db.Get(key); err != nil || !bytes.Equal(got, key) {
						t.Errorf("%s is %s (%v)", key, got, err)
					}
				}
			}(g)
		}
		all.Wait()
		is(t, uint64(4000))(db.Count())
	})
}

func TestCloseDuringCalls(t *testing.T) {
	for round := 0; round < 20; round++ {
		db := open(t, nil)
		put(t, db, "key", "value")
		var all sync.WaitGroup
		for g := 0; g < 4; g++ {
			all.Add(1)
			go func() {
				defer all.Done()
				for {
					if _, err := db.Get([]byte("key")); err != nil {
						if !errors.Is(err, filedb.ErrClosed) {
							t.Error(err)
						}
						return
					}
				}
			}()
		}
		runtime.Gosched()
		ok(t, db.Close())
		all.Wait()
	}
}

func TestBytesInsideOfAStructWithPointersMayBeKeys(t *testing.T) {
	// cgo refuses pointers to memory that has Go pointers in it, unless it is told which bytes are meant.
	one := &struct {
		name *string
		key  [3]byte
	}{new(string), [3]byte{'k', 'e', 'y'}}
	db := open(t, nil)
	ok(t, db.Put(one.key[:], one.key[:]))
	is(t, true)(db.Has(one.key[:]))
	same(t, contents(t, db), map[string]string{"key": "key"})
}
