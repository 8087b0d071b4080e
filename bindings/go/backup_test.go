package filedb_test

import (
	"errors"
	"path/filepath"
	"testing"

	filedb "example.com/filedb/bindings/go"
)

func TestAStoreInUseIsCopied(t *testing.T) {
	home := t.TempDir()
	db, err := filedb.Open(filepath.Join(home, "store"), nil)
	ok(t, err)
	ok(t, db.Put([]byte("planet"), []byte("earth")))
	to := filepath.Join(home, "backup")
	ok(t, db.Backup(to, filedb.BackupOptions{}))
	ok(t, db.Put([]byte("planet"), []byte("mars")))
	ok(t, db.Backup(to, filedb.BackupOptions{Copy: true}))
	copied, err := filedb.Open(to, filedb.Options{"read_only": "true"})
	ok(t, err)
	value, err := copied.Get([]byte("planet"))
	ok(t, err)
	same(t, string(value), "mars")
	ok(t, copied.Close())
	if err := db.Backup(filepath.Join(home, "store"), filedb.BackupOptions{}); !errors.Is(err, filedb.ErrInvalidArgument) {
		t.Fatalf("a backup into the store itself: %v", err)
	}
	ok(t, db.Close())
}
