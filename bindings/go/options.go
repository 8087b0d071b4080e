package filedb

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"runtime/cgo"
	"strings"
	"unsafe"
)

// Options are the options that differ from the defaults, by name: {"sync": "always", "max_file_size": "64MiB"}.
// DescribeOptions lists them.
type Options map[string]string

// make makes what the library takes; the caller frees it.
func (o Options) make() (*C.filedb_options_t, error) {
	options := C.filedb_options_new()
	if options == nil {
		return nil, ErrNoMemory
	}
	for name, value := range o {
		if err := set(options, name, value); err != nil {
			C.filedb_options_free(options)
			return nil, err
		}
	}
	return options, nil
}

func set(options *C.filedb_options_t, name, value string) error {
	if strings.IndexByte(name+value, 0) >= 0 {
		return &Error{Op: "open", Code: ErrInvalidArgument, Message: "an option has a NUL in it"}
	}
	n, v := C.CString(name), C.CString(value)
	defer C.free(unsafe.Pointer(n))
	defer C.free(unsafe.Pointer(v))
	return failure("open", C.shim_options_set(options, n, v))
}

// Option is one option that Open takes.
type Option struct {
	Name    string
	Values  string // what it takes, for people: "none | interval | always"
	Help    string
	Default string
}

// Level says how much an event matters.
type Level int32

const (
	LevelError Level = C.FILEDB_LOG_ERROR // something failed that no call reports
	LevelWarn  Level = C.FILEDB_LOG_WARN  // something is not as it should be, and was dealt with
	LevelInfo  Level = C.FILEDB_LOG_INFO  // what the store does by itself: recovery, merges
	LevelDebug Level = C.FILEDB_LOG_DEBUG // every step of that
)

// filedbGoLog is what C calls.
//
//export filedbGoLog
func filedbGoLog(log C.uintptr_t, level C.int32_t, message unsafe.Pointer, size C.size_t) {
	// Frames of the library are below: nothing may unwind through them, to a recover above or to the end of a goroutine.
	returned := false
	defer func() {
		if !returned {
			why := recover()
			go func() { panic(fmt.Sprintf("filedb: the log function did not return: %v", why)) }()
			select {}
		}
	}()
	cgo.Handle(log).Value().(func(Level, string))(Level(level), string(copyOf(message, size)))
	returned = true
}

// DescribeOptions returns all options that Open takes.
func DescribeOptions() []Option {
	defaults := C.filedb_options_new()
	defer C.filedb_options_free(defaults)
	var all []Option
	for {
		one := C.shim_options_describe(C.size_t(len(all)))
		if one.status != C.FILEDB_OK {
			return all
		}
		all = append(all, Option{
			Name:    C.GoString(one.name),
			Values:  C.GoString(one.values),
			Help:    C.GoString(one.help),
			Default: get(defaults, one.name),
		})
	}
}

func get(options *C.filedb_options_t, name *C.char) string {
	var buffer [256]byte
	got := C.shim_options_get(options, name, pointer(buffer[:]), C.size_t(len(buffer)))
	if failure("options", got.answer) != nil {
		return ""
	}
	return string(buffer[:got.number])
}
