package filedb

/*
#include "shim.h"
*/
import "C"

import "runtime"

// Batch is writes that are collected in memory, to happen all or not at all, also across a crash. It belongs to no store
// and may be written any number of times. It is for one goroutine at a time.
type Batch struct {
	handle *C.filedb_batch_t
	failed Code // why there is no handle, if it is not that the batch was closed
}

// NewBatch returns an empty batch. Close frees its memory at once; the garbage collector does so later.
func NewBatch() *Batch {
	b := &Batch{handle: C.filedb_batch_new()}
	if b.handle == nil {
		b.failed = ErrNoMemory
	}
	runtime.SetFinalizer(b, (*Batch).Close)
	return b
}

// missing says why there is no handle.
func (b *Batch) missing() error {
	if b.failed != 0 {
		return b.failed
	}
	return ErrClosed
}

// Put adds a put. Key and value are copied.
func (b *Batch) Put(key, value []byte) error {
	if b.handle == nil {
		return b.missing()
	}
	answer := C.shim_batch_put(b.handle, pointer(key), size(key), pointer(value), size(value))
	runtime.KeepAlive(b)
	return failure("batch put", answer)
}

// Delete adds a delete of key, which need not exist when the batch is written.
func (b *Batch) Delete(key []byte) error {
	if b.handle == nil {
		return b.missing()
	}
	answer := C.shim_batch_delete(b.handle, pointer(key), size(key))
	runtime.KeepAlive(b)
	return failure("batch delete", answer)
}

// Clear empties the batch, and keeps its memory for what is added next.
func (b *Batch) Clear() {
	C.filedb_batch_clear(b.handle)
	runtime.KeepAlive(b)
}

// Close frees the batch, written or not. Doing it again does nothing.
func (b *Batch) Close() {
	C.filedb_batch_free(b.handle)
	b.handle, b.failed = nil, 0
	runtime.SetFinalizer(b, nil)
}

// Write writes all of a batch or nothing. The batch stays as it is.
func (db *Store) Write(batch *Batch) error {
	handle := db.open()
	if handle == nil {
		return ErrClosed
	}
	if batch.handle == nil {
		return batch.missing()
	}
	answer := C.shim_write(handle, batch.handle)
	runtime.KeepAlive(batch)
	runtime.KeepAlive(db)
	return failure("write", answer)
}
