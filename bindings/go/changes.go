package filedb

/*
#include "shim.h"
*/
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// ChangeKind is what was done to a key.
type ChangeKind uint32

// What was done; what each means is said in filedb.h.
const (
	ChangePut       ChangeKind = C.FILEDB_CHANGE_PUT
	ChangeDelete    ChangeKind = C.FILEDB_CHANGE_DELETE
	ChangePushBack  ChangeKind = C.FILEDB_CHANGE_PUSH_BACK
	ChangePushFront ChangeKind = C.FILEDB_CHANGE_PUSH_FRONT
	ChangePopBack   ChangeKind = C.FILEDB_CHANGE_POP_BACK
	ChangePopFront  ChangeKind = C.FILEDB_CHANGE_POP_FRONT
	ChangeExpiry    ChangeKind = C.FILEDB_CHANGE_EXPIRY
)

// Change is one change of a store.
type Change struct {
	Seq        uint64 // who has applied it, and those before it, goes on behind this number
	Kind       ChangeKind
	Time       time.Time // when it was written, by the store's clock
	Expiry     time.Time // of ChangePut and ChangeExpiry: when the key expires; zero for never
	Key, Value []byte
}

// Changes is somebody's way through the changes of a store, in the order in which they happened and without an end.
//
//	changes, err := db.Changes(seq)
//	if err != nil {
//		return err
//	}
//	defer changes.Close()
//	for {
//		change, err := changes.Next(-1)
//		if err != nil {
//			return err // ErrGap: begin anew with a copy of the store
//		}
//		apply(change)
//	}
//
// It is for one goroutine at a time; a Next that waits keeps a thread.
type Changes struct {
	db     *store // so that the store of forgotten changes is not collected before them
	handle *C.filedb_changes_t
}

// LastSeq is the number of the last change: Changes goes on behind it.
func (db *Store) LastSeq() (uint64, error) {
	handle := db.open()
	if handle == nil {
		return 0, ErrClosed
	}
	got := C.shim_last_seq(handle)
	runtime.KeepAlive(db)
	return uint64(got.number), failure("last seq", got.answer)
}

// Changes begins to follow the changes behind a number: 0 for all, or the Seq of the last one that was applied.
func (db *Store) Changes(after uint64) (*Changes, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	made := C.shim_changes_new(handle, C.uint64_t(after))
	runtime.KeepAlive(db)
	if err := failure("changes", made.answer); err != nil {
		return nil, err
	}
	changes := &Changes{db.shared, (*C.filedb_changes_t)(made.data)}
	runtime.SetFinalizer(changes, (*Changes).Close)
	return changes, nil
}

// Next is the next change. It waits for one for up to that long, for ever where that is negative. ErrTimeout says that
// nothing changed in that time, ErrGap that what comes next is not in the store any more, and nothing comes after that.
func (c *Changes) Next(timeout time.Duration) (*Change, error) {
	if c.handle == nil {
		return nil, ErrClosed
	}
	ms := int64(-1)
	if timeout >= 0 {
		ms = int64((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	got := C.shim_changes_next(c.handle, C.int64_t(ms))
	if err := failure("changes", got.answer); err != nil {
		return nil, err
	}
	if got.answer.status != C.FILEDB_OK {
		return nil, Code(got.answer.status)
	}
	from := &got.change
	change := &Change{
		Seq: uint64(from.seq), Kind: ChangeKind(from.kind), Time: time.UnixMilli(int64(from.time_ms)),
		Key: copied(from.key), Value: copied(from.value),
	}
	if from.expiry_ms != 0 {
		change.Expiry = time.UnixMilli(int64(from.expiry_ms))
	}
	runtime.KeepAlive(c)
	return change, nil
}

func copied(slice C.filedb_slice_t) []byte {
	return append([]byte{}, unsafe.Slice((*byte)(slice.data), int(slice.len))...)
}

// Close ends following. Doing it again does nothing.
func (c *Changes) Close() error {
	if c.handle != nil {
		C.shim_changes_free(c.handle)
		runtime.SetFinalizer(c, nil)
	}
	c.handle, c.db = nil, nil
	return nil
}
