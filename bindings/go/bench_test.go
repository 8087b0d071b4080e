package filedb_test

import (
	"fmt"
	"testing"
	"time"

	filedb "example.com/filedb/bindings/go"
)

// Rows of 16 and 100 bytes, as in the comparisons with other stores: go test -bench . -run -
const benchRows = 1_000_000

func filled(b *testing.B, rows int) *filedb.Store {
	b.Helper()
	db := open(b, filedb.Options{"sync": "none"})
	value := make([]byte, 100)
	for i := 0; i < rows; i++ {
		put(b, db, fmt.Sprintf("key%013d", i), string(value))
	}
	return db
}

func BenchmarkScan(b *testing.B) {
	db := filled(b, benchRows)
	scan := func(next func(*filedb.Iterator) bool) func(*testing.B) {
		return func(b *testing.B) {
			began := time.Now()
			for i := 0; i < b.N; i++ {
				walk, err := db.Iterate(nil)
				ok(b, err)
				rows, bytes := 0, 0
				for next(walk) {
					rows++
					bytes += len(walk.Key()) + len(walk.Value())
				}
				ok(b, walk.Err())
				walk.Close()
				if rows != benchRows || bytes != benchRows*116 {
					b.Fatalf("%d rows, %d bytes", rows, bytes)
				}
			}
			b.ReportMetric(float64(time.Since(began).Nanoseconds())/float64(b.N)/benchRows, "ns/row")
		}
	}
	b.Run("NextBatch", scan((*filedb.Iterator).Next))
	b.Run("RowByRow", scan((*filedb.Iterator).NextRow))
}

// BenchmarkBorder is what a call of C costs that does nothing.
func BenchmarkBorder(b *testing.B) {
	for i := 0; i < b.N; i++ {
		filedb.VersionNumber()
	}
}

func BenchmarkGet(b *testing.B) {
	db := filled(b, 100_000)
	key := []byte(fmt.Sprintf("key%013d", 77))
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			_, err := db.Get(key)
			ok(b, err)
		}
	})
	buffer := make([]byte, 100)
	b.Run("GetInto", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			_, err := db.GetInto(key, buffer)
			ok(b, err)
		}
	})
	keys := make([][]byte, 1000)
	for i := range keys {
		keys[i] = []byte(fmt.Sprintf("key%013d", i*97))
	}
	b.Run("GetMany", func(b *testing.B) {
		began := time.Now()
		for i := 0; i < b.N; i++ {
			_, err := db.GetMany(keys)
			ok(b, err)
		}
		b.ReportMetric(float64(time.Since(began).Nanoseconds())/float64(b.N)/1000, "ns/key")
	})
}

func BenchmarkPut(b *testing.B) {
	db := open(b, filedb.Options{"sync": "none"})
	key, value := []byte("key0000000000077"), make([]byte, 100)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		ok(b, db.Put(key, value))
	}
}
