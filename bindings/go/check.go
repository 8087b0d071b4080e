package filedb

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"runtime/cgo"
	"strings"
	"unsafe"
)

// Severity is how bad a finding is; the larger, the worse.
type Severity int32

// What a Severity can be.
const (
	// Note is no damage: what a crash may leave, or something worth knowing.
	Note Severity = C.FILEDB_FINDING_NOTE
	// SpaceLost is bytes that are not what was written, and no key is lost with them.
	SpaceLost Severity = C.FILEDB_FINDING_SPACE_LOST
	// DataLost is that what a key held is lost, or the store does not open because of it.
	DataLost Severity = C.FILEDB_FINDING_DATA_LOST
)

// Finding is one damaged or suspicious place.
type Finding struct {
	Severity Severity
	// File is the name of the file, in the store's directory.
	File           string
	Offset, Length uint64
	// Message is a sentence that says what it is and what it means.
	Message string
	// Key is the key concerned, where it can be known; else nil.
	Key []byte
}

// CheckReport is what was looked at and what is lost, in numbers; filedb.h says what each is.
type CheckReport struct {
	DamagedFiles                                         uint32
	Files, Bytes, Records, Keys, DamagedPlaces, KeysLost uint64
}

// Check looks for damage in the store in the directory path, which may be open, and calls visit for each finding until it
// returns false; visit may be nil. Nothing is changed. Damage is no error: DamagedPlaces of the report says whether there
// is any.
func Check(path string, visit func(Finding) bool) (CheckReport, error) {
	report, err := inspect("check", []string{path}, visit, func(paths []*C.char, pointer C.uintptr_t) C.shim_check_answer {
		return C.shim_check(paths[0], pointer)
	})
	if errors.Is(err, ErrCorrupt) {
		err = nil
	}
	return report, err
}

// Salvage copies what is intact in the store at path to a new store at to, which must not exist. Where visit returns false
// the salvage ends with ErrCorrupt and there is no new store.
func Salvage(path, to string, visit func(Finding) bool) (CheckReport, error) {
	return inspect("salvage", []string{path, to}, visit, func(paths []*C.char, pointer C.uintptr_t) C.shim_check_answer {
		return C.shim_salvage(paths[0], paths[1], pointer)
	})
}

func inspect(op string, paths []string, visit func(Finding) bool, call func([]*C.char, C.uintptr_t) C.shim_check_answer) (CheckReport, error) {
	names := make([]*C.char, len(paths))
	for i, path := range paths {
		if strings.IndexByte(path, 0) >= 0 {
			return CheckReport{}, &Error{Op: op, Code: ErrInvalidArgument, Message: "the path has a NUL in it"}
		}
		names[i] = C.CString(path)
		defer C.free(unsafe.Pointer(names[i]))
	}
	showing := &showing{visit: visit}
	pointer := cgo.NewHandle(showing)
	defer pointer.Delete()
	got := call(names, C.uintptr_t(pointer))
	if showing.panicked {
		panic(showing.panic)
	}
	report := CheckReport{
		DamagedFiles:  uint32(got.report.damaged_files),
		Files:         uint64(got.report.files),
		Bytes:         uint64(got.report.bytes),
		Records:       uint64(got.report.records),
		Keys:          uint64(got.report.keys),
		DamagedPlaces: uint64(got.report.damaged_places),
		KeysLost:      uint64(got.report.keys_lost),
	}
	return report, failure(op, got.answer)
}

type showing struct {
	visit    func(Finding) bool
	panicked bool
	panic    any
}

// filedbGoFinding is what C calls. A panic must not unwind C, so inspect goes on with it.
//
//export filedbGoFinding
func filedbGoFinding(pointer C.uintptr_t, found *C.filedb_finding_t) (stop C.int) {
	showing := cgo.Handle(pointer).Value().(*showing)
	if showing.visit == nil {
		return 0
	}
	showing.panicked = true
	defer func() {
		if showing.panicked {
			showing.panic, stop = recover(), 1
		}
	}()
	finding := Finding{
		Severity: Severity(found.severity),
		File:     C.GoString(found.file),
		Offset:   uint64(found.offset),
		Length:   uint64(found.length),
		Message:  C.GoString(found.message),
	}
	if found.key != nil {
		finding.Key = C.GoBytes(found.key, C.int(found.key_len))
	}
	goOn := showing.visit(finding)
	showing.panicked = false
	if goOn {
		return 0
	}
	return 1
}
