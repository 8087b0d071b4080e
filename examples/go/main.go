// A queue of jobs that loses none and gives none out twice, whoever is killed: jobqueue STORE add TEXT... | work [WORKERS] | list
//
// Jobs wait in the list "waiting". A worker takes one by moving it to a list of its own, "running/NUMBER", in one step; so a
// job is always in one list, and in one only. Doing it ends with one batch that removes the worker's list and notes the
// result. What is in the lists of workers when the program starts was not done, because the program that had it is gone
// (a store has one writing process): it goes back to the front of the queue.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	filedb "example.com/filedb/bindings/go"
)

var waiting = []byte("waiting")

const running = "running/"

// add puts jobs at the end of the queue, each with a number of its own, and returns when they are on the disk.
func add(db *filedb.Store, texts []string) error {
	for _, text := range texts {
		number, err := db.Increment([]byte("last number"), 1)
		if err != nil {
			return err
		}
		if _, err := db.PushBack(waiting, fmt.Appendf(nil, "%06d %s", number, text)); err != nil {
			return err
		}
	}
	return db.Sync()
}

// recoverJobs gives back what workers of a program that is gone had taken.
func recoverJobs(db *filedb.Store) error {
	lists, err := db.Keys([]byte(running))
	if err != nil {
		return err
	}
	for _, list := range lists {
		for err == nil {
			_, err = db.ListMove(list, waiting, filedb.BackToFront)
		}
		if !errors.Is(err, filedb.ErrNotFound) {
			return err
		}
		err = nil
	}
	return nil
}

// work does jobs until none is waiting. do makes a result of a job's number and text.
func work(db *filedb.Store, worker string, do func(number, text string) string) error {
	mine := []byte(running + worker)
	batch := filedb.NewBatch()
	defer batch.Close()
	for {
		job, err := db.ListMove(waiting, mine, filedb.FrontToBack)
		if errors.Is(err, filedb.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		number, text, _ := bytes.Cut(job, []byte(" "))
		result := do(string(number), string(text))
		batch.Clear()
		if err := batch.Delete(mine); err != nil {
			return err
		}
		if err := batch.Put(fmt.Appendf(nil, "done/%s", number), []byte(result)); err != nil {
			return err
		}
		if err := db.Write(batch); err != nil {
			return err
		}
	}
}

// workAll lets so many workers do all jobs.
func workAll(db *filedb.Store, workers int, do func(number, text string) string) error {
	if err := recoverJobs(db); err != nil {
		return err
	}
	ends := make(chan error)
	for i := 0; i < workers; i++ {
		go func(worker string) { ends <- work(db, worker, do) }(strconv.Itoa(i))
	}
	var first error
	for i := 0; i < workers; i++ {
		if err := <-ends; first == nil {
			first = err
		}
	}
	return first
}

func list(db *filedb.Store) error {
	jobs, err := db.ListRange(waiting, 0, -1)
	if err != nil && !errors.Is(err, filedb.ErrNotFound) {
		return err
	}
	for _, job := range jobs {
		fmt.Printf("waiting: %s\n", job)
	}
	rows, err := db.Iterate([]byte("done/"))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		fmt.Printf("%s: %s\n", rows.Key(), rows.Value())
	}
	return rows.Err()
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: jobqueue STORE add TEXT... | work [WORKERS] | list")
	}
	db, err := filedb.Open(os.Args[1], nil)
	if err != nil {
		log.Fatal(err)
	}
	switch os.Args[2] {
	case "add":
		err = add(db, os.Args[3:])
	case "list":
		err = list(db)
	case "work":
		workers := 4
		if len(os.Args) > 3 {
			workers, err = strconv.Atoi(os.Args[3])
		}
		if err == nil {
			err = workAll(db, workers, func(_, text string) string { return strings.ToUpper(text) })
		}
	}
	if closing := db.Close(); err == nil {
		err = closing
	}
	if err != nil {
		log.Fatal(err)
	}
}
