package filedb

/*
#include "shim.h"
*/
import "C"

import (
	"io/fs"
	"syscall"
	"unsafe"
)

// Code is what went wrong, as filedb.h numbers it. The codes are errors themselves, to compare with:
//
//	errors.Is(err, filedb.ErrNoSpace)
//
// Where io/fs has an error that says the same, errors.Is finds that too: ErrNotFound and ErrMissing are
// fs.ErrNotExist.
type Code int32

const (
	ErrNotFound        Code = C.FILEDB_NOT_FOUND            // there is no such key
	ErrGap             Code = C.FILEDB_GAP                  // what comes next is no longer in the log
	ErrTimeout         Code = C.FILEDB_TIMEOUT              // nothing changed in that time
	ErrInvalidArgument Code = C.FILEDB_ERR_INVALID_ARGUMENT // an argument breaks the contract; nothing was done
	ErrIO              Code = C.FILEDB_ERR_IO               // the system refused a file operation; see Error.Errno
	ErrCorrupt         Code = C.FILEDB_ERR_CORRUPT          // bytes on disk are not what was written
	ErrLocked          Code = C.FILEDB_ERR_LOCKED           // the store is open elsewhere
	ErrNoSpace         Code = C.FILEDB_ERR_NO_SPACE         // there is no room; nothing was written
	ErrReadOnly        Code = C.FILEDB_ERR_READ_ONLY        // the store was opened with read_only
	ErrTooLarge        Code = C.FILEDB_ERR_TOO_LARGE        // a key or a value is longer than the store takes
	ErrBufferTooSmall  Code = C.FILEDB_ERR_BUFFER_TOO_SMALL // the value is larger than the buffer
	ErrUnsupported     Code = C.FILEDB_ERR_UNSUPPORTED      // not possible here, or a later version wrote the store
	ErrPoisoned        Code = C.FILEDB_ERR_POISONED         // an earlier sync failed: close the store and open it again
	ErrForked          Code = C.FILEDB_ERR_FORKED           // the store was opened by the parent of this process
	ErrPanic           Code = C.FILEDB_ERR_PANIC            // a bug in filedb was caught; no more writes
	ErrNoMemory        Code = C.FILEDB_ERR_NO_MEMORY        // memory could not be allocated; nothing was done
	ErrExists          Code = C.FILEDB_ERR_EXISTS           // the store exists, and error_if_exists is set
	ErrClosed          Code = C.FILEDB_ERR_CLOSED           // the store, the batch or the iterator was closed
	ErrMissing         Code = C.FILEDB_ERR_MISSING          // there is no store, and none was to be made
	ErrWrongType       Code = C.FILEDB_ERR_WRONG_TYPE       // the key holds another type
	ErrConnection      Code = C.FILEDB_ERR_CONNECTION       // the server of a remote store is not there
)

// Error is the general sentence for the code.
func (c Code) Error() string { return "filedb: " + c.text() }

func (c Code) text() string { return C.GoString(C.filedb_strerror(C.filedb_status_t(c))) }

// Is reports whether target is the error of io/fs that says the same.
func (c Code) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return c == ErrNotFound || c == ErrMissing
	case fs.ErrExist:
		return c == ErrExists
	case fs.ErrPermission:
		return c == ErrReadOnly
	case fs.ErrInvalid:
		return c == ErrInvalidArgument
	case fs.ErrClosed:
		return c == ErrClosed
	}
	return false
}

// Error is what went wrong in one call, with all that the library knows about it.
type Error struct {
	Op      string        // the method: "put"
	Code    Code          // ErrIO and the like
	Errno   syscall.Errno // the operating system's error number where there is one, else 0
	FileID  uint64        // with ErrCorrupt: the damaged data file
	Offset  uint64        // with ErrCorrupt: the place in it
	Message string        // a sentence that names the file, the option or the number
}

// Error is the operation and the sentence.
func (e *Error) Error() string { return "filedb: " + e.Op + ": " + e.Message }

// Is reports whether target is the error's code, or what io/fs says for it.
func (e *Error) Is(target error) bool { return target == e.Code || e.Code.Is(target) }

// Unwrap is the operating system's error where there is one: errors.Is(err, syscall.ENOSPC).
func (e *Error) Unwrap() error {
	if e.Errno != 0 {
		return e.Errno
	}
	return nil
}

// failure is the error of an answer, nil for outcomes that are none. It frees what the answer holds.
func failure(op string, answer C.shim_answer) error {
	if answer.status >= 0 {
		return nil
	}
	code := Code(answer.status)
	if answer.error == nil {
		return &Error{Op: op, Code: code, Message: code.text()}
	}
	defer C.free(unsafe.Pointer(answer.error))
	said := answer.error
	err := &Error{Op: op, Code: code, Errno: syscall.Errno(said.os_errno), Message: C.GoString(&said.message[0])}
	if code == ErrCorrupt {
		err.FileID, err.Offset = uint64(said.file_id), uint64(said.offset)
	}
	return err
}

// outcome is failure, where an absent key is an error too.
func outcome(op string, answer C.shim_answer) error {
	if answer.status == C.FILEDB_NOT_FOUND {
		return ErrNotFound
	}
	return failure(op, answer)
}
