package filedb

/*
#include "shim.h"
*/
import "C"

import "runtime"

// Range is the keys between two bounds, compared by their bytes; its zero value is all keys. A nil bound is none.
type Range struct {
	From, To     []byte // the first key, and the key behind the last
	FromExcluded bool   // From is not in the range
	ToIncluded   bool   // To is in the range
	Reverse      bool   // a walk begins with the last key
}

func (r *Range) flags() C.uint32_t {
	var flags C.uint32_t
	for _, flag := range []struct {
		set bool
		bit C.uint32_t
	}{
		{r.From != nil, C.SHIM_FROM},
		{r.To != nil, C.SHIM_TO},
		{r.FromExcluded, C.FILEDB_RANGE_FROM_EXCLUDED},
		{r.ToIncluded, C.FILEDB_RANGE_TO_INCLUDED},
		{r.Reverse, C.FILEDB_RANGE_REVERSE},
	} {
		if flag.set {
			flags |= flag.bit
		}
	}
	return flags
}

// IterateRange begins a walk through the keys of a range, in their order. A store without CanOrder answers ErrUnsupported.
func (db *Store) IterateRange(r Range) (*Iterator, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	made := C.shim_range_new(handle, pointer(r.From), size(r.From), pointer(r.To), size(r.To), r.flags())
	runtime.KeepAlive(db)
	if err := failure("iterate range", made.answer); err != nil {
		return nil, err
	}
	shared := &walk{db: db.shared, handle: (*C.shim_iter)(made.data)}
	runtime.SetFinalizer(shared, (*walk).close)
	return &Iterator{shared}, nil
}

// DeleteRange deletes all keys of a range as one write. A store without CanOrder answers ErrUnsupported.
func (db *Store) DeleteRange(r Range) error {
	handle := db.open()
	if handle == nil {
		return ErrClosed
	}
	answer := C.shim_delete_range(handle, pointer(r.From), size(r.From), pointer(r.To), size(r.To), r.flags())
	runtime.KeepAlive(db)
	return failure("delete range", answer)
}

// Seek lets the next step give the first key of the walk that is not before key; in a reverse walk, the last that is not
// behind it. A walk of a store without CanOrder stays where it is, and answers ErrUnsupported.
func (it *Iterator) Seek(key []byte) error {
	if it.shared == nil || it.shared.handle == nil {
		return ErrClosed
	}
	answer := C.shim_iter_seek(it.shared.handle, pointer(key), size(key))
	runtime.KeepAlive(it)
	if err := failure("seek", answer); err != nil {
		return err
	}
	it.shared.moved()
	return nil
}

// moved forgets the rows that were read ahead.
func (it *walk) moved() {
	it.used, it.row, it.rows, it.key, it.value = 0, 0, 0, nil, nil
	it.after, it.done, it.err = nil, false, nil
}
