package main

import (
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	filedb "example.com/filedb/bindings/go"
)

const (
	jobs    = 10000
	workers = 16
)

// TestMain is also the program that the test kills: with these variables it works on a store, and writes to a file which
// jobs it begins.
func TestMain(m *testing.M) {
	store, begun := os.Getenv("JOBQUEUE_STORE"), os.Getenv("JOBQUEUE_BEGUN")
	if store == "" {
		os.Exit(m.Run())
	}
	if err := workAndTell(store, begun); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func workAndTell(store, begun string) error {
	db, err := filedb.Open(store, nil)
	if err != nil {
		return err
	}
	told, err := os.OpenFile(begun, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer told.Close()
	err = workAll(db, workers, func(number, text string) string {
		done, err := db.Has([]byte("done/" + number))
		if err != nil || done {
			fmt.Fprintf(os.Stderr, "job %s was done already: %v\n", number, err)
			os.Exit(1)
		}
		// One write for a line: those of the workers do not mix.
		fmt.Fprintf(told, "%s\n", number)
		return strings.ToUpper(text)
	})
	if closing := db.Close(); err == nil {
		err = closing
	}
	return err
}

// However often the program is killed, each job is done in the end, none is given out while somebody has it, and none
// after it was done.
func TestNoJobIsLostOrGivenOutTwiceWhereTheProgramIsKilled(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	withStore := func(do func(*filedb.Store) error) {
		db, err := filedb.Open(store, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := do(db); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	withStore(func(db *filedb.Store) error {
		texts := make([]string, jobs)
		for i := range texts {
			texts[i] = fmt.Sprint("job ", i)
		}
		return add(db, texts)
	})
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	kills := 0
	for round := 0; ; round++ {
		begun := filepath.Join(t.TempDir(), "begun")
		program := exec.Command(os.Args[0])
		program.Env = append(os.Environ(), "JOBQUEUE_STORE="+store, "JOBQUEUE_BEGUN="+begun)
		var said strings.Builder
		program.Stderr = &said
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		// It is killed when it has begun some more jobs, or has done all.
		most, isKilled := int64(7*(1+random.Intn(jobs/40))), false
		ended := make(chan error, 1)
		go func() { ended <- program.Wait() }()
		var end error
		for isOver := false; !isOver; {
			select {
			case end = <-ended:
				isOver = true
			case <-time.After(time.Millisecond):
				if info, err := os.Stat(begun); err == nil && info.Size() > most && round < 40 && !isKilled {
					isKilled = program.Process.Kill() == nil
				}
			}
		}
		if end != nil && said.Len() > 0 {
			t.Fatal(end, said.String())
		}
		lines, err := os.ReadFile(begun)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, number := range strings.Fields(string(lines)) {
			if seen[number] {
				t.Fatal("one program gave out job ", number, " twice")
			}
			seen[number] = true
		}
		if end == nil {
			break
		}
		kills++
	}
	withStore(func(db *filedb.Store) error {
		for i := 0; i < jobs; i++ {
			key := fmt.Sprintf("done/%06d", i+1)
			if result, err := db.Get([]byte(key)); err != nil || string(result) != fmt.Sprint("JOB ", i) {
				t.Fatal(key, string(result), err)
			}
		}
		left, err := db.Keys([]byte("running/"))
		if err != nil || len(left) > 0 {
			t.Fatal(left, err)
		}
		if length, err := db.ListLength(waiting); err != filedb.ErrNotFound {
			t.Fatal(length, err)
		}
		return nil
	})
	t.Log("killed ", kills, " times")
}
