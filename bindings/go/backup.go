package filedb

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"runtime"
	"strings"
	"unsafe"
)

// BackupOptions says how a store is copied. The zero value links files that never change again, where that can be done.
type BackupOptions struct {
	Copy bool // never hard links
}

// Backup copies the store, which may be in use, to a directory that becomes a store itself. Into an older backup of the
// same store only what is new is written. A backup that was interrupted is never taken for a whole one.
func (db *Store) Backup(directory string, options BackupOptions) error {
	handle := db.open()
	if handle == nil {
		return ErrClosed
	}
	if strings.IndexByte(directory, 0) >= 0 {
		return &Error{Op: "backup", Code: ErrInvalidArgument, Message: "the path has a NUL in it"}
	}
	name := C.CString(directory)
	defer C.free(unsafe.Pointer(name))
	var flags C.uint32_t
	if options.Copy {
		flags = C.FILEDB_BACKUP_COPY
	}
	answer := C.shim_backup(handle, name, flags)
	runtime.KeepAlive(db)
	return failure("backup", answer)
}
