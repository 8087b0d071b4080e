package filedb

/*
#include "shim.h"
*/
import "C"

import (
	"runtime"
	"runtime/cgo"
	"unsafe"
)

// Iterator is a walk through keys and values as they were when it began; there is no order that means anything.
//
//	walk, err := db.Iterate([]byte("user/"))
//	if err != nil {
//		return err
//	}
//	defer walk.Close()
//	for walk.Next() {
//		fmt.Printf("%s = %s\n", walk.Key(), walk.Value())
//	}
//	return walk.Err()
//
// It blocks neither writers nor merges, but holds on to what they replace: close it soon. Rows come many for one call of
// C. It is for one goroutine at a time. A copy of the struct is the same walk.
type Iterator struct {
	shared *walk // nil in an Iterator that no Iterate made
}

// walk is what the copies of an Iterator have in common, so that it is ended once.
type walk struct {
	db     *store // so that the store of a forgotten walk is not collected before it
	handle *C.shim_iter

	buffer     []byte     // rows, key and value one after the other
	sizes      []C.size_t // of their keys and values
	used       int        // bytes of the buffer that were shown
	row, rows  int
	key, value []byte
	after      error // what comes after these rows
	done       bool
	err        error
}

const iteratorBuffer = 128 << 10

// Iterate begins a walk through the keys that begin with prefix, all keys for nil.
func (db *Store) Iterate(prefix []byte) (*Iterator, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	made := C.shim_iter_new(handle, pointer(prefix), size(prefix))
	runtime.KeepAlive(db)
	if err := failure("iterate", made.answer); err != nil {
		return nil, err
	}
	shared := &walk{db: db.shared, handle: (*C.shim_iter)(made.data)}
	runtime.SetFinalizer(shared, (*walk).close)
	return &Iterator{shared}, nil
}

// Next goes to the next row. It reports false at the end, and where a row cannot be read, which Err tells about. After
// ErrCorrupt it may be called again: the walk goes on behind the damage.
func (it *Iterator) Next() bool { return it.shared != nil && it.shared.next(C.SHIM_ROWS) }

// NextRow is Next with a call of C for this row alone: for a few rows, of which not even the second is to be read early.
func (it *Iterator) NextRow() bool { return it.shared != nil && it.shared.next(1) }

// Key is the key of the row. It is good until the next step; copy it to keep it.
func (it *Iterator) Key() []byte {
	if it.shared == nil {
		return nil
	}
	return it.shared.key
}

// Value is the value of the row. It is good until the next step; copy it to keep it.
func (it *Iterator) Value() []byte {
	if it.shared == nil {
		return nil
	}
	return it.shared.value
}

// Err is what ended the walk, nil at the end of the rows.
func (it *Iterator) Err() error {
	if it.shared == nil {
		return ErrClosed
	}
	return it.shared.err
}

func (it *walk) next(most int) bool {
	for it.row == it.rows {
		it.key, it.value, it.err = nil, nil, nil
		if it.after != nil {
			it.err, it.after = it.after, nil
			return false
		}
		if it.done {
			return false
		}
		if it.handle == nil {
			it.err = ErrClosed
			return false
		}
		it.fetch(most)
	}
	key, value := int(it.sizes[2*it.row]), int(it.sizes[2*it.row+1])
	middle, end := it.used+key, it.used+key+value
	it.key, it.value, it.err = it.buffer[it.used:middle:middle], it.buffer[middle:end:end], nil
	it.used = end
	it.row++
	return true
}

// fetch gets rows, as many as the buffer takes.
func (it *walk) fetch(most int) {
	if it.buffer == nil {
		it.buffer, it.sizes = make([]byte, iteratorBuffer), make([]C.size_t, 2*C.SHIM_ROWS)
	}
	got := C.shim_iter_copy(it.handle, pointer(it.buffer), size(it.buffer), &it.sizes[0], C.size_t(most))
	runtime.KeepAlive(it)
	it.used, it.row, it.rows = 0, 0, int(got.rows)
	if got.needed > 0 {
		it.buffer = make([]byte, int(got.needed))
	}
	it.after = failure("iterate", got.answer)
	it.done = it.done || got.answer.status == C.FILEDB_DONE
}

// Close ends the walk. Doing it again does nothing.
func (it *Iterator) Close() error {
	if it.shared != nil {
		it.shared.close()
	}
	return nil
}

func (it *walk) close() {
	if it.handle != nil {
		C.shim_iter_free(it.handle)
		runtime.SetFinalizer(it, nil)
	}
	it.handle, it.db, it.row, it.rows, it.key, it.value = nil, nil, 0, 0, nil, nil
}

// Fold calls visit for every key and its value, as they are at one moment, until it returns false. The bytes are the
// library's, and gone when visit returns. It may use the store. C calls Go for each row here, so a walk with Iterate,
// which copies the rows, is faster all the same.
func (db *Store) Fold(visit func(key, value []byte) bool) error {
	handle := db.open()
	if handle == nil {
		return ErrClosed
	}
	fold := &fold{visit: visit}
	pointer := cgo.NewHandle(fold)
	defer pointer.Delete()
	answer := C.shim_fold(handle, C.uintptr_t(pointer))
	runtime.KeepAlive(db)
	if fold.panicked {
		panic(fold.panic)
	}
	return failure("fold", answer)
}

type fold struct {
	visit    func(key, value []byte) bool
	panicked bool
	panic    any
}

// filedbGoVisit is what C calls. A panic must not unwind C, so Fold goes on with it.
//
//export filedbGoVisit
func filedbGoVisit(pointer C.uintptr_t, key unsafe.Pointer, keyLen C.size_t, value unsafe.Pointer, valueLen C.size_t) (stop C.int) {
	fold := cgo.Handle(pointer).Value().(*fold)
	fold.panicked = true
	defer func() {
		if fold.panicked {
			fold.panic, stop = recover(), 1
		}
	}()
	goOn := fold.visit(unsafe.Slice((*byte)(key), int(keyLen)), unsafe.Slice((*byte)(value), int(valueLen)))
	fold.panicked = false
	if goOn {
		return 0
	}
	return 1
}
