// Package filedb is an embedded key-value store: a directory that keeps bytes under bytes, and keeps them through
// crashes.
//
//	db, err := filedb.Open("greetings", nil)
//	if err != nil {
//		return err
//	}
//	defer db.Close()
//	if err := db.Put([]byte("hello"), []byte("world")); err != nil {
//		return err
//	}
//	value, err := db.Get([]byte("hello")) // errors.Is(err, filedb.ErrNotFound) where there is none
//
// It binds the C library filedb, whose header is the manual: what survives what, limits, expiry. pkg-config has to find it to
// build (PKG_CONFIG_PATH), and the loader to run (ldconfig, or CGO_LDFLAGS=-Wl,-rpath,DIRECTORY when it is built). Memory that these
// functions return is Go's own, but for Pinned and for what Fold shows, which say so.
//
// All methods of a Store may be called by many goroutines at once. A Batch or an Iterator is for one at a time. They may
// be closed in any order, before or after their store, and what is forgotten is closed when it is collected.
package filedb

/*
#cgo pkg-config: filedb
#include "shim.h"
*/
import "C"

import (
	"runtime"
	"runtime/cgo"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Store is an open store. A copy of the struct is the same store: when one of them is closed, both are.
type Store struct {
	shared *store // nil in a Store that no Open made
}

// store is what the copies of a Store have in common, so that it is closed once, and not before the last is collected.
type store struct {
	handle unsafe.Pointer // *C.filedb_t; nil once it was closed
	log    cgo.Handle     // what the library calls until then; 0 for nobody
}

// Open opens the store in the directory path, and creates it unless the option create_if_missing is false.
func Open(path string, options Options) (*Store, error) { return OpenLogged(path, options, nil) }

// OpenLogged is Open, and has log told what the store does by itself, up to the level of the option log_level. It is
// called by any thread, also by several at once, and must not use the store.
func OpenLogged(path string, options Options, log func(level Level, message string)) (*Store, error) {
	if strings.IndexByte(path, 0) >= 0 {
		return nil, &Error{Op: "open", Code: ErrInvalidArgument, Message: "the path has a NUL in it"}
	}
	settings, err := options.make()
	if err != nil {
		return nil, err
	}
	defer C.filedb_options_free(settings)
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var told cgo.Handle
	if log != nil {
		told = cgo.NewHandle(log)
		err = failure("open", C.shim_options_set_log(settings, C.uintptr_t(told)))
	}
	var opened C.shim_value
	if err == nil {
		opened = C.shim_open(name, settings)
		err = failure("open", opened.answer)
	}
	if err != nil {
		if log != nil {
			told.Delete()
		}
		return nil, err
	}
	shared := &store{handle: opened.data, log: told}
	runtime.SetFinalizer(shared, func(shared *store) { shared.close() })
	return &Store{shared}, nil
}

// Close waits for calls under way, makes everything durable, and ends the store. The store is closed whatever it
// returns; later calls answer ErrClosed.
func (db *Store) Close() error {
	if db.shared == nil {
		return ErrClosed
	}
	return db.shared.close()
}

func (shared *store) close() error {
	handle := atomic.SwapPointer(&shared.handle, nil)
	if handle == nil {
		return ErrClosed
	}
	runtime.SetFinalizer(shared, nil)
	err := failure("close", C.shim_close((*C.filedb_t)(handle)))
	if shared.log != 0 {
		shared.log.Delete()
	}
	return err
}

// Put stores value under key, in place of what was there.
func (db *Store) Put(key, value []byte) error {
	handle := db.open()
	if handle == nil {
		return ErrClosed
	}
	answer := C.shim_put(handle, pointer(key), size(key), pointer(value), size(value))
	runtime.KeepAlive(db)
	return failure("put", answer)
}

// PutOptions says more about a write. The zero value asks for nothing.
type PutOptions struct {
	IfAbsent  bool          // write only if there is no such key
	IfPresent bool          // write only if there is such a key
	Sync      bool          // return when the write is durable, whatever the option sync says
	KeepTTL   bool          // let the key keep the expiry that it has
	TTL       time.Duration // the key expires so long from now, to the millisecond; 0: it does not
}

// inC is what the library calls the flags and the time.
func (options PutOptions) inC() (flags C.uint32_t, ttl C.uint64_t, err error) {
	for _, one := range []struct {
		set  bool
		flag C.uint32_t
	}{
		{options.IfAbsent, C.FILEDB_PUT_IF_ABSENT},
		{options.IfPresent, C.FILEDB_PUT_IF_PRESENT},
		{options.Sync, C.FILEDB_PUT_SYNC},
		{options.KeepTTL, C.FILEDB_PUT_KEEP_TTL},
	} {
		if one.set {
			flags |= one.flag
		}
	}
	ttl, err = milliseconds("put", options.TTL)
	if options.TTL > 0 && ttl == 0 {
		ttl = 1 // 0 is for ever
	}
	return flags, ttl, err
}

// PutWith stores a value under conditions. It reports whether it did: false where a condition is not met.
func (db *Store) PutWith(key, value []byte, options PutOptions) (bool, error) {
	flags, ttl, err := options.inC()
	if err != nil {
		return false, err
	}
	handle := db.open()
	if handle == nil {
		return false, ErrClosed
	}
	answer := C.shim_put_with(handle, pointer(key), size(key), pointer(value), size(value), flags, ttl)
	runtime.KeepAlive(db)
	return answer.status == C.FILEDB_OK, failure("put", answer)
}

// Delete removes key. It reports whether there was such a key.
func (db *Store) Delete(key []byte) (bool, error) {
	handle := db.open()
	if handle == nil {
		return false, ErrClosed
	}
	answer := C.shim_delete(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	return answer.status == C.FILEDB_OK, failure("delete", answer)
}

// What Get reads into first. Most values are small; the others cost a second call.
const smallValue = 4096

var smallValues = sync.Pool{New: func() any { return new([smallValue]byte) }}

// Get returns the value of key, or ErrNotFound.
func (db *Store) Get(key []byte) ([]byte, error) {
	buffer := smallValues.Get().(*[smallValue]byte)
	defer smallValues.Put(buffer)
	n, err := db.getInto(key, buffer[:])
	if err == nil {
		value := make([]byte, n)
		copy(value, buffer[:n])
		return value, nil
	}
	if err != ErrBufferTooSmall {
		return nil, err
	}
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	got := C.shim_get(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	if got.answer.status != C.FILEDB_OK {
		return nil, outcome("get", got.answer)
	}
	defer C.filedb_free(got.data)
	return copyOf(got.data, C.size_t(got.number)), nil
}

// GetInto reads the value of key into buffer and returns its size. Where the buffer is too small it stays as it is, the
// error is ErrBufferTooSmall, and the size is the one that is needed.
func (db *Store) GetInto(key, buffer []byte) (int, error) {
	return db.getInto(key, buffer)
}

func (db *Store) getInto(key, buffer []byte) (int, error) {
	handle := db.open()
	if handle == nil {
		return 0, ErrClosed
	}
	got := C.shim_get_into(handle, pointer(key), size(key), pointer(buffer), size(buffer))
	runtime.KeepAlive(db)
	if got.answer.status == C.FILEDB_ERR_BUFFER_TOO_SMALL {
		return int(got.number), ErrBufferTooSmall
	}
	return int(got.number), outcome("get", got.answer)
}

// GetMany returns the values of the keys, nil for those that are not there: several times faster than one by one.
func (db *Store) GetMany(keys [][]byte) ([][]byte, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	total := 0
	lengths := make([]C.size_t, len(keys), len(keys)+1)
	for i, key := range keys {
		lengths[i] = size(key)
		total += len(key)
	}
	bytes := make([]byte, 0, total)
	for _, key := range keys {
		bytes = append(bytes, key...)
	}
	got := C.shim_get_many(handle, pointer(bytes), &lengths[:1][0], C.size_t(len(keys)))
	runtime.KeepAlive(db)
	if got.many != nil {
		defer C.shim_many_free(got.many)
	}
	if err := failure("get", got.answer); err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	pins := unsafe.Slice(got.many.values, len(keys))
	for i, status := range unsafe.Slice(got.many.statuses, len(keys)) {
		if status == C.FILEDB_OK {
			values[i] = copyOf(pins[i].data, pins[i].len)
		}
	}
	return values, nil
}

// Has reports whether key is in the store, without reading its value.
func (db *Store) Has(key []byte) (bool, error) {
	handle := db.open()
	if handle == nil {
		return false, ErrClosed
	}
	answer := C.shim_exists(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	return answer.status == C.FILEDB_OK, failure("has", answer)
}

// Keys returns the keys that begin with prefix, all of them for nil, as they are at one moment, in no particular order.
func (db *Store) Keys(prefix []byte) ([][]byte, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	listed := C.shim_list(handle, pointer(prefix), size(prefix))
	runtime.KeepAlive(db)
	return keysOf(listed)
}

// SortedKeys is Keys, in the order of bytes.Compare.
func (db *Store) SortedKeys(prefix []byte) ([][]byte, error) {
	handle := db.open()
	if handle == nil {
		return nil, ErrClosed
	}
	listed := C.shim_list_sorted(handle, pointer(prefix), size(prefix))
	runtime.KeepAlive(db)
	return keysOf(listed)
}

// keysOf copies the keys of a list, and frees it.
func keysOf(listed C.shim_value) ([][]byte, error) {
	if err := failure("keys", listed.answer); err != nil {
		return nil, err
	}
	defer C.filedb_free(listed.data)
	slices := unsafe.Slice((*C.filedb_slice_t)(listed.data), int(listed.number))
	total := 0
	for _, key := range slices {
		total += int(key.len)
	}
	// One block for all, as in the library.
	block, keys := make([]byte, 0, total), make([][]byte, len(slices))
	for i, key := range slices {
		begin := len(block)
		block = append(block, unsafe.Slice((*byte)(key.data), int(key.len))...)
		keys[i] = block[begin:len(block):len(block)]
	}
	return keys, nil
}

// Count returns the number of keys.
func (db *Store) Count() (uint64, error) {
	handle := db.open()
	if handle == nil {
		return 0, ErrClosed
	}
	counted := C.shim_count(handle)
	runtime.KeepAlive(db)
	return uint64(counted.number), failure("count", counted.answer)
}

// Stats is a store in numbers, as they are at one moment or very nearly so; filedb.h says what each is.
type Stats struct {
	Merging       bool
	Keys          uint64
	Files         uint64
	DataBytes     uint64
	LiveBytes     uint64
	IndexBytes    uint64
	Iterators     uint64
	AppendedBytes uint64
	Merges        uint64
	MergedBytes   uint64
	Syncs         uint64
	SyncTime      time.Duration
	ExpiredKeys   uint64
	// ClockAhead is how far the store's time is ahead of the machine's wall clock.
	ClockAhead time.Duration
}

// Stats returns the store in numbers, without reading the disk.
func (db *Store) Stats() (Stats, error) {
	handle := db.open()
	if handle == nil {
		return Stats{}, ErrClosed
	}
	got := C.shim_stats(handle)
	runtime.KeepAlive(db)
	s := got.stats
	return Stats{
		Merging:       s.merging != 0,
		Keys:          uint64(s.keys),
		Files:         uint64(s.files),
		DataBytes:     uint64(s.data_bytes),
		LiveBytes:     uint64(s.live_bytes),
		IndexBytes:    uint64(s.index_bytes),
		Iterators:     uint64(s.iterators),
		AppendedBytes: uint64(s.appended_bytes),
		Merges:        uint64(s.merges),
		MergedBytes:   uint64(s.merged_bytes),
		Syncs:         uint64(s.syncs),
		SyncTime:      time.Duration(s.sync_nanos),
		ExpiredKeys:   uint64(s.expired_keys),
		ClockAhead:    time.Duration(s.clock_ahead_ms) * time.Millisecond,
	}, failure("stats", got.answer)
}

// Sync makes every write that was complete before this call durable.
func (db *Store) Sync() error {
	handle := db.open()
	if handle == nil {
		return ErrClosed
	}
	answer := C.shim_sync(handle)
	runtime.KeepAlive(db)
	return failure("sync", answer)
}

// Merge takes the space of dead values back, now; with merge=auto the store does so by itself.
func (db *Store) Merge() error {
	handle := db.open()
	if handle == nil {
		return ErrClosed
	}
	answer := C.shim_merge(handle)
	runtime.KeepAlive(db)
	return failure("merge", answer)
}

// NoExpiry is what TTL returns for a key that does not expire.
const NoExpiry time.Duration = -1

// TTL returns how long key has to live, NoExpiry where it does not expire, ErrNotFound where there is no such key.
func (db *Store) TTL(key []byte) (time.Duration, error) {
	handle := db.open()
	if handle == nil {
		return 0, ErrClosed
	}
	got := C.shim_ttl(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	ms := int64(got.number)
	if got.answer.status != C.FILEDB_OK {
		return 0, outcome("ttl", got.answer)
	}
	if ms < 0 {
		return NoExpiry, nil
	}
	if ms > int64(forever/time.Millisecond) {
		return forever, nil
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// Expire lets key expire ttl from now; with 0 it is gone at once. It reports whether there is such a key.
func (db *Store) Expire(key []byte, ttl time.Duration) (bool, error) {
	ms, err := milliseconds("expire", ttl)
	if err != nil {
		return false, err
	}
	handle := db.open()
	if handle == nil {
		return false, ErrClosed
	}
	answer := C.shim_expire(handle, pointer(key), size(key), ms)
	runtime.KeepAlive(db)
	return answer.status == C.FILEDB_OK, failure("expire", answer)
}

// Persist lets key live until it is deleted. It reports whether there is such a key.
func (db *Store) Persist(key []byte) (bool, error) {
	handle := db.open()
	if handle == nil {
		return false, ErrClosed
	}
	answer := C.shim_persist(handle, pointer(key), size(key))
	runtime.KeepAlive(db)
	return answer.status == C.FILEDB_OK, failure("persist", answer)
}

// Version is the version of the library that runs, such as "0.2.0".
func Version() string { return C.GoString(C.filedb_version_string()) }

// VersionNumber is the same as 0xMMmmpp.
func VersionNumber() uint32 { return uint32(C.filedb_version_number()) }

// ---- Between Go and C -------------------------------------------------------------------------------------------------

func (db *Store) open() *C.filedb_t {
	if db.shared == nil {
		return nil
	}
	return (*C.filedb_t)(atomic.LoadPointer(&db.shared.handle))
}

// pointer is where the bytes lie. The library does not look there where there are none.
func pointer(b []byte) *C.char {
	if len(b) == 0 {
		return nil
	}
	return (*C.char)(unsafe.Pointer(&b[0]))
}

func size(b []byte) C.size_t { return C.size_t(len(b)) }

// copyOf is never nil: an empty value is a value.
func copyOf(data unsafe.Pointer, len C.size_t) []byte {
	value := make([]byte, int(len))
	copy(value, unsafe.Slice((*byte)(data), int(len)))
	return value
}

const forever = time.Duration(1<<63 - 1)

func milliseconds(op string, d time.Duration) (C.uint64_t, error) {
	if d < 0 {
		return 0, &Error{Op: op, Code: ErrInvalidArgument, Message: "a time to live cannot be negative"}
	}
	return C.uint64_t(d / time.Millisecond), nil
}
