package filedb_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	filedb "example.com/filedb/bindings/go"
)

func TestChangesAreFollowed(t *testing.T) {
	db, err := filedb.Open(filepath.Join(t.TempDir(), "store"), nil)
	ok(t, err)
	ok(t, db.Put([]byte("planet"), []byte("earth")))
	seq, err := db.LastSeq()
	ok(t, err)
	changes, err := db.Changes(0)
	ok(t, err)
	change, err := changes.Next(time.Second)
	ok(t, err)
	if change.Seq != seq || change.Kind != filedb.ChangePut || !change.Expiry.IsZero() {
		t.Fatalf("%+v", change)
	}
	same(t, string(change.Key)+"="+string(change.Value), "planet=earth")
	if _, err = changes.Next(0); err != filedb.ErrTimeout {
		t.Fatalf("nothing changed: %v", err)
	}
	later := make(chan *filedb.Change)
	go func() {
		change, _ := changes.Next(-1)
		later <- change
	}()
	_, err = db.Delete([]byte("planet"))
	ok(t, err)
	if change = <-later; change.Kind != filedb.ChangeDelete || len(change.Value) != 0 {
		t.Fatalf("%+v", change)
	}
	ok(t, changes.Close())
	ok(t, changes.Close())
	if _, err = changes.Next(0); !errors.Is(err, filedb.ErrClosed) {
		t.Fatalf("after its end: %v", err)
	}
	other, err := db.Changes(seq + 100)
	ok(t, err)
	if _, err = other.Next(0); !errors.Is(err, filedb.ErrGap) {
		t.Fatalf("a number that the store has not given: %v", err)
	}
	ok(t, db.Close())
	if _, err = db.LastSeq(); !errors.Is(err, filedb.ErrClosed) {
		t.Fatalf("after the end of the store: %v", err)
	}
}
