package filedb_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	filedb "example.com/filedb/bindings/go"
)

func TestDamageIsFoundAndTheRestIsSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	db, err := filedb.Open(path, nil)
	ok(t, err)
	for i := 0; i < 100; i++ {
		ok(t, db.Put([]byte{byte(i)}, []byte("value")))
	}
	ok(t, db.Put([]byte("lost"), []byte("a value that is damaged")))
	report, err := filedb.Check(path, nil)
	ok(t, err)
	same(t, report.DamagedPlaces, uint64(0))
	ok(t, db.Close())

	files, err := filepath.Glob(filepath.Join(path, "*.data"))
	ok(t, err)
	content, err := os.ReadFile(files[0])
	ok(t, err)
	content[bytes.Index(content, []byte("a value that"))] ^= 1
	ok(t, os.WriteFile(files[0], content, 0o600))

	var found []filedb.Finding
	report, err = filedb.Check(path, func(finding filedb.Finding) bool { found = append(found, finding); return true })
	ok(t, err)
	same(t, []uint64{report.DamagedPlaces, report.KeysLost}, []uint64{1, 1})
	same(t, len(found), 1)
	same(t, string(found[0].Key), "lost")
	same(t, found[0].Severity, filedb.DataLost)
	same(t, found[0].File, filepath.Base(files[0]))

	saved := filepath.Join(t.TempDir(), "saved")
	_, err = filedb.Salvage(path, saved, func(filedb.Finding) bool { return false })
	fails(t, err, filedb.ErrCorrupt)
	report, err = filedb.Salvage(path, saved, nil)
	ok(t, err)
	same(t, report.Keys, uint64(100))
	_, err = filedb.Salvage(path, saved, nil)
	fails(t, err, filedb.ErrExists)
	_, err = filedb.Check(filepath.Join(t.TempDir(), "absent"), nil)
	fails(t, err, filedb.ErrMissing)
}

func TestAPanicGoesThroughACheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	db, err := filedb.Open(path, nil)
	ok(t, err)
	ok(t, db.Put([]byte("key"), []byte("value")))
	ok(t, db.Close())
	ok(t, os.WriteFile(filepath.Join(path, "MANIFEST"), []byte("damaged"), 0o600))
	defer func() { same(t, recover(), any("enough")) }()
	filedb.Check(path, func(filedb.Finding) bool { panic("enough") })
	t.Fatal("Check returned")
}
