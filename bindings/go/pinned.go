package filedb

/*
#include "shim.h"
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Pinned is a value that is read where it lies, and stays there, also when its key gets another value and when the store
// is closed, until Close. The data file that holds it keeps its room on the disk meanwhile.
//
// Its bytes are not Go's, and the garbage collector does not know who looks at them, so it does not close it either:
// always do. A copy of the struct is the same value, and closed with it.
type Pinned struct {
	shared *C.filedb_pinned_t // what the copies have in common; nil in a Pinned that no Pin made
}

// Pin returns the value of key without copying it, or ErrNotFound.
func (db *Store) Pin(key []byte) (*Pinned, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	got := C.shim_get_pinned(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	if got.answer.status != C.FILEDB_OK {
		return nil, outcome("pin", got.answer)
	}
	pinned := got.pinned
	return &Pinned{&pinned}, nil
}

// Bytes is the value, to be read and not written to, until Close.
func (p *Pinned) Bytes() []byte {
	if p.shared == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p.shared.data), int(p.shared.len))
}

// Close gives the value back. Slices of it must not be used any more. Doing it again does nothing.
func (p *Pinned) Close() error {
	if p.shared != nil {
		C.shim_unpin(*p.shared)
		*p.shared = C.filedb_pinned_t{}
	}
	return nil
}
