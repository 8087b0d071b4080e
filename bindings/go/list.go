package filedb

/*
#include "shim.h"
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Type is what a key holds.
type Type int32

const (
	TypeValue Type = C.FILEDB_TYPE_VALUE // a value
	TypeList  Type = C.FILEDB_TYPE_LIST  // a list of values
)

// Capabilities are what a store can do, or-ed; what it cannot do answers ErrUnsupported.
type Capabilities uint64

const (
	CanOrder    Capabilities = C.FILEDB_CAN_ORDER    // iterators run in the order of keys
	CanSnapshot Capabilities = C.FILEDB_CAN_SNAPSHOT // an iterator sees one moment
	CanBatch    Capabilities = C.FILEDB_CAN_BATCH    // a batch is all or nothing, whatever its keys
	CanSync     Capabilities = C.FILEDB_CAN_SYNC     // writes can be made durable
	CanMerge    Capabilities = C.FILEDB_CAN_MERGE    // Merge
	CanPin      Capabilities = C.FILEDB_CAN_PIN      // pinned values are not copies
)

// Capabilities returns what the store can do.
func (db *Store) Capabilities() (Capabilities, error) {
	handle := db.open()
	if handle == nil {
		return 0, ErrClosed
	}
	got := C.shim_capabilities(handle)
	runtime.KeepAlive(db)
	return Capabilities(got.number), failure("capabilities", got.answer)
}

// Type returns what key holds, or ErrNotFound.
func (db *Store) Type(key []byte) (Type, error) {
	handle := db.open()
	if handle == nil {
		return 0, ErrClosed
	}
	got := C.shim_type(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	return Type(got.number), outcome("type", got.answer)
}

// PushBack adds value behind the last element of the list key, which is made where there is none. It returns the new
// length. Where the key holds a value the error is ErrWrongType.
func (db *Store) PushBack(key, value []byte) (uint64, error) {
	handle := db.open()
	if handle == nil {
		return 0, ErrClosed
	}
	got := C.shim_push_back(handle, pointer(key), size(key), pointer(value), size(value))
	runtime.KeepAlive(db)
	return uint64(got.number), failure("push", got.answer)
}

// PushFront is PushBack at the other end.
func (db *Store) PushFront(key, value []byte) (uint64, error) {
	handle := db.open()
	if handle == nil {
		return 0, ErrClosed
	}
	got := C.shim_push_front(handle, pointer(key), size(key), pointer(value), size(value))
	runtime.KeepAlive(db)
	return uint64(got.number), failure("push", got.answer)
}

// PopBack takes the last element of the list key out, or returns ErrNotFound. With its last element a list is gone.
func (db *Store) PopBack(key []byte) ([]byte, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	got := C.shim_pop_back(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	return taken("pop", got)
}

// PopFront is PopBack at the other end.
func (db *Store) PopFront(key []byte) ([]byte, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	got := C.shim_pop_front(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	return taken("pop", got)
}

// MoveEnds says between which ends ListMove moves an element.
type MoveEnds uint32

const (
	FrontToBack  MoveEnds = 0
	BackToBack   MoveEnds = C.FILEDB_MOVE_FROM_BACK
	FrontToFront MoveEnds = C.FILEDB_MOVE_TO_FRONT
	BackToFront  MoveEnds = C.FILEDB_MOVE_FROM_BACK | C.FILEDB_MOVE_TO_FRONT
)

// ListMove takes an element out of the list from and adds it to the list to, in one step: at every moment, and after a
// crash, it is in one of the two, and in one only. It returns the element, or ErrNotFound where there is no list from.
func (db *Store) ListMove(from, to []byte, ends MoveEnds) ([]byte, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	got := C.shim_list_move(handle, pointer(from), size(from), pointer(to), size(to), C.uint32_t(ends))
	runtime.KeepAlive(db)
	return taken("list move", got)
}

// taken is the value in memory of C's that is freed, or why there is none.
func taken(op string, got C.shim_value) ([]byte, error) {
	if got.answer.status != C.FILEDB_OK {
		return nil, outcome(op, got.answer)
	}
	defer C.filedb_free(got.data)
	return copyOf(got.data, C.size_t(got.number)), nil
}

// ListLength returns the number of elements of the list key, or ErrNotFound.
func (db *Store) ListLength(key []byte) (uint64, error) {
	handle := db.open()
	if handle == nil {
		return 0, ErrClosed
	}
	got := C.shim_list_length(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	return uint64(got.number), outcome("list length", got.answer)
}

// ListGet returns the element at index, counted from the end where it is negative: -1 is the last; or ErrNotFound.
func (db *Store) ListGet(key []byte, index int64) ([]byte, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	got := C.shim_list_get(handle, pointer(key), size(key), C.int64_t(index))
	runtime.KeepAlive(db)
	return taken("list get", got)
}

// ListSet replaces the element at index. It reports whether there is such an element.
func (db *Store) ListSet(key []byte, index int64, value []byte) (bool, error) {
	handle := db.open()
	if handle == nil {
		return false, ErrClosed
	}
	answer := C.shim_list_set(handle, pointer(key), size(key), C.int64_t(index), pointer(value), size(value))
	runtime.KeepAlive(db)
	return answer.status == C.FILEDB_OK, failure("list set", answer)
}

// ListRange returns the elements from index first to index last, both included, or ErrNotFound where there is no list.
func (db *Store) ListRange(key []byte, first, last int64) ([][]byte, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	got := C.shim_list_range(handle, pointer(key), size(key), C.int64_t(first), C.int64_t(last))
	runtime.KeepAlive(db)
	if got.answer.status != C.FILEDB_OK {
		return nil, outcome("list range", got.answer)
	}
	defer C.filedb_free(got.data)
	values := make([][]byte, int(got.number))
	for i, value := range unsafe.Slice((*C.filedb_slice_t)(got.data), int(got.number)) {
		values[i] = copyOf(value.data, value.len)
	}
	return values, nil
}

// GetDelete removes key and returns its value, in one step; or ErrNotFound.
func (db *Store) GetDelete(key []byte) ([]byte, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	got := C.shim_get_delete(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	return taken("get delete", got)
}

// CompareAndSwap gives key the value desired, or removes it where that is nil, if it holds expected, or nothing where that
// is nil; in one step. It reports whether it did. An empty value is not nil.
func (db *Store) CompareAndSwap(key, expected, desired []byte) (bool, error) {
	handle := db.open()
	if handle == nil {
		return false, ErrClosed
	}
	answer := C.shim_compare_and_swap(handle, pointer(key), size(key), there(expected), pointer(expected), size(expected),
		there(desired), pointer(desired), size(desired))
	runtime.KeepAlive(db)
	return answer.status == C.FILEDB_OK, failure("compare and swap", answer)
}

func there(value []byte) C.int {
	if value == nil {
		return 0
	}
	return 1
}

// Increment adds by to the number that key holds as decimal text, 0 where there is none, and returns the sum; in one step.
func (db *Store) Increment(key []byte, by int64) (int64, error) {
	handle := db.open()
	if handle == nil {
		return 0, ErrClosed
	}
	got := C.shim_increment(handle, pointer(key), size(key), C.int64_t(by))
	runtime.KeepAlive(db)
	return int64(got.number), failure("increment", got.answer)
}

// Update shows what key has to change, nil where there is nothing, and stores what that returns, or with nil removes the
// key. Where another write comes between, change is called again.
func (db *Store) Update(key []byte, change func(value []byte) ([]byte, error)) error {
	for {
		before, err := db.Get(key)
		if err == ErrNotFound {
			before, err = nil, nil
		}
		if err != nil {
			return err
		}
		after, err := change(before)
		if err != nil {
			return err
		}
		if swapped, err := db.CompareAndSwap(key, before, after); swapped || err != nil {
			return err
		}
	}
}

// PushBack adds a push to the back of a list.
func (b *Batch) PushBack(key, value []byte) error {
	handle, err := b.open()
	if err != nil {
		return err
	}
	answer := C.shim_batch_push_back(handle, pointer(key), size(key), pointer(value), size(value))
	runtime.KeepAlive(b)
	return failure("batch push", answer)
}

// PushFront adds a push to the front of a list.
func (b *Batch) PushFront(key, value []byte) error {
	handle, err := b.open()
	if err != nil {
		return err
	}
	answer := C.shim_batch_push_front(handle, pointer(key), size(key), pointer(value), size(value))
	runtime.KeepAlive(b)
	return failure("batch push", answer)
}

// Type is what the key of the row holds; for a list the value is empty. Only after NextRow: Next reads rows ahead.
func (it *Iterator) Type() (Type, error) {
	if it.shared == nil || it.shared.handle == nil {
		return 0, ErrClosed
	}
	got := C.shim_iter_type(it.shared.handle)
	runtime.KeepAlive(it)
	return Type(got.number), outcome("type", got.answer)
}
