package filedb_test

import (
	"path/filepath"
	"runtime"
	"testing"

	filedb "example.com/filedb/bindings/go"
)

// A struct can be copied in Go, and nobody can forbid it. A copy that owned the handle too would end it a second time.

func TestACopyOfAStoreIsTheSameStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	heard := 0
	db, err := filedb.OpenLogged(path, nil, func(filedb.Level, string) { heard++ })
	ok(t, err)
	copied := *db
	ok(t, copied.Put([]byte("key"), []byte("value")))
	is(t, true)(db.Has([]byte("key")))
	ok(t, db.Close())
	_, err = copied.Get([]byte("key"))
	fails(t, err, filedb.ErrClosed)
	fails(t, copied.Put([]byte("key"), nil), filedb.ErrClosed)
	fails(t, copied.Close(), filedb.ErrClosed) // and the log is not let go of twice, which panics
	// After so many other stores the library no longer knows that handle.
	for i := 0; i < 1100; i++ {
		again, err := filedb.Open(path, filedb.Options{"read_only": "true"})
		ok(t, err)
		ok(t, again.Close())
	}
	_, err = copied.Get([]byte("key"))
	fails(t, err, filedb.ErrClosed)
}

func TestAStoreIsOpenForAsLongAsACopyOfItIsUsed(t *testing.T) {
	copied := func() filedb.Store {
		db, err := filedb.Open(filepath.Join(t.TempDir(), "store"), nil)
		ok(t, err)
		return *db
	}()
	for i := 0; i < 3; i++ {
		runtime.GC() // finalizers of what is left over from the first run before the third
		runtime.Gosched()
		ok(t, copied.Put([]byte("key"), []byte("value")))
	}
	ok(t, copied.Close())
}

func TestACopyOfABatchIsTheSameBatch(t *testing.T) {
	db := open(t, nil)
	batch := filedb.NewBatch()
	copied := *batch
	ok(t, copied.Put([]byte("key"), []byte("value")))
	ok(t, db.Write(batch))
	is(t, uint64(1))(db.Count())
	batch.Close()
	copied.Clear()
	fails(t, copied.Put([]byte("key"), nil), filedb.ErrClosed)
	fails(t, db.Write(&copied), filedb.ErrClosed)
	copied.Close()
}

func TestACopyOfAWalkIsTheSameWalk(t *testing.T) {
	db := open(t, nil)
	put(t, db, "a", "1")
	put(t, db, "b", "2")
	walk, err := db.Iterate(nil)
	ok(t, err)
	copied := *walk
	same(t, walk.Next() && copied.Next(), true)
	same(t, string(walk.Key()), string(copied.Key()))
	same(t, walk.Next() || copied.Next(), false)
	ok(t, walk.Close())
	same(t, copied.Next(), false)
	same(t, len(copied.Value()), 0)
	ok(t, copied.Close())
}

func TestACopyOfAPinnedValueIsUnpinnedOnce(t *testing.T) {
	db := open(t, nil)
	put(t, db, "key", "value")
	pin, err := db.Pin([]byte("key"))
	ok(t, err)
	copied := *pin
	same(t, string(copied.Bytes()), "value")
	ok(t, pin.Close())
	same(t, len(copied.Bytes()), 0)
	ok(t, copied.Close())
}

func TestWhatWasNotMadeHereIsClosed(t *testing.T) {
	var db filedb.Store
	var batch filedb.Batch
	var walk filedb.Iterator
	var pin filedb.Pinned
	_, err := db.Get([]byte("key"))
	fails(t, err, filedb.ErrClosed)
	fails(t, db.Close(), filedb.ErrClosed)
	fails(t, batch.Put([]byte("key"), nil), filedb.ErrClosed)
	fails(t, open(t, nil).Write(&batch), filedb.ErrClosed)
	batch.Clear()
	batch.Close()
	same(t, walk.Next() || walk.NextRow() || len(walk.Key()) > 0 || len(walk.Value()) > 0, false)
	fails(t, walk.Err(), filedb.ErrClosed)
	ok(t, walk.Close())
	same(t, len(pin.Bytes()), 0)
	ok(t, pin.Close())
}
