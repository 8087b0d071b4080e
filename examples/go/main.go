// A queue of jobs that loses none, whoever is killed: jobqueue STORE add TEXT... | work | list
//
// A job lies under "todo/NUMBER". A worker takes it by writing "taken/NUMBER" on the condition that there is no such key,
// with an expiry: if the worker dies, so does the claim, and another takes the job. Doing it ends with one batch that
// removes the job and notes the result, so that a job is never both to do and done.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"sort"
	"strings"
	"time"

	"filedb"
)

func add(db *filedb.Store, text string) error {
	job := fmt.Sprintf("todo/%d.%d", time.Now().UnixNano(), os.Getpid())
	_, err := db.PutWith([]byte(job), []byte(text), filedb.PutOptions{Sync: true})
	return err
}

func work(db *filedb.Store, worker string) error {
	jobs, err := db.Keys([]byte("todo/"))
	sort.Slice(jobs, func(i, j int) bool { return bytes.Compare(jobs[i], jobs[j]) < 0 }) // oldest first
	batch := filedb.NewBatch()
	defer batch.Close()
	for _, job := range jobs {
		claim := bytes.Replace(job, []byte("todo"), []byte("taken"), 1)
		options := filedb.PutOptions{IfAbsent: true, TTL: time.Minute}
		if mine, err := db.PutWith(claim, []byte(worker), options); err != nil {
			return err
		} else if !mine {
			continue
		}
		batch.Clear()
		batch.Delete(claim)
		text, err := db.Get(job)
		if err == nil {
			batch.Delete(job)
			result := strings.ToUpper(string(text)) + ", says " + worker
			batch.Put(bytes.Replace(job, []byte("todo"), []byte("done"), 1), []byte(result))
		} else if !errors.Is(err, filedb.ErrNotFound) { // done by somebody else since the keys were listed
			return err
		}
		if err := db.Write(batch); err != nil {
			return err
		}
	}
	return err
}

func list(db *filedb.Store) error {
	rows, err := db.Iterate(nil)
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
		log.Fatal("usage: jobqueue STORE add TEXT... | work | list")
	}
	db, err := filedb.Open(os.Args[1], nil)
	if err != nil {
		log.Fatal(err)
	}
	switch os.Args[2] {
	case "add":
		err = add(db, strings.Join(os.Args[3:], " "))
	case "list":
		err = list(db)
	case "work":
		ends := make(chan error)
		for i := 1; i <= 4; i++ {
			go func(worker string) { ends <- work(db, worker) }(fmt.Sprint("worker ", i))
		}
		for i := 1; i <= 4; i++ {
			if end := <-ends; err == nil {
				err = end
			}
		}
	}
	if closing := db.Close(); err == nil {
		err = closing
	}
	if err != nil {
		log.Fatal(err)
	}
}
