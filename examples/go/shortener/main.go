// Short names for long addresses: shortener STORE add NAME URL SECONDS | visit NAME TIMES | list
// A name ends by itself. Four goroutines visit at once; a hit that was printed is never lost, whoever is killed.
package main

import (
	filedb "example.com/filedb/bindings/go"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"
)

func check(err error) {
	if err != nil {
		log.Fatal("shortener: ", err)
	}
}

func add(db *filedb.Store, name, url string, life time.Duration) {
	added, err := db.PutWith([]byte("url/"+name), []byte(url), filedb.PutOptions{IfAbsent: true, TTL: life})
	if check(err); !added {
		check(fmt.Errorf("%s is taken", name))
	}
}

func visit(db *filedb.Store, name string, times int) {
	for i := 0; i < times; i++ {
		url, err := db.Get([]byte("url/" + name))
		check(err)
		hits, err := db.Increment([]byte("hits/"+name), 1)
		check(err)
		fmt.Printf("%s %d\n", url, hits)
	}
}

func main() {
	db, err := filedb.Open(os.Args[1], nil)
	check(err)
	number, _ := strconv.Atoi(os.Args[len(os.Args)-1]) // of seconds, or of times
	switch os.Args[2] {
	case "add":
		add(db, os.Args[3], os.Args[4], time.Duration(number)*time.Second)
	case "visit":
		ended := make(chan bool)
		for i := 0; i < 4; i++ {
			go func() { visit(db, os.Args[3], number); ended <- true }()
		}
		for i := 0; i < 4; i++ {
			<-ended
		}
	case "list":
		keys, err := db.SortedKeys([]byte("url/"))
		check(err)
		for _, key := range keys {
			fmt.Println(string(key[4:]))
		}
	}
	check(db.Close())
}
