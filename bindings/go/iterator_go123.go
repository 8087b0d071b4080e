//go:build go1.23

package filedb

import (
	"errors"
	"iter"
)

// Row is a key and its value. Both are good until the next row; copy them to keep them.
type Row struct {
	Key, Value []byte
}

// All walks through the keys that begin with prefix, all keys for nil, as they are when the loop begins.
//
//	for row, err := range db.All([]byte("user/")) {
//		if err != nil {
//			return err
//		}
//		fmt.Printf("%s = %s\n", row.Key, row.Value)
//	}
//
// An error is the last row, but for damage, ErrCorrupt, behind which the walk goes on. Iterate is the same for Go before 1.23.
func (db *Store) All(prefix []byte) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		walk, err := db.Iterate(prefix)
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer walk.Close()
		for {
			for walk.Next() {
				if !yield(Row{walk.Key(), walk.Value()}, nil) {
					return
				}
			}
			err := walk.Err()
			if err == nil || !yield(Row{}, err) || !errors.Is(err, ErrCorrupt) {
				return
			}
		}
	}
}
