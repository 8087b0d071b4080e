//go:build go1.23

package filedb_test

import (
	"testing"

	filedb "example.com/filedb/bindings/go"
)

func TestAllShowsWhatIterateShowsAndCanBeLeft(t *testing.T) {
	db, err := filedb.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, key := range []string{"user/a", "user/b", "other"} {
		if err := db.Put([]byte(key), []byte("of "+key)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]string{}
	for row, err := range db.All([]byte("user/")) {
		if err != nil {
			t.Fatal(err)
		}
		seen[string(row.Key)] = string(row.Value)
	}
	if len(seen) != 2 || seen["user/a"] != "of user/a" || seen["user/b"] != "of user/b" {
		t.Fatalf("the walk showed %v", seen)
	}
	for range db.All(nil) {
		break
	}
	db.Close()
	for _, err := range db.All(nil) {
		if err == nil {
			t.Fatal("a closed store shows a row")
		}
	}
}
