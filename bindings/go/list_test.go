package filedb

import (
	"errors"
	"strconv"
	"sync"
	"testing"
)

func TestListsAndChangesInOneStep(t *testing.T) {
	for _, url := range []string{"memory://", "file://" + t.TempDir() + "/store"} {
		db, err := Open(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		key := []byte("jobs")
		if _, err := db.PopFront(key); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		for i, value := range []string{"b", "c"} {
			if n, err := db.PushBack(key, []byte(value)); err != nil || n != uint64(i+1) {
				t.Fatal(n, err)
			}
		}
		if n, err := db.PushFront(key, []byte("a")); err != nil || n != 3 {
			t.Fatal(n, err)
		}
		batch := NewBatch()
		if err := batch.PushBack(key, []byte("d")); err != nil {
			t.Fatal(err)
		}
		if err := batch.PushFront(key, nil); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(batch); err != nil {
			t.Fatal(err)
		}
		values, err := db.ListRange(key, 1, -1)
		if err != nil || len(values) != 4 || string(values[3]) != "d" {
			t.Fatal(values, err)
		}
		if ok, err := db.ListSet(key, -1, []byte("e")); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if value, err := db.ListGet(key, 4); err != nil || string(value) != "e" {
			t.Fatal(value, err)
		}
		if n, err := db.ListLength(key); err != nil || n != 5 {
			t.Fatal(n, err)
		}
		if kind, err := db.Type(key); err != nil || kind != TypeList {
			t.Fatal(kind, err)
		}
		if _, err := db.Get(key); !errors.Is(err, ErrWrongType) {
			t.Fatal(err)
		}
		rows, err := db.Iterate(nil)
		if err != nil || !rows.NextRow() {
			t.Fatal(rows.Err())
		}
		if kind, err := rows.Type(); err != nil || kind != TypeList || len(rows.Value()) != 0 {
			t.Fatal(kind, err)
		}
		rows.Close()
		if value, err := db.PopBack(key); err != nil || string(value) != "e" {
			t.Fatal(value, err)
		}
		if value, err := db.ListMove(key, []byte("running"), BackToFront); err != nil || string(value) == "" {
			t.Fatal(value, err)
		}
		if value, err := db.ListGet([]byte("running"), 0); err != nil || len(value) == 0 {
			t.Fatal(value, err)
		}
		if _, err := db.ListMove([]byte("no such list"), key, FrontToBack); err != ErrNotFound {
			t.Fatal(err)
		}
		if can, err := db.Capabilities(); err != nil || can&CanBatch == 0 || (can&CanSync == 0) != (url == "memory://") {
			t.Fatal(can, err)
		}
		if ok, err := db.CompareAndSwap([]byte("cas"), nil, []byte("1")); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if ok, err := db.CompareAndSwap([]byte("cas"), nil, []byte("2")); ok || err != nil {
			t.Fatal(ok, err)
		}
		if value, err := db.GetDelete([]byte("cas")); err != nil || string(value) != "1" {
			t.Fatal(value, err)
		}
		updateTriesAgain(t, db)
		var all sync.WaitGroup
		for i := 0; i < 4; i++ {
			all.Add(1)
			go func() {
				defer all.Done()
				for n := 0; n < 200; n++ {
					if _, err := db.Increment([]byte("hits"), 1); err != nil {
						t.Error(err)
					}
					err := db.Update([]byte("updates"), func(value []byte) ([]byte, error) {
						n, _ := strconv.Atoi(string(value))
						return []byte(strconv.Itoa(n + 1)), nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			}()
		}
		all.Wait()
		for _, counter := range []string{"hits", "updates"} {
			if value, err := db.Get([]byte(counter)); err != nil || string(value) != "800" {
				t.Fatal(counter, string(value), err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Somebody else writes while the key is changed for the first time; the second time sees what that wrote.
func updateTriesAgain(t *testing.T, db *Store) {
	key, seen := []byte("update"), []string{}
	err := db.Update(key, func(value []byte) ([]byte, error) {
		if len(seen) == 0 {
			if value != nil {
				t.Errorf("there is %q before the first write", value)
			}
			if err := db.Put(key, []byte("other")); err != nil {
				t.Error(err)
			}
		}
		seen = append(seen, string(value))
		return []byte("late"), nil
	})
	if err != nil || len(seen) != 2 || seen[1] != "other" {
		t.Fatal(seen, err)
	}
	failed := errors.New("no")
	if err := db.Update(key, func([]byte) ([]byte, error) { return nil, failed }); err != failed {
		t.Fatal(err)
	}
	if value, err := db.Get(key); err != nil || string(value) != "late" {
		t.Fatal(string(value), err)
	}
	if err := db.Update(key, func([]byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get(key); err != ErrNotFound {
		t.Fatal(err)
	}
}
