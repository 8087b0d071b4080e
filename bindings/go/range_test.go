package filedb

import (
	"errors"
	"testing"
)

func TestAStoreWithoutKeyOrderRefusesRangesAndChangesNothing(t *testing.T) {
	db, err := Open("memory://", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Put([]byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	if _, err := db.IterateRange(Range{From: []byte("a"), To: []byte{}, ToIncluded: true}); !errors.Is(err, ErrUnsupported) {
		t.Fatal(err)
	}
	if err := db.DeleteRange(Range{}); !errors.Is(err, ErrUnsupported) {
		t.Fatal(err)
	}
	rows, err := db.Iterate(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if err := rows.Seek([]byte("k")); !errors.Is(err, ErrUnsupported) {
		t.Fatal(err)
	}
	if !rows.Next() || string(rows.Key()) != "k" {
		t.Fatal("the walk did not stay where it was")
	}
}
