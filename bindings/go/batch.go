package filedb

/*
#include "shim.h"
*/
import "C"

import "runtime"

// Batch is writes that are collected in memory, to happen all or not at all, also across a crash. It belongs to no store
// and may be written any number of times. It is for one goroutine at a time. A copy of the struct is the same batch.
type Batch struct {
	shared *batch // nil in a Batch that NewBatch did not make
}

// batch is what the copies of a Batch have in common, so that it is freed once.
type batch struct {
	handle *C.filedb_batch_t // nil once it was closed
	failed Code              // why there is no handle, if it is not that the batch was closed
}

// NewBatch returns an empty batch. Close frees its memory at once; the garbage collector does so later.
func NewBatch() *Batch {
	shared := &batch{handle: C.filedb_batch_new()}
	if shared.handle == nil {
		shared.failed = ErrNoMemory
	}
	runtime.SetFinalizer(shared, (*batch).close)
	return &Batch{shared}
}

// open is the handle, or why there is none.
func (b *Batch) open() (*C.filedb_batch_t, error) {
	if b.shared == nil {
		return nil, ErrClosed
	}
	if b.shared.handle == nil && b.shared.failed != 0 {
		return nil, b.shared.failed
	}
	if b.shared.handle == nil {
		return nil, ErrClosed
	}
	return b.shared.handle, nil
}

// Put adds a put. Key and value are copied.
func (b *Batch) Put(key, value []byte) error {
	handle, err := b.open()
	if err != nil {
		return err
	}
	answer := C.shim_batch_put(handle, pointer(key), size(key), pointer(value), size(value))
	runtime.KeepAlive(b)
	return failure("batch put", answer)
}

// PutWith adds a put that expires options.TTL after the batch is written. A batch has no conditions: the other options are
// ErrUnsupported.
func (b *Batch) PutWith(key, value []byte, options PutOptions) error {
	flags, ttl, err := options.inC()
	if err != nil {
		return err
	}
	handle, err := b.open()
	if err != nil {
		return err
	}
	answer := C.shim_batch_put_with(handle, pointer(key), size(key), pointer(value), size(value), flags, ttl)
	runtime.KeepAlive(b)
	return failure("batch put", answer)
}

// Delete adds a delete of key, which need not exist when the batch is written.
func (b *Batch) Delete(key []byte) error {
	handle, err := b.open()
	if err != nil {
		return err
	}
	answer := C.shim_batch_delete(handle, pointer(key), size(key))
	runtime.KeepAlive(b)
	return failure("batch delete", answer)
}

// Clear empties the batch, and keeps its memory for what is added next.
func (b *Batch) Clear() {
	if handle, err := b.open(); err == nil {
		C.filedb_batch_clear(handle)
	}
	runtime.KeepAlive(b)
}

// Close frees the batch, written or not. Doing it again does nothing.
func (b *Batch) Close() {
	if b.shared != nil {
		b.shared.close()
	}
}

func (shared *batch) close() {
	C.filedb_batch_free(shared.handle)
	shared.handle, shared.failed = nil, 0
	runtime.SetFinalizer(shared, nil)
}

// Write writes all of a batch or nothing. The batch stays as it is.
func (db *Store) Write(batch *Batch) error {
	handle := db.open()
	if handle == nil {
		return ErrClosed
	}
	writes, err := batch.open()
	if err != nil {
		return err
	}
	answer := C.shim_write(handle, writes)
	runtime.KeepAlive(batch)
	runtime.KeepAlive(db)
	return failure("write", answer)
}
