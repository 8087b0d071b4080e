/* Made by `cargo xtask header` from src/capi; do not edit. */

/**
 * @mainpage filedb: an embedded key-value store
 *
 * filedb keeps bytes under bytes: keys and values of any content, in a directory, which is the store. It
 * is a library for one process at a time, in as many threads as that process has.
 *
 * # Before you begin
 *
 * - One process at a time writes to a store, through one handle, which all its threads share. A second
 *   open answers FILEDB_ERR_LOCKED. With read_only on both sides, several may have it open at once; with
 *   live as well, beside the one that writes: see "Live readers".
 * - All keys are found through an index in memory: plan 24 bytes per key, whatever its length. Values
 *   stay on the disk. With engine=lsm the keys are on the disk too.
 * - There is no order among keys, but with engine=lsm. A list is a list of everything that matches.
 * - By default a completed write survives the death of the process at once, and a power cut after a
 *   second at most. See "Durability" for both other choices.
 * - With io=mmap, the default, a disk that fails while a mapped page is read raises SIGBUS, as it does
 *   for every program that maps files. io=pread answers FILEDB_ERR_IO instead, and is slower; one page is
 *   mapped all the same, that of the file LIVE, so do not cut that file short.
 * - Do not use a handle in a child of fork(): it answers FILEDB_ERR_FORKED. The child keeps no file of the
 *   store and no lock. When its parent is gone or has closed the store, it can open it anew; after daemon()
 *   too, though it is better to open after that.
 * - Put a store on a local file system, and leave the files in its directory alone. The directory may be
 *   renamed while a store is open, and the process may change its root: files are not found by the path
 *   any more. Do not lock the directory yourself (flock); filedb does.
 * - Do not copy a store that is open for writing, with cp, tar or a backup program: the copy may not open.
 *   filedb_backup() copies it while it is in use; else close it first, or take a snapshot of the file system.
 *
 * # The model
 *
 * A store is a log after the model of Bitcask. A put appends a record to the newest data file and points
 * the index, which is in memory, at it; a get asks the index for the place and reads the record there,
 * one access to a file whatever the size of the store. A delete appends a record too. Nothing is ever
 * changed in place, so a value that was handed out stays what it was. What newer records replaced is
 * dead; a merge copies what is alive out of files that are mostly dead, and removes them. With
 * merge=auto the store does so by itself, in a thread of its own, next to readers and writers.
 *
 * When a store that was closed is opened again, the index is read from one file. After a crash it is
 * rebuilt from the data files.
 *
 * # An example
 *
 *     #include <filedb.h>
 *     #include <stdio.h>
 *
 *     int main(void) {
 *       filedb_error_t err = FILEDB_ERROR_INIT;
 *       filedb_t *db = NULL;
 *       void *value = NULL;
 *       size_t len = 0;
 *
 *       if (filedb_open("greetings", NULL, &db, &err) != FILEDB_OK) {
 *         fprintf(stderr, "%s\n", err.message);
 *         return 1;
 *       }
 *       if (filedb_put(db, "hello", 5, "world", 5, &err) == FILEDB_OK &&
 *           filedb_get(db, "hello", 5, &value, &len, &err) == FILEDB_OK) {
 *         printf("%.*s\n", (int)len, (const char *)value);
 *         filedb_free(value);
 *       }
 *       return filedb_close(db, &err) == FILEDB_OK ? 0 : 1;
 *     }
 *
 * # Statuses and errors
 *
 * A function answers a filedb_status_t: FILEDB_OK (0), an outcome that is not an error (positive, such as
 * FILEDB_NOT_FOUND), or an error (negative). Compare with the names. Later versions may return statuses
 * that are not listed here, with the same meaning of their sign.
 *
 * The last argument of most functions is a filedb_error_t of the caller's, or NULL. It tells what exactly
 * went wrong: the operating system's error number, the damaged file and the offset in it, and a sentence
 * for people that names the file, the option or the number. It never changes what a call does.
 *
 * A wrong argument is answered, not punished: NULL where something has to be, a length without memory, an
 * unknown option are FILEDB_ERR_INVALID_ARGUMENT. What no library can check is the caller's promise: a
 * pointer that is not NULL points to what its type says, a length is true, and memory given to a call is
 * not changed by others until the call returns.
 *
 * The library prints nothing and handles no signals. What it does in the background it tells the function
 * that filedb_options_set_log() names, if there is one. A bug in it is caught at this border: every
 * function that returns a status answers FILEDB_ERR_PANIC then, which the lists below leave out, and the
 * handle takes no more writes.
 *
 * A call that is refused memory answers FILEDB_ERR_NO_MEMORY and has changed nothing; work in the background
 * is put off. (Where there is none to look what is to be removed either, files of a new store stay behind.)
 * For small things that are refused in the middle of a call the library has 256 KiB of its own. They cannot
 * help in three cases, in which the process ends:
 * - when a thread is started, by filedb_open() and by calls that use several cores, the C library and the
 *   Rust runtime take 32 and 48 bytes from malloc() for it. Just before that the library asks for a larger
 *   piece, and starts no thread where it gets none;
 * - where the library was loaded with dlopen(), the C library takes some memory for its thread-local
 *   variables in the first call of each thread;
 * - a connection that is protected by TLS takes buffers of up to 18 KiB.
 *
 * # Who owns what
 *
 * - Inputs stay the caller's, and are copied where they are needed after the call.
 * - Outputs are zeroed when a call begins and set when it succeeds; the functions that set one with an
 *   error too say so.
 * - What a function hands out belongs to the caller. Values and lists go back to filedb_free(), pinned
 *   values to filedb_unpin(), a store to filedb_close(), and the handles of options, batches and
 *   iterators to the function with the name of their type and _free. All of them take NULL,
 *   filedb_close() with an error.
 * - Strings that a function returns are constants, and are never freed.
 * - Pinned values and iterators may outlive the handle of their store, so a program may clean up in any
 *   order.
 * - A handle that is used after its end, or ended twice, is a bug of the program's. It gets
 *   FILEDB_ERR_CLOSED, as long as fewer than 1024 other handles of its type ended after it; then its
 *   memory is used for something else.
 *
 * # Threads
 *
 * All functions may be called from any thread, and those that take a filedb_t from many at once: reads
 * and writes run side by side. Two writes of one key take place one after the other; a read that begins
 * after a write returned sees it. Batches and iterators are for one thread at a time, whichever it is.
 *
 * An open store has up to four threads of its own, which block all signals. A thread that is cancelled
 * (pthread_cancel) inside a call, or in a function of its own that the call calls, ends after the call.
 * Asynchronous cancellation (PTHREAD_CANCEL_ASYNCHRONOUS) has to be off, as for most libraries.
 *
 * # Durability
 *
 * A put or delete that returned FILEDB_OK survives the death of the process, by whatever cause, in every
 * mode. What survives a power cut or a crash of the operating system is chosen with the option sync:
 *
 *     none      what filedb_sync() or filedb_close() made durable, and what the operating
 *               system wrote back by itself
 *     interval  (default) all but the writes of the last sync_interval_ms
 *     always    every write that returned; writes of several threads share one wait for the disk
 *
 * Keys that were not synced hold their last synced value or a later one after a power cut, never another.
 * Damage to what was synced is never taken for a crash: opening or reading it answers FILEDB_ERR_CORRUPT
 * with file and offset, and changes nothing.
 *
 * A batch is one record: after a crash it is there whole or not at all.
 *
 * When a sync fails the disk may have lost what it took before, so the handle takes no more writes
 * (FILEDB_ERR_POISONED) and reads on; close it and open it again.
 *
 * # Expiry
 *
 * A key may have a time after which it is no more: filedb_put_with() and filedb_expire() set it, a plain
 * put clears it. An expired key is absent for every function, from that moment on, and also if the
 * machine's clock is set back later.
 *
 * # Where a store is
 *
 * The path given to filedb_open() says it:
 *
 *     DIR, file://DIR     a directory of this machine; nothing in DIR is decoded
 *     memory://           in this process, for this handle, and gone when it is closed
 *     memory://NAME       the same, shared by all who open this name, and gone with the last of their handles;
 *                         the options of the first count
 *     valkey://[USER[:PASSWORD]@]HOST[:PORT][/NUMBER]
 *                         on a Valkey server, in its database NUMBER (0); port 6379 where none is said. In USER and
 *                         PASSWORD every character may be written as %41, and '/', '%', '?', '#' and ':' must be
 *     valkeys://...       the same over TLS
 *     valkey-cluster://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...]
 *                         on a Valkey Cluster; some of its servers are enough. Over TLS where tls_ca or tls_cert is set
 *
 * A store in memory touches no file system. It cannot make writes durable: filedb_sync(), FILEDB_PUT_SYNC and
 * sync=always answer FILEDB_ERR_UNSUPPORTED. Records and index take no more than memory_limit, beside about
 * 6 MiB that every store takes; an eighth is kept for what makes room. A write that finds no room answers
 * FILEDB_ERR_NO_SPACE; deletes, expiry and merges make room again.
 *
 * A store on servers is shared with all who use them. It has no thread; what it keeps is up to pool_size
 * connections to each server. Of a host's name the look-up takes its own time; everything else that a request
 * needs ends within timeout_ms, or answers FILEDB_ERR_CONNECTION. What was not sent whole, or what the server
 * says it did not do, is tried again until then. What was sent and not answered is tried again if it is a read;
 * a write is not, and the message says that it "may have happened". The store needs not be opened again: a server
 * that was restarted is found again, as is a new primary of a cluster. A user or password is in no message.
 * - What the server cannot do is FILEDB_ERR_UNSUPPORTED: merges, and durable writes unless it has a log of writes
 *   (appendonly) and is Valkey 7.2 or later. In a cluster a batch needs keys of one slot: with the same text in
 *   braces, {user1}:name and {user1}:mail. truncate needs a NUMBER in the URL.
 * - Values have up to 536,870,912 bytes. What the server's memory has no room for is FILEDB_ERR_NO_SPACE.
 * - An iterator sees no one moment. Where a server was restarted meanwhile it ends with FILEDB_ERR_CONNECTION.
 * - filedb_count() counts keys that have expired until the server takes them out, and keys of types that are not
 *   filedb's, which filedb_list() names, iterators leave out, and filedb_type() answers FILEDB_ERR_UNSUPPORTED for.
 * - Where filedb_get_delete() or a pop finds no memory for its copy, it puts the value back.
 *
 * # Key order
 *
 * A new store with engine=lsm keeps its keys in the order of their bytes: filedb_range_new(), filedb_iter_seek()
 * and filedb_delete_range() work, and all iterators run in key order. It may have more keys than memory holds: its
 * newest writes, lsm_memory/8 bytes at a time, are in memory, all others in sorted files, which are merged in the
 * background. Each merge writes the values again, so large values cost more writing than in the default engine;
 * filedb_count() walks through all keys, pinned values are copies, and filedb_stats() says how many keys and live
 * bytes there are at most. A store stays what it was made as: engine=auto, the default, opens it as that.
 *
 * # Options
 *
 *     sync                       none | interval | always
 *     sync_interval_ms           a time
 *     max_file_size              a size; a data file is finished and a new one begun there, with engine=lsm at 64MiB at the latest
 *     io                         mmap | pread
 *     verify_checksums           true | false; whether every read checks the record
 *     create_if_missing          true | false
 *     error_if_exists            true | false
 *     read_only                  true | false
 *     live                       true | false; with read_only: beside the process that writes, see "Live readers"
 *     truncate                   true | false; begins empty, whatever the store held
 *     engine                     auto | bitcask | lsm; how a new store keeps its keys, see "Key order"
 *     lsm_memory                 a size; with engine=lsm, for the newest writes and to find keys
 *     memory_limit               a size; the most that a store in memory takes, 0 for half of the machine's memory
 *     merge                      auto | manual
 *     merge_space_amplification  a number; merges keep the files at so many times the live data, and at half as much again
 *                                while writers are fast; not with engine=lsm
 *     merge_rate_limit           a size per second; 0 for no limit
 *     merge_interval_ms          a time
 *     keep_tombstones_ms         a time; how long merges keep deletes for those who follow the changes; not with engine=lsm
 *     pool_size                  a number; the most connections of a remote store to a server
 *     connect_timeout_ms         a time; the longest that making a connection takes
 *     timeout_ms                 a time; the longest that a request to a server takes, all attempts together
 *     user                       whom a server is told, where the URL says nothing
 *     password                   what proves it; it is not given back
 *     tls_ca                     a file (PEM); who may vouch for a server over TLS, empty for whom the machine trusts
 *     tls_cert                   a file (PEM); the certificate that a server is shown
 *     tls_key                    a file (PEM); the private key of that
 *     log_level                  error | warn | info | debug; for filedb_options_set_log()
 *
 * filedb_options_describe() tells what each takes, and filedb_options_get() the defaults.
 *
 * # Live readers
 *
 * With read_only=true and live=true a process reads a store that another one writes to, will open for
 * writing, or has left. Any number of processes may; the writer needs no option and never waits for them.
 *
 * - A call that begins after a write returned in the writer sees that write. Iterators see one moment,
 *   batches are whole. What the reader sees may not be durable yet: if the machine loses power, the writer
 *   may come back without it.
 * - Where there is no store yet, filedb_open() answers FILEDB_ERR_MISSING: try again later. The store stays
 *   open when the writer closes it, dies, or opens it again. If another store is begun in its place with
 *   truncate, calls answer FILEDB_ERR_UNSUPPORTED; if the directory is removed, the reader keeps the old one.
 * - The reader changes nothing. It has an index of its own, 24 bytes per key, and brings that up to date
 *   with the first call after a write. If it asked nothing while all that it knew was merged away, its next
 *   call makes the index anew.
 * - With engine=lsm a reader has no index. It keeps in memory what it takes over and is in no run yet: its own
 *   lsm_memory and, where the writer has more than that, what the writer has not written out.
 * - A reader that begins, or makes its index anew, reads a checkpoint and what was written since. While there
 *   are readers, and when writers rest, a thread of the writer makes one after 100,000 records and more (the
 *   file CHECKPOINT, about 12 bytes per key). In stores that ever had lists there is none: all is read. With
 *   engine=lsm what is read is the log, from what is in no run on.
 * - It keeps the files that it has open: what merges replaced takes disk space until the reader looks, at the
 *   latest ten seconds later, or as long as it is stopped. With io=pread each file takes a descriptor.
 * - It needs Linux, and a writer on ext4, XFS or tmpfs with this version of filedb or a later
 *   one. While a writer has the store open that does not tell what it writes, as an older version, filedb_open()
 *   answers FILEDB_ERR_UNSUPPORTED, and so do calls of readers that are open, once they have noticed it, which
 *   takes a tenth of a second.
 *
 * # What a store costs
 *
 * An open store has
 * - three threads, four with engine=lsm (one less unless sync=interval; none with read_only, one with live). They sleep while there is
 *   nothing to do;
 * - three file descriptors, and two for each data file that is being written. With io=pread every other data
 *   file takes one too, up to a quarter of what the process may have (RLIMIT_NOFILE);
 * - addresses, with io=mmap: twice max_file_size for the file that is written, as much for the next one,
 *   which is made when the first is half full, and the size of every other file. With RLIMIT_AS, or where
 *   addresses are few, choose a small max_file_size or io=pread;
 * - 24 bytes of memory per key, and about 6 MiB;
 * - 24 bytes more for each key that expires, until shortly after its time, however often it is written;
 * - for each iterator 8 bytes for each of up to a million keys that it shows next. While iterators live, about
 *   60 bytes for each key that is written or deleted, once for each of their moments; and on disk the files
 *   in which they may still read something, which can be many times the data where all of it is overwritten
 *   meanwhile. None of that grows with time alone, but an iterator that is not needed any more should be
 *   freed soon;
 * - for each pinned value the data file that it stands in, on disk and in addresses, until it is unpinned;
 * - while a merge runs, up to 18 MiB; while a store opens that was not closed, up to 192 MiB.
 *
 * Where the machine, or the control group of the process (cgroup v1 and v2), has little memory, the last two
 * are less: a twelfth and an eighth of it. Data files that are mapped are memory that the kernel takes back
 * when it needs some; of records that it has not written to the disk yet there are no more than a quarter of
 * the memory. filedb_stats() counts the index and what stands beside it, in index_bytes.
 *
 * A thread that calls filedb needs 64 KiB of stack; filedb_open() uses the most of it.
 *
 * A closed store takes, beside its records, 12 to 16 bytes of disk per key for the index, and room that is
 * set aside for deletes and merges on a full disk: about as much as the records take, but no more than
 * 1.5 MiB or a 64th of the store. A store of few keys takes less than 64 KiB. While a store is open, room
 * is reserved ahead of the records, up to 128 MiB where writers are fast.
 *
 * # Versions
 *
 * Each item says since which version it is there. Within one major version functions, statuses and struct
 * members are only added, at the end: a program runs with every later library of that number.
 */

/**
 * @file
 * The C API of filedb. The opening chapter comes first.
 */

#ifndef FILEDB_H
#define FILEDB_H

#include <stddef.h>
#include <stdint.h>

/**
 * What a filedb_error_t begins with: filedb_error_t err = FILEDB_ERROR_INIT;
 * Since 0.1.0.
 */
#define FILEDB_ERROR_INIT { sizeof(filedb_error_t), 0, 0, 0, 0, 0, { 0 } }

/**
 * What a filedb_put_options_t begins with: filedb_put_options_t more = FILEDB_PUT_OPTIONS_INIT;
 * Since 0.1.0.
 */
#define FILEDB_PUT_OPTIONS_INIT { sizeof(filedb_put_options_t), 0, 0 }

/**
 * What a filedb_range_t begins with, which is all keys: filedb_range_t range = FILEDB_RANGE_INIT;
 * Since 0.2.0.
 */
#define FILEDB_RANGE_INIT { sizeof(filedb_range_t), 0, { NULL, 0 }, { NULL, 0 } }

/**
 * What a filedb_stats_t begins with: filedb_stats_t stats = FILEDB_STATS_INIT;
 * Since 0.1.0.
 */
#define FILEDB_STATS_INIT { sizeof(filedb_stats_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/**
 * What a filedb_change_t begins with: filedb_change_t change = FILEDB_CHANGE_INIT;
 * Since 0.2.0.
 */
#define FILEDB_CHANGE_INIT { sizeof(filedb_change_t), 0, 0, 0, 0, { NULL, 0 }, { NULL, 0 } }

/**
 * The version of this header. Programs that load the library at run time compare it with
 * filedb_version_number(). Since 0.1.0.
 */
#define FILEDB_VERSION_MAJOR 0

/**
 * The minor version of this header. Since 0.1.0.
 */
#define FILEDB_VERSION_MINOR 2

/**
 * The patch version of this header. Since 0.1.0.
 */
#define FILEDB_VERSION_PATCH 0

/**
 * Something failed that no call reports. Since 0.1.0.
 */
#define FILEDB_LOG_ERROR 1

/**
 * Something is not as it should be, and was dealt with. Since 0.1.0.
 */
#define FILEDB_LOG_WARN 2

/**
 * What the store does by itself: recovery, merges. Since 0.1.0.
 */
#define FILEDB_LOG_INFO 3

/**
 * Every step of that. Since 0.1.0.
 */
#define FILEDB_LOG_DEBUG 4

/**
 * Write only if there is no such key; else FILEDB_CONFLICT. Since 0.1.0.
 */
#define FILEDB_PUT_IF_ABSENT 1u

/**
 * Write only if there is such a key; else FILEDB_CONFLICT. Since 0.1.0.
 */
#define FILEDB_PUT_IF_PRESENT 2u

/**
 * Return when the write is durable, whatever the option sync says. Since 0.1.0.
 */
#define FILEDB_PUT_SYNC 4u

/**
 * Let the key keep the expiry that it has; not together with ttl_ms. Since 0.1.0.
 */
#define FILEDB_PUT_KEEP_TTL 8u

/**
 * filedb_list_move(): the element is the last of the list that it is taken from. Since 0.2.0.
 */
#define FILEDB_MOVE_FROM_BACK 1u

/**
 * filedb_list_move(): the element becomes the first of the list that it is added to. Since 0.2.0.
 */
#define FILEDB_MOVE_TO_FRONT 2u

/**
 * filedb_range_new(), and iterators run in the order of keys. Since 0.2.0.
 */
#define FILEDB_CAN_ORDER 1u

/**
 * An iterator sees one moment. Since 0.2.0.
 */
#define FILEDB_CAN_SNAPSHOT 2u

/**
 * A batch is all or nothing, whatever its keys. Since 0.2.0.
 */
#define FILEDB_CAN_BATCH 4u

/**
 * filedb_sync(), FILEDB_PUT_SYNC and sync=always: writes can be made durable. Since 0.2.0.
 */
#define FILEDB_CAN_SYNC 8u

/**
 * filedb_merge(). Since 0.2.0.
 */
#define FILEDB_CAN_MERGE 16u

/**
 * Pinned values are not copies. Since 0.2.0.
 */
#define FILEDB_CAN_PIN 32u

/**
 * Begin with the last key of the range, and go backwards. Since 0.2.0.
 */
#define FILEDB_RANGE_REVERSE 1u

/**
 * The key `from` is not in the range. Since 0.2.0.
 */
#define FILEDB_RANGE_FROM_EXCLUDED 2u

/**
 * The key `to` is in the range. Since 0.2.0.
 */
#define FILEDB_RANGE_TO_INCLUDED 4u

/**
 * filedb_change_t::kind: the key has a value now, whatever it had. Since 0.2.0.
 */
#define FILEDB_CHANGE_PUT 1u

/**
 * filedb_change_t::kind: the key is gone, if it was there. Since 0.2.0.
 */
#define FILEDB_CHANGE_DELETE 2u

/**
 * filedb_change_t::kind: as filedb_push_back(). Since 0.2.0.
 */
#define FILEDB_CHANGE_PUSH_BACK 3u

/**
 * filedb_change_t::kind: as filedb_push_front(). Since 0.2.0.
 */
#define FILEDB_CHANGE_PUSH_FRONT 4u

/**
 * filedb_change_t::kind: as filedb_pop_back(). Since 0.2.0.
 */
#define FILEDB_CHANGE_POP_BACK 5u

/**
 * filedb_change_t::kind: as filedb_pop_front(). Since 0.2.0.
 */
#define FILEDB_CHANGE_POP_FRONT 6u

/**
 * filedb_change_t::kind: the list of the key expires at filedb_change_t::expiry_ms, or, where that is 0,
 * no more. Since 0.2.0.
 */
#define FILEDB_CHANGE_EXPIRY 7u

/**
 * filedb_backup() makes no hard links: no file of the backup is one of the store's. Since 0.2.0.
 */
#define FILEDB_BACKUP_COPY 1u

/**
 * No damage: what a crash may leave, or something worth knowing. Since 0.2.0.
 */
#define FILEDB_FINDING_NOTE 1

/**
 * Bytes are not what was written, and no key is lost with them. Since 0.2.0.
 */
#define FILEDB_FINDING_SPACE_LOST 2

/**
 * What a key held is lost, or the store does not open because of it. Since 0.2.0.
 */
#define FILEDB_FINDING_DATA_LOST 3

/**
 * An open store. filedb_open() makes the handle, filedb_close() ends it. All threads of the process
 * share it. Since 0.1.0.
 */
struct filedb;

/**
 * Writes that are collected in memory, to happen all or not at all. It belongs to no store, and may
 * be written any number of times. For one thread at a time. Since 0.1.0.
 */
struct filedb_batch;

/**
 * Somebody's way through the changes of a store, in the order in which they happened and without an end.
 *
 * Who applies all that is shown has what the store has. Versions that were replaced before they were
 * shown may be left out; where what is left out would be missed the answer is FILEDB_GAP. A batch is
 * shown when all of it is written, and what is shown can be read. Keys that expire are told when they are
 * put: that their time has come is no change.
 *
 * A list is told as a whole (a delete, and a push for each element) when it changes for the first time
 * since the feed began, and when an element of it was set. Else pushes and pops are told as such.
 *
 * With sync=always only what is durable is shown. In the other modes a power cut may take back what was
 * shown and not synced, and gives its numbers to other changes: call filedb_sync() before you keep a number that is
 * to outlive the machine.
 *
 * It costs writers nothing while it is behind; who has read all and waits is woken by the next write, which
 * costs that a call of the system. Between two calls it keeps the data files that come next. For one thread at
 * a time. Since 0.2.0.
 */
struct filedb_changes;

/**
 * A walk through the keys of a store as they were when it began: writes that come later do not
 * change what it sees. It is in key order where the store has FILEDB_CAN_ORDER; else there is no order
 * that means anything.
 *
 * It blocks neither writers nor merges. While it lives, files that a merge replaced stay on the
 * disk, and old values of keys that change are remembered: free it soon. For one thread at a time.
 * Since 0.1.0.
 */
struct filedb_iter;

/**
 * The options to open a store with: make them with filedb_options_new(), set what should differ
 * from the defaults, give them to filedb_open(), free them. Threads may share them. Since 0.1.0.
 */
struct filedb_options;

/**
 * What a function answers: 0 is success, a positive number an outcome that is not an error, a
 * negative number an error. Numbers are never reused; later versions may add some. Since 0.1.0.
 */
typedef int32_t filedb_status_t;

/**
 * The options to open a store with. Since 0.1.0.
 */
typedef struct filedb_options filedb_options_t;

/**
 * What went wrong, in the caller's memory. A pointer to it is the last argument of most functions;
 * NULL says "I do not care".
 *
 * Begin with `filedb_error_t err = FILEDB_ERROR_INIT;`, which sets struct_size, or with `= {0}`. A
 * function writes only the members that lie wholly within struct_size bytes, so programs compiled against a
 * smaller or a larger version of this struct keep working. Every call that is given the struct
 * overwrites it, also when it succeeds. Since 0.1.0.
 */
struct filedb_error {
  /**
   * sizeof(filedb_error_t), set by the caller and never changed by the library; 0 is the size that
   * it has in version 0.1.0, 288 bytes.
   */
  uint32_t struct_size;
  /**
   * The status that the call returned; 0 after a success.
   */
  int32_t code;
  /**
   * The operating system's error number (errno) where there is one, else 0.
   */
  int32_t os_errno;
  /**
   * Always 0.
   */
  uint32_t reserved;
  /**
   * The number of the damaged data file with FILEDB_ERR_CORRUPT; 0 where it is another file.
   */
  uint64_t file_id;
  /**
   * The place of the damage in that file, in bytes, with FILEDB_ERR_CORRUPT.
   */
  uint64_t offset;
  /**
   * A sentence for people: UTF-8 in English, always ended by a NUL, cut to fit at a character's
   * end. Empty after a success.
   */
  char message[256];
};

/**
 * What went wrong, in the caller's memory. Since 0.1.0.
 */
typedef struct filedb_error filedb_error_t;

/**
 * What filedb_options_set_log() takes: one event, as `len` bytes of UTF-8 without a NUL behind them,
 * there until the function returns. It is called from any thread, also from several at once and
 * from within other calls: it must be quick, must not call the store, and must not throw or jump
 * out. Since 0.1.0.
 */
typedef void (*filedb_log_fn)(void *ctx, int32_t level, const char *message, size_t len);

/**
 * An open store. Since 0.1.0.
 */
typedef struct filedb filedb_t;

/**
 * More to say about a write. Begin with `filedb_put_options_t more = FILEDB_PUT_OPTIONS_INIT;`, or
 * with `= {0}`, which ask for nothing. Since 0.1.0.
 */
struct filedb_put_options {
  /**
   * sizeof(filedb_put_options_t), set by the caller; 0 is the size that it has in version 0.1.0. A
   * library that is older than the program accepts members that it does not know as long as they
   * are 0.
   */
  uint32_t struct_size;
  /**
   * FILEDB_PUT_..., or-ed.
   */
  uint32_t flags;
  /**
   * The key expires so many milliseconds from now; 0: it does not.
   */
  uint64_t ttl_ms;
};

/**
 * More to say about a write. Since 0.1.0.
 */
typedef struct filedb_put_options filedb_put_options_t;

/**
 * Writes that happen together. Since 0.1.0.
 */
typedef struct filedb_batch filedb_batch_t;

/**
 * Some bytes somewhere: a borrowed view that owns nothing. No NUL follows them. Since 0.1.0.
 */
struct filedb_slice {
  /**
   * The first byte; may be NULL where len is 0.
   */
  const void *data;
  /**
   * How many there are.
   */
  size_t len;
};

/**
 * Some bytes somewhere. Since 0.1.0.
 */
typedef struct filedb_slice filedb_slice_t;

/**
 * A value that is read where it lies, and that stays there, unchanged, until filedb_unpin(): also
 * when its key gets another value or is deleted, and when the store is closed.
 *
 * The struct is the caller's. Copies of it are one pin: unpin one of them. Since 0.1.0.
 */
struct filedb_pinned {
  /**
   * The first byte of the value; never written to.
   */
  const void *data;
  /**
   * The size of the value in bytes.
   */
  size_t len;
  /**
   * For filedb_unpin(); means nothing to the caller.
   */
  void *pin;
};

/**
 * A value that is read where it lies. Since 0.1.0.
 */
typedef struct filedb_pinned filedb_pinned_t;

/**
 * What a key holds: FILEDB_TYPE_..., or 0 for nothing. Since 0.2.0.
 */
typedef int32_t filedb_type_t;

/**
 * A walk through the keys of a store. Since 0.1.0.
 */
typedef struct filedb_iter filedb_iter_t;

/**
 * What filedb_fold() calls for each key; anything but 0 ends the walk. The bytes are there until it
 * returns. It may use the store, but must not throw or jump out. Since 0.1.0.
 */
typedef int (*filedb_fold_fn)(void *ctx,
                              const void *key,
                              size_t key_len,
                              const void *value,
                              size_t value_len);

/**
 * The keys between two bounds. Bytes are compared as unsigned numbers, and a key is before those that
 * it is a prefix of. Begin with `filedb_range_t range = FILEDB_RANGE_INIT;`, or with `= {0}`, which
 * are all keys. A range of which the end is before the beginning has no keys. Since 0.2.0.
 */
struct filedb_range {
  /**
   * sizeof(filedb_range_t), set by the caller; 0 is the size that it has in version 0.2.0. A library
   * that is older than the program accepts members that it does not know as long as they are 0.
   */
  uint32_t struct_size;
  /**
   * FILEDB_RANGE_..., or-ed.
   */
  uint32_t flags;
  /**
   * The first key; no bound where its data is NULL.
   */
  filedb_slice_t from;
  /**
   * The key behind the last one; no bound where its data is NULL.
   */
  filedb_slice_t to;
};

/**
 * The keys between two bounds. Since 0.2.0.
 */
typedef struct filedb_range filedb_range_t;

/**
 * A store in numbers. Begin with `filedb_stats_t stats = FILEDB_STATS_INIT;` or `= {0}`. Later versions may add
 * members at the end; a library that does not know one leaves it 0. Since 0.1.0.
 */
struct filedb_store_stats {
  /**
   * sizeof(filedb_stats_t), set by the caller; 0 is the size that it has in version 0.1.0.
   */
  uint32_t struct_size;
  /**
   * 1 while a merge is running, else 0.
   */
  uint32_t merging;
  /**
   * Keys.
   */
  uint64_t keys;
  /**
   * Data files.
   */
  uint64_t files;
  /**
   * Bytes of records in all data files, without what is reserved ahead.
   */
  uint64_t data_bytes;
  /**
   * How many of them are alive, to within an eighth; with engine=lsm at most so many.
   */
  uint64_t live_bytes;
  /**
   * Memory of the index and of what stands beside it (keys that expire, iterators), in bytes.
   */
  uint64_t index_bytes;
  /**
   * Iterators that are alive.
   */
  uint64_t iterators;
  /**
   * Bytes that puts, deletes and batches wrote since the store was opened.
   */
  uint64_t appended_bytes;
  /**
   * Merges since then.
   */
  uint64_t merges;
  /**
   * Bytes that merges wrote since then; with engine=lsm also those of memtables that were written out.
   */
  uint64_t merged_bytes;
  /**
   * Syncs of data files since then.
   */
  uint64_t syncs;
  /**
   * The time that they took, in nanoseconds.
   */
  uint64_t sync_nanos;
  /**
   * Keys that were forgotten since then because they had expired; always 0 with engine=lsm.
   */
  uint64_t expired_keys;
  /**
   * How far the store's time is ahead of the machine's wall clock, in milliseconds, because that was once further ahead or was
   * set back. Keys expire when the time that they were given has passed all the same. Since 0.2.0.
   */
  uint64_t clock_ahead_ms;
};

/**
 * A store in numbers. Since 0.1.0.
 */
typedef struct filedb_store_stats filedb_stats_t;

/**
 * A way through the changes of a store. Since 0.2.0.
 */
typedef struct filedb_changes filedb_changes_t;

/**
 * One change. Begin with `filedb_change_t change = FILEDB_CHANGE_INIT;` or `= {0}`. Later versions may add
 * members at the end. Since 0.2.0.
 */
struct filedb_change {
  /**
   * sizeof(filedb_change_t), set by the caller; 0 is the size that it has in version 0.2.0.
   */
  uint32_t struct_size;
  /**
   * What was done: FILEDB_CHANGE_...
   */
  uint32_t kind;
  /**
   * The number of the change: who has applied it, and those before it, goes on behind it. Never smaller than that of
   * the change before; changes that belong together may have the same.
   */
  uint64_t seq;
  /**
   * When it was written, in milliseconds since 1970 by the store's clock.
   */
  uint64_t time_ms;
  /**
   * Of FILEDB_CHANGE_PUT and FILEDB_CHANGE_EXPIRY: when the key expires, in milliseconds since 1970;
   * 0 for never.
   */
  uint64_t expiry_ms;
  /**
   * The key.
   */
  filedb_slice_t key;
  /**
   * The value of a put or a push; empty for others.
   */
  filedb_slice_t value;
};

/**
 * One change. Since 0.2.0.
 */
typedef struct filedb_change filedb_change_t;

/**
 * One damaged or suspicious place. Everything in it lives until the function that was given it returns.
 * Later versions may add members at the end. Since 0.2.0.
 */
struct filedb_finding {
  /**
   * The size of the struct, set by the library.
   */
  uint32_t struct_size;
  /**
   * FILEDB_FINDING_...: how bad it is; the larger, the worse.
   */
  int32_t severity;
  /**
   * The name of the file, in the store's directory.
   */
  const char *file;
  /**
   * Where in the file it begins, in bytes.
   */
  uint64_t offset;
  /**
   * How many bytes are concerned; 0 where that cannot be said.
   */
  uint64_t length;
  /**
   * A sentence for people that says what it is and what it means, ended by a NUL.
   */
  const char *message;
  /**
   * The key concerned, where it can be known; else NULL.
   */
  const void *key;
  /**
   * The length of the key in bytes.
   */
  size_t key_len;
};

/**
 * One damaged or suspicious place. Since 0.2.0.
 */
typedef struct filedb_finding filedb_finding_t;

/**
 * What filedb_check() and filedb_salvage() show their findings to; something else than 0 ends them. It
 * is called by the thread that called those. It must not throw or jump out. Since 0.2.0.
 */
typedef int (*filedb_finding_fn)(void *ctx, const filedb_finding_t *finding);

/**
 * What was looked at and what is lost, in numbers. Begin with `= {0}`, or set struct_size. Later
 * versions may add members at the end; a library that does not know one leaves it 0. Since 0.2.0.
 */
struct filedb_check_report {
  /**
   * sizeof(filedb_check_report_t), set by the caller; 0 is the size that it has in version 0.2.0.
   */
  uint32_t struct_size;
  /**
   * Files with damage.
   */
  uint32_t damaged_files;
  /**
   * Data files that were looked at.
   */
  uint64_t files;
  /**
   * Bytes of them.
   */
  uint64_t bytes;
  /**
   * Intact records in them, also those that are dead.
   */
  uint64_t records;
  /**
   * Keys that the store has; of a salvage, keys that the new store has.
   */
  uint64_t keys;
  /**
   * Findings that are no notes.
   */
  uint64_t damaged_places;
  /**
   * Keys whose newest value is lost: as many as are known of. Of a damaged place about which nothing
   * is known it is one.
   */
  uint64_t keys_lost;
};

/**
 * What was looked at and what is lost, in numbers. Since 0.2.0.
 */
typedef struct filedb_check_report filedb_check_report_t;

/**
 * The call did what it says. Since 0.1.0.
 */
#define FILEDB_OK 0

/**
 * There is no such key. Since 0.1.0.
 */
#define FILEDB_NOT_FOUND 1

/**
 * A condition of the write was not met; nothing was written. Since 0.1.0.
 */
#define FILEDB_CONFLICT 2

/**
 * There is nothing more to come. Since 0.1.0.
 */
#define FILEDB_DONE 3

/**
 * What was asked for is no longer in the log: begin with a copy of the store. Since 0.2.0.
 */
#define FILEDB_GAP 4

/**
 * Nothing changed in that time. Since 0.2.0.
 */
#define FILEDB_TIMEOUT 5

/**
 * An argument breaks the contract of the function; nothing was done. Since 0.1.0.
 */
#define FILEDB_ERR_INVALID_ARGUMENT (-1)

/**
 * The operating system refused a file operation. filedb_error_t::os_errno says why. Since 0.1.0.
 */
#define FILEDB_ERR_IO (-2)

/**
 * Bytes on disk are not what was written. Members file_id and offset of filedb_error_t
 * say where.
 * Since 0.1.0.
 */
#define FILEDB_ERR_CORRUPT (-3)

/**
 * Another process, or another handle of this one, has the store open. Since 0.1.0.
 */
#define FILEDB_ERR_LOCKED (-4)

/**
 * The disk, a quota or a file size limit leaves no room; nothing was written. Reads go on, and
 * writes go on as soon as there is room. Since 0.1.0.
 */
#define FILEDB_ERR_NO_SPACE (-5)

/**
 * The store was opened with the option read_only. Since 0.1.0.
 */
#define FILEDB_ERR_READ_ONLY (-6)

/**
 * A key or a value is longer than the store takes; nothing was written. Since 0.1.0.
 */
#define FILEDB_ERR_TOO_LARGE (-7)

/**
 * The caller's buffer is too small; the needed size was stored. Since 0.1.0.
 */
#define FILEDB_ERR_BUFFER_TOO_SMALL (-8)

/**
 * The store, or this version of the library, cannot do this. Since 0.1.0.
 */
#define FILEDB_ERR_UNSUPPORTED (-9)

/**
 * An earlier sync failed or a panic was caught. Reads go on; to write, close the store and open it
 * again. Since 0.1.0.
 */
#define FILEDB_ERR_POISONED (-10)

/**
 * The handle was opened by the parent of this process. Since 0.1.0.
 */
#define FILEDB_ERR_FORKED (-11)

/**
 * A bug in filedb was caught at its border. The handle takes no more writes. Since 0.1.0.
 */
#define FILEDB_ERR_PANIC (-12)

/**
 * Memory could not be allocated; nothing was done. Since 0.1.0.
 */
#define FILEDB_ERR_NO_MEMORY (-13)

/**
 * The store exists, and the option error_if_exists is set. Since 0.1.0.
 */
#define FILEDB_ERR_EXISTS (-14)

/**
 * The handle was closed. Since 0.1.0.
 */
#define FILEDB_ERR_CLOSED (-15)

/**
 * The key holds another type: a list where a value was asked for, or the other way round. Nothing was
 * changed. Since 0.2.0.
 */
#define FILEDB_ERR_WRONG_TYPE (-16)

/**
 * The server of a remote store is not there, or went away; a write may or may not have happened.
 * Since 0.2.0.
 */
#define FILEDB_ERR_CONNECTION (-17)

/**
 * There is no store, and the option create_if_missing is off, or the store is to be opened for
 * reading only. filedb_error_t::os_errno is ENOENT. Since 0.2.0.
 */
#define FILEDB_ERR_MISSING (-18)

/**
 * The key holds a value. Since 0.2.0.
 */
#define FILEDB_TYPE_VALUE 1

/**
 * The key holds a list. Since 0.2.0.
 */
#define FILEDB_TYPE_LIST 2

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/**
 * The version of the library that is running, as 0xMMmmpp: one byte each for major, minor and
 * patch, so that later versions compare greater.
 *
 * Threads: any, at any time. Since 0.1.0.
 */
uint32_t filedb_version_number(void);

/**
 * The version of the library that is running, such as "0.2.0". The text is constant: never free it.
 *
 * Threads: any, at any time. Since 0.1.0.
 */
const char *filedb_version_string(void);

/**
 * The general sentence for a status, in English, without a full stop. What exactly went wrong, and
 * with which file, is in filedb_error_t::message.
 *
 * Never NULL, also for numbers that are no status. The text is constant: never free it.
 *
 * Threads: any, at any time. Since 0.1.0.
 */
const char *filedb_strerror(filedb_status_t status);

/**
 * Makes options that hold the defaults. They belong to the caller, who gives them to
 * filedb_options_free().
 *
 * Returns NULL where there is no memory, and only then.
 *
 * Threads: any, at any time. Since 0.1.0.
 */
filedb_options_t *filedb_options_new(void);

/**
 * Sets the option `name` to what `value` says. Both are text; the opening chapter lists the
 * options, and filedb_options_describe() lists them to programs. Sizes take units ("64MiB"), times
 * too ("15s"). A store that was opened with these options before does not change.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: there is no such option, or it does not take this value (the
 *   message says which, and what it takes; nothing changes then), or a pointer is NULL;
 * - FILEDB_ERR_CLOSED: the options were freed.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_options_set(filedb_options_t *options,
                                   const char *name,
                                   const char *value,
                                   filedb_error_t *err);

/**
 * Copies the value of the option `name` to `buffer` as text with a NUL, in the form that
 * filedb_options_set() takes. `*len` gets the length without the NUL.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: there is no such option, or a pointer is NULL;
 * - FILEDB_ERR_BUFFER_TOO_SMALL: `*len` is set then too, and a buffer of `*len + 1` bytes is large
 *   enough. (NULL, 0) for the buffer asks for the length;
 * - FILEDB_ERR_CLOSED: the options were freed.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_options_get(const filedb_options_t *options,
                                   const char *name,
                                   char *buffer,
                                   size_t capacity,
                                   size_t *len,
                                   filedb_error_t *err);

/**
 * Tells about option number `i`, counted from 0: its name, what values it takes, and what it is
 * for. The texts are constant: never free them.
 *
 * Returns FILEDB_OK, FILEDB_DONE past the last option (all three texts are NULL then), or
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL.
 *
 * Threads: any, at any time. Since 0.1.0.
 */
filedb_status_t filedb_options_describe(size_t i,
                                        const char **name,
                                        const char **values,
                                        const char **help);

/**
 * Frees options that filedb_options_new() made. Stores that were opened with them go on; NULL is
 * fine.
 *
 * Threads: any, while no other uses these options. Since 0.1.0.
 */
void filedb_options_free(filedb_options_t *options);

/**
 * Has the events of the stores that are opened with these options reported to `function`, together
 * with `ctx`; up to the level that the option log_level says. NULL for the function: to nobody,
 * which is the default. filedb itself prints nothing.
 *
 * `ctx` has to be there until filedb_close() of each of these stores has returned; no event comes
 * after that.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: the options are NULL;
 * - FILEDB_ERR_CLOSED: they were freed.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_options_set_log(filedb_options_t *options,
                                       filedb_log_fn function,
                                       void *ctx,
                                       filedb_error_t *err);

/**
 * Opens the store at `path`, a directory or a URL (see "Where a store is"), and creates it unless the
 * option create_if_missing is false. `options` may be NULL for the defaults; the store keeps a copy of them. On success `*out`
 * is the handle, which belongs to the caller, who gives it to filedb_close().
 *
 * The directory is made where it is missing, but none above it. One that has other things in it becomes a store as
 * well; they stay, and a store has no use for them.
 *
 * After a clean close this takes milliseconds; after a crash it reads what was written since the
 * last data file was finished, and drops what the crash left half written. Where it fails, what is
 * in the store stays as it was.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, or the path is empty, or a URL is not well formed, or a
 *   server does not accept the user and password, or options contradict each other, or the store was made
 *   with another engine than the option engine names;
 * - FILEDB_ERR_LOCKED: the store is open already, in this process or another;
 * - FILEDB_ERR_MISSING: there is no store, and create_if_missing is false or read_only is true;
 * - FILEDB_ERR_IO: the directory or a file in it cannot be read or made (no permission, a path that
 *   is a file, a directory above it that is missing);
 * - FILEDB_ERR_CORRUPT: what was synced once is damaged, and the error names file and offset;
 * - FILEDB_ERR_EXISTS: there is a store, and error_if_exists is set;
 * - FILEDB_ERR_UNSUPPORTED: another version of filedb wrote the store, in a way that this one cannot
 *   read, and the message says which version can; or it has 65,535 data files, and can have no more; or the
 *   store cannot do what an option asks for, or this build of filedb has no Valkey in it;
 * - FILEDB_ERR_CONNECTION: the server is not there, or gives no answer in time;
 * - FILEDB_ERR_CLOSED: the options were freed;
 * - FILEDB_ERR_NO_SPACE, FILEDB_ERR_NO_MEMORY.
 *
 * Threads: any, at any time. Since 0.1.0.
 */
filedb_status_t filedb_open(const char *path,
                            const filedb_options_t *options,
                            filedb_t **out,
                            filedb_error_t *err);

/**
 * Closes the store: waits for calls under way in other threads, makes everything durable in every
 * sync mode, and writes what lets the next open start at once. A filedb_fold() under way in another
 * thread ends with FILEDB_ERR_CLOSED after the visit that it is at, for which this does not wait.
 *
 * The handle is gone whatever this returns. Pinned values stay as they are until filedb_unpin().
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: the handle is NULL, or not one;
 * - FILEDB_ERR_CLOSED: it was closed before;
 * - FILEDB_ERR_IO, FILEDB_ERR_NO_SPACE, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_POISONED: the store could
 *   not be closed cleanly. What could be made durable was, and it opens again, as after a crash;
 * - FILEDB_ERR_FORKED: in a forked child, which keeps nothing of the store; nothing in it is touched.
 *
 * Threads: any, at any time; calls of other threads that come later get FILEDB_ERR_CLOSED. Not from
 * within the log callback. Since 0.1.0.
 */
filedb_status_t filedb_close(filedb_t *db,
                             filedb_error_t *err);

/**
 * Stores `value` under `key`, in place of the value, or the whole list, that was there. Both are copied before the
 * call returns. A key has 1 to 65,536 bytes, a value 0 to 4,294,967,295; (NULL, 0) is an empty
 * value.
 *
 * When it returns FILEDB_OK, every later read sees the value, and the death of the process does
 * not lose it; the option sync says when it is safe from a power cut. When it returns an error,
 * the store is as it was before, but for FILEDB_ERR_POISONED and FILEDB_ERR_IO with sync=always,
 * where the write may be found after the next open.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: the key is empty, or a pointer is NULL;
 * - FILEDB_ERR_TOO_LARGE: the key or the value is too long;
 * - FILEDB_ERR_UNSUPPORTED: the store has 65,535 data files, and can have no more; or its checkpoint
 *   was changed or damaged since it was opened: it has to be closed and opened again;
 * - FILEDB_ERR_NO_SPACE, FILEDB_ERR_IO, FILEDB_ERR_READ_ONLY, FILEDB_ERR_POISONED,
 *   FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_put(filedb_t *db,
                           const void *key,
                           size_t key_len,
                           const void *value,
                           size_t value_len,
                           filedb_error_t *err);

/**
 * Removes `key` and its value, also where the value is damaged. As durable as a put.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND where there was no such key (nothing is written then), or an
 * error as filedb_put().
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_delete(filedb_t *db, const void *key, size_t key_len, filedb_error_t *err);

/**
 * Reads the value of `key` into memory of its own. On success `*value` is that memory, which
 * belongs to the caller, who gives it to filedb_free(), and `*value_len` its size. An empty value
 * is a pointer too, and is freed too.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND, or
 * - FILEDB_ERR_INVALID_ARGUMENT: the key is empty, or a pointer is NULL;
 * - FILEDB_ERR_TOO_LARGE: no key is so long;
 * - FILEDB_ERR_WRONG_TYPE: the key holds a list;
 * - FILEDB_ERR_CORRUPT: the value is damaged on disk; the error names file and offset;
 * - FILEDB_ERR_IO, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_get(filedb_t *db,
                           const void *key,
                           size_t key_len,
                           void **value,
                           size_t *value_len,
                           filedb_error_t *err);

/**
 * Reads the value of `key` into the caller's `buffer` of `capacity` bytes; with io=mmap no memory is
 * allocated for it. `*value_len` gets the size of the value. Buffer and key must not overlap.
 *
 * Returns as filedb_get(), and
 * - FILEDB_ERR_BUFFER_TOO_SMALL: the value is larger than the buffer, which is left as it was. This
 *   error sets an output too: `*value_len` is the size needed. (NULL, 0) for the buffer asks for
 *   the size of a value; an empty one is FILEDB_OK then;
 * - FILEDB_ERR_CORRUPT: the value is damaged; the buffer may have been written to, and holds nothing
 *   that is to be used.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_get_into(filedb_t *db,
                                const void *key,
                                size_t key_len,
                                void *buffer,
                                size_t capacity,
                                size_t *value_len,
                                filedb_error_t *err);

/**
 * Tells whether `key` is in the store, without reading its value.
 *
 * Returns FILEDB_OK where it is, FILEDB_NOT_FOUND where it is not, or an error as filedb_get().
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_exists(filedb_t *db, const void *key, size_t key_len, filedb_error_t *err);

/**
 * Stores the number of keys in `*out`, without reading the disk.
 *
 * Returns FILEDB_OK, FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED or FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_count(filedb_t *db, uint64_t *out, filedb_error_t *err);

/**
 * Makes every write that was complete before this call durable: when it returns FILEDB_OK, a power
 * cut loses none of them. Not needed with sync=always; nothing to do with read_only.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_IO, or FILEDB_ERR_NO_SPACE where it had promised room that it does not have: the disk
 *   failed to sync. What it kept is unknown, so the handle takes no more writes; close the store and
 *   open it again;
 * - FILEDB_ERR_POISONED: that happened before;
 * - FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_sync(filedb_t *db,
                            filedb_error_t *err);

/**
 * Takes the space of dead values back, now; with merge=auto the store does so by itself. Runs beside
 * readers and writers of other threads, and returns when it is done.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_NO_SPACE, FILEDB_ERR_IO, FILEDB_ERR_CORRUPT: no key is lost; what could be merged was;
 * - FILEDB_ERR_UNSUPPORTED: the store has 65,535 data files, and no room for those of the merge; or as
 *   filedb_put();
 * - FILEDB_ERR_READ_ONLY, FILEDB_ERR_POISONED, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_INVALID_ARGUMENT,
 *   FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_merge(filedb_t *db,
                             filedb_error_t *err);

/**
 * Stores `value` under `key` as filedb_put() does, under conditions and with an expiry. `options`
 * may be NULL, which is a plain put. A condition and the write are one step, which no other write
 * of the key comes between. An expired key is an absent key.
 *
 * Returns as filedb_put(), and
 * - FILEDB_CONFLICT: the condition does not hold; nothing was written;
 * - FILEDB_ERR_INVALID_ARGUMENT: also where struct_size is not the size of the struct, or the flags
 *   contradict each other;
 * - FILEDB_ERR_UNSUPPORTED: also where a flag or a member that this version does not know is set;
 * - FILEDB_ERR_CORRUPT: the record that a condition or FILEDB_PUT_KEEP_TTL asks about is damaged.
 *   Nothing was written; a plain put replaces it.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_put_with(filedb_t *db,
                                const void *key,
                                size_t key_len,
                                const void *value,
                                size_t value_len,
                                const filedb_put_options_t *options,
                                filedb_error_t *err);

/**
 * Adds a put of `key` and `value` to a batch as filedb_batch_put() does, with an expiry: the key
 * expires ttl_ms after the batch is written. `options` may be NULL, which is a plain put; of its
 * members a batch takes ttl_ms only, for its writes have no conditions.
 *
 * Returns as filedb_batch_put(), and
 * - FILEDB_ERR_INVALID_ARGUMENT: also where struct_size is not the size of the struct;
 * - FILEDB_ERR_UNSUPPORTED: a flag, or a member that this version does not know, is set. Nothing was
 *   added.
 *
 * Threads: any, one at a time for each batch. Since 0.2.0.
 */
filedb_status_t filedb_batch_put_with(filedb_batch_t *batch,
                                      const void *key,
                                      size_t key_len,
                                      const void *value,
                                      size_t value_len,
                                      const filedb_put_options_t *options,
                                      filedb_error_t *err);

/**
 * Stores in `*ms` how many milliseconds `key` has to live; -1 where it does not expire.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND, or an error as filedb_get().
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_ttl(filedb_t *db,
                           const void *key,
                           size_t key_len,
                           int64_t *ms,
                           filedb_error_t *err);

/**
 * Lets `key` expire `ttl_ms` milliseconds from now; with 0 it is gone at once. The record is written
 * again, which costs as much as a put and is as durable.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND, or an error as filedb_put() or filedb_get().
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_expire(filedb_t *db,
                              const void *key,
                              size_t key_len,
                              uint64_t ttl_ms,
                              filedb_error_t *err);

/**
 * Lets `key` live until it is deleted. The record is written again, as with filedb_expire().
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND, or an error as filedb_put() or filedb_get().
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_persist(filedb_t *db, const void *key, size_t key_len, filedb_error_t *err);

/**
 * Lists the keys that begin with `prefix`, all keys with (NULL, 0), as they are at one moment, in
 * no particular order. On success `*keys` points to `*count` slices. They and the bytes they point
 * to are one block that belongs to the caller, who gives `*keys` to filedb_free(), once. Where no
 * key matches, `*count` is 0 and `*keys` NULL.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL;
 * - FILEDB_ERR_TOO_LARGE: no key is as long as the prefix;
 * - FILEDB_ERR_NO_MEMORY: the list does not fit;
 * - FILEDB_ERR_CORRUPT, FILEDB_ERR_IO: keys are read from the files, and one could not be;
 * - FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_list(filedb_t *db,
                            const void *prefix,
                            size_t prefix_len,
                            filedb_slice_t **keys,
                            size_t *count,
                            filedb_error_t *err);

/**
 * Lists keys as filedb_list() does, in the order of their bytes, which are compared as unsigned
 * numbers, a key before those that it is a prefix of. The whole list is sorted, in place.
 *
 * Returns as filedb_list().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_list_sorted(filedb_t *db,
                                   const void *prefix,
                                   size_t prefix_len,
                                   filedb_slice_t **keys,
                                   size_t *count,
                                   filedb_error_t *err);

/**
 * Reads the value of `key` in place: no copy, and with io=mmap no memory either. On success `*out`
 * is the value, which belongs to the caller, who gives it to filedb_unpin(). Until then the data
 * file that holds it stays open, and keeps its room on the disk even when a merge has replaced it:
 * a form for short use.
 *
 * Returns as filedb_get().
 *
 * Threads: any, several at once; any thread may read and unpin the value. Since 0.1.0.
 */
filedb_status_t filedb_get_pinned(filedb_t *db,
                                  const void *key,
                                  size_t key_len,
                                  filedb_pinned_t *out,
                                  filedb_error_t *err);

/**
 * Gives a pinned value back and zeroes the struct, so that doing it again does nothing. NULL is
 * fine, and so is a struct of zeroes. Works after the store was closed too.
 *
 * Threads: any, one at a time for each value. Since 0.1.0.
 */
void filedb_unpin(filedb_pinned_t *pinned);

/**
 * Reads the values of `count` keys, as that many calls of filedb_get_pinned() would, but with their
 * waits for memory overlapped: several times faster for keys that are not in the processor's cache.
 *
 * `values` and `statuses` have room for `count` each. For every key `statuses[i]` becomes what
 * filedb_get_pinned() would return, whatever this function returns, and `values[i]` the pinned
 * value, or zeroes where the status is not FILEDB_OK. The caller gives every value to
 * filedb_unpin(); a loop over all of them is right in any case. (NULL, 0) are no keys.
 *
 * Returns FILEDB_OK where every key was found or not found; else the first error, which `err`
 * tells about:
 * - one of a key, as filedb_get(); the other keys were read nevertheless;
 * - one of the call (FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED,
 *   FILEDB_ERR_NO_MEMORY), which is then the status of every key that it kept from being read.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_get_many(filedb_t *db,
                                const filedb_slice_t *keys,
                                size_t count,
                                filedb_pinned_t *values,
                                filedb_status_t *statuses,
                                filedb_error_t *err);

/**
 * Tells what `key` holds: `*out` becomes FILEDB_TYPE_VALUE or FILEDB_TYPE_LIST.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND, or an error as filedb_get().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_type(filedb_t *db,
                            const void *key,
                            size_t key_len,
                            filedb_type_t *out,
                            filedb_error_t *err);

/**
 * Adds `value` behind the last element of the list `key`, which is made where there is no such key.
 * `*length` becomes the number of elements; `length` may be NULL. The value is copied. A push is one
 * atomic write, whose cost does not depend on the length of the list. A list keeps its expiry.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_WRONG_TYPE: the key holds a value;
 * - an error as filedb_put(), or FILEDB_ERR_CORRUPT where the list is damaged. Nothing was changed.
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_push_back(filedb_t *db,
                                 const void *key,
                                 size_t key_len,
                                 const void *value,
                                 size_t value_len,
                                 uint64_t *length,
                                 filedb_error_t *err);

/**
 * Adds `value` in front of the first element of the list `key`, as filedb_push_back() does behind the
 * last.
 *
 * Returns as filedb_push_back().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_push_front(filedb_t *db,
                                  const void *key,
                                  size_t key_len,
                                  const void *value,
                                  size_t value_len,
                                  uint64_t *length,
                                  filedb_error_t *err);

/**
 * Takes the last element of the list `key` out. On success `*value` is a copy of it, which belongs to
 * the caller, who gives it to filedb_free(), and `*value_len` its size. A pop is one atomic write. With
 * its last element a list is gone.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no such key, or
 * - FILEDB_ERR_WRONG_TYPE: the key holds a value;
 * - an error as filedb_put() or filedb_get(). Nothing was taken out then, but for
 *   FILEDB_ERR_POISONED and FILEDB_ERR_IO with sync=always, where the element may be gone.
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_pop_back(filedb_t *db,
                                const void *key,
                                size_t key_len,
                                void **value,
                                size_t *value_len,
                                filedb_error_t *err);

/**
 * Takes the first element of the list `key` out, as filedb_pop_back() does the last.
 *
 * Returns as filedb_pop_back().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_pop_front(filedb_t *db,
                                 const void *key,
                                 size_t key_len,
                                 void **value,
                                 size_t *value_len,
                                 filedb_error_t *err);

/**
 * Takes the first element of the list `from` out and adds it behind the last of the list `to`, which is
 * made where there is no such key; `flags`, FILEDB_MOVE_FROM_BACK and FILEDB_MOVE_TO_FRONT or 0, say
 * other ends. It is one atomic write: at every moment, and after a crash, the element is in one of the
 * two lists, and in one only. On success `*value` is a copy of it, which belongs to the caller, who gives
 * it to filedb_free(), and `*value_len` its size. Both may be the same list. With its last element a list
 * is gone.
 *
 * So a worker takes a job from a queue without losing it when the process dies: it moves the job to a
 * list of its own, and takes it out of there when it is done. What is in that list at a start was
 * not done, and is moved back.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no list `from`, or
 * - FILEDB_ERR_WRONG_TYPE: one of the keys holds a value;
 * - FILEDB_ERR_UNSUPPORTED: a flag that this version does not know, or two keys of a cluster of which not
 *   one server has both;
 * - an error as filedb_put() or filedb_get(). Nothing was moved then, but for FILEDB_ERR_POISONED,
 *   FILEDB_ERR_IO with sync=always and FILEDB_ERR_CONNECTION, and FILEDB_ERR_NO_MEMORY of a store on a
 *   server, where the element may have been moved.
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_list_move(filedb_t *db,
                                 const void *from,
                                 size_t from_len,
                                 const void *to,
                                 size_t to_len,
                                 uint32_t flags,
                                 void **value,
                                 size_t *value_len,
                                 filedb_error_t *err);

/**
 * Stores the number of elements of the list `key` in `*out`.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no such key, FILEDB_ERR_WRONG_TYPE where it holds a
 * value, or an error as filedb_get().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_list_length(filedb_t *db,
                                   const void *key,
                                   size_t key_len,
                                   uint64_t *out,
                                   filedb_error_t *err);

/**
 * Reads the element at `index` of the list `key`, counted from 0, or from the end where negative: -1 is
 * the last. On success `*value` is a copy of it, which belongs to the caller, who gives it to
 * filedb_free(). It costs as much as filedb_get(), wherever the element is.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no such key or element, FILEDB_ERR_WRONG_TYPE where
 * the key holds a value, or an error as filedb_get().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_list_get(filedb_t *db,
                                const void *key,
                                size_t key_len,
                                int64_t index,
                                void **value,
                                size_t *value_len,
                                filedb_error_t *err);

/**
 * Replaces the element at `index` of the list `key`, counted as by filedb_list_get().
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no such key or element, FILEDB_ERR_WRONG_TYPE where
 * the key holds a value, or an error as filedb_push_back().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_list_set(filedb_t *db,
                                const void *key,
                                size_t key_len,
                                int64_t index,
                                const void *value,
                                size_t value_len,
                                filedb_error_t *err);

/**
 * Reads the elements of the list `key` from index `first` to index `last`, both included and counted as
 * by filedb_list_get(); indices outside of the list are cut to it. On success `*values` points to `*count`
 * slices. They and the bytes they point to are one block that belongs to the caller, who gives `*values`
 * to filedb_free(), once. Where no element is in the range, `*count` is 0 and `*values` NULL.
 *
 * Pushes and pops of other threads come before or after all of it; a filedb_list_set() meanwhile may be
 * seen or not.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no such key, FILEDB_ERR_WRONG_TYPE where it holds a
 * value, or an error as filedb_list().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_list_range(filedb_t *db,
                                  const void *key,
                                  size_t key_len,
                                  int64_t first,
                                  int64_t last,
                                  filedb_slice_t **values,
                                  size_t *count,
                                  filedb_error_t *err);

/**
 * Stores in `*out` what this store can do: FILEDB_CAN_..., or-ed. What it cannot do answers
 * FILEDB_ERR_UNSUPPORTED, and changes nothing.
 *
 * Returns FILEDB_OK, FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED or FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_capabilities(filedb_t *db, uint64_t *out, filedb_error_t *err);

/**
 * Removes `key` and reads its value, in one step. On success `*value` is a copy of it, which belongs to
 * the caller, who gives it to filedb_free(), and `*value_len` its size.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND, FILEDB_ERR_WRONG_TYPE where the key holds a list, or an error as
 * filedb_get() or filedb_delete().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_get_delete(filedb_t *db,
                                  const void *key,
                                  size_t key_len,
                                  void **value,
                                  size_t *value_len,
                                  filedb_error_t *err);

/**
 * Gives `key` the value `desired`, or removes it where that is NULL, if it holds `expected`, or nothing
 * where that is NULL; in one step. A value that is replaced keeps its expiry.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_CONFLICT: it holds something else; nothing was changed;
 * - FILEDB_ERR_WRONG_TYPE: the key holds a list;
 * - an error as filedb_get() or filedb_put().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_compare_and_swap(filedb_t *db,
                                        const void *key,
                                        size_t key_len,
                                        const filedb_slice_t *expected,
                                        const filedb_slice_t *desired,
                                        filedb_error_t *err);

/**
 * Adds `by` to the number that `key` holds as decimal text; a key that is not there counts as 0. `*out`
 * becomes the sum; `out` may be NULL. One step: no hit is lost between threads or processes. The key
 * keeps its expiry.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: the value is no decimal number of 64 bits with a sign, or the sum is
 *   none; nothing was changed;
 * - FILEDB_ERR_WRONG_TYPE: the key holds a list;
 * - an error as filedb_get() or filedb_put().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_increment(filedb_t *db,
                                 const void *key,
                                 size_t key_len,
                                 int64_t by,
                                 int64_t *out,
                                 filedb_error_t *err);

/**
 * Makes an empty batch. It belongs to the caller, who gives it to filedb_batch_free().
 *
 * Returns NULL where there is no memory, and only then.
 *
 * Threads: any, at any time. Since 0.1.0.
 */
filedb_batch_t *filedb_batch_new(void);

/**
 * Adds a put of `key` and `value`, which are copied.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: the key is empty, or a pointer is NULL;
 * - FILEDB_ERR_TOO_LARGE: the key or the value is too long;
 * - FILEDB_ERR_NO_MEMORY: the batch is as it was;
 * - FILEDB_ERR_CLOSED: the batch was freed.
 *
 * Threads: any, one at a time for each batch. Since 0.1.0.
 */
filedb_status_t filedb_batch_put(filedb_batch_t *batch,
                                 const void *key,
                                 size_t key_len,
                                 const void *value,
                                 size_t value_len,
                                 filedb_error_t *err);

/**
 * Adds a delete of `key`, which need not exist when the batch is written.
 *
 * Returns as filedb_batch_put().
 *
 * Threads: any, one at a time for each batch. Since 0.1.0.
 */
filedb_status_t filedb_batch_delete(filedb_batch_t *batch,
                                    const void *key,
                                    size_t key_len,
                                    filedb_error_t *err);

/**
 * Adds a push of `value` behind the last element of the list `key`, as filedb_push_back() does it when
 * the batch is written. Where the key holds a value then, by itself or by an earlier write of the batch,
 * filedb_write() answers FILEDB_ERR_WRONG_TYPE, and nothing of the batch is written.
 *
 * Returns as filedb_batch_put().
 *
 * Threads: any, one at a time for each batch. Since 0.2.0.
 */
filedb_status_t filedb_batch_push_back(filedb_batch_t *batch,
                                       const void *key,
                                       size_t key_len,
                                       const void *value,
                                       size_t value_len,
                                       filedb_error_t *err);

/**
 * Adds a push of `value` in front of the first element of the list `key`, otherwise as
 * filedb_batch_push_back().
 *
 * Returns as filedb_batch_put().
 *
 * Threads: any, one at a time for each batch. Since 0.2.0.
 */
filedb_status_t filedb_batch_push_front(filedb_batch_t *batch,
                                        const void *key,
                                        size_t key_len,
                                        const void *value,
                                        size_t value_len,
                                        filedb_error_t *err);

/**
 * Empties the batch, and keeps its memory for what is added next. NULL is fine.
 *
 * Threads: any, one at a time for each batch. Since 0.1.0.
 */
void filedb_batch_clear(filedb_batch_t *batch);

/**
 * Frees a batch, written or not. NULL is fine.
 *
 * Threads: any, one at a time for each batch. Since 0.1.0.
 */
void filedb_batch_free(filedb_batch_t *batch);

/**
 * Writes all of a batch or nothing, in the order in which it was put together: the last write of a
 * key wins. After a crash it is there whole or not at all. While it is written, readers in other
 * threads may see some of its keys changed before others. The batch stays as it is.
 *
 * Returns as filedb_put(), and
 * - FILEDB_ERR_TOO_LARGE: also where the batch as a whole has 4 GiB or more;
 * - FILEDB_ERR_CLOSED: also where the batch was freed.
 *
 * An empty batch is FILEDB_OK.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_write(filedb_t *db, const filedb_batch_t *batch, filedb_error_t *err);

/**
 * Begins a walk through the keys that begin with `prefix`, through all keys with (NULL, 0). On
 * success `*out` is the iterator, which belongs to the caller, who gives it to filedb_iter_free(),
 * before or after the store is closed.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL;
 * - FILEDB_ERR_TOO_LARGE: no key is as long as the prefix;
 * - FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_iter_new(filedb_t *db,
                                const void *prefix,
                                size_t prefix_len,
                                filedb_iter_t **out,
                                filedb_error_t *err);

/**
 * Goes to the next key. `*key` and `*value` then point to bytes of the library's, which stay as they
 * are until the next call for this iterator, also when the key changes or the store is closed.
 *
 * Returns FILEDB_OK, FILEDB_DONE behind the last key (and from then on), or
 * - FILEDB_ERR_CORRUPT: a record is damaged; the error names file and offset, and the next call goes
 *   on behind it;
 * - FILEDB_ERR_IO, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_INVALID_ARGUMENT;
 * - FILEDB_ERR_CLOSED: the store was closed, or the iterator was freed;
 * - FILEDB_ERR_FORKED.
 *
 * Threads: any, one at a time for each iterator. Since 0.1.0.
 */
filedb_status_t filedb_iter_next(filedb_iter_t *iter,
                                 filedb_slice_t *key,
                                 filedb_slice_t *value,
                                 filedb_error_t *err);

/**
 * Goes on by up to `capacity` keys at once, which saves the price of the calls. Returns how many;
 * so many of `keys` and `values` are set, and stay valid together until the next call for this
 * iterator. `*status` becomes what filedb_iter_next() would have returned after the last of them:
 * FILEDB_OK where there was no more room, else FILEDB_DONE or an error; the keys before it count all
 * the same.
 *
 * Threads: any, one at a time for each iterator. Since 0.1.0.
 */
size_t filedb_iter_next_batch(filedb_iter_t *iter,
                              filedb_slice_t *keys,
                              filedb_slice_t *values,
                              size_t capacity,
                              filedb_status_t *status,
                              filedb_error_t *err);

/**
 * Goes to the first key of the walk that is not before `key`, which need not be one of the store; the
 * next step gives it. In a walk that runs backwards it is the last key that is not behind `key`. It may
 * go back as well as on; the walk keeps its bounds and its moment. What was shown before is gone.
 *
 * Returns FILEDB_OK, also where no such key is left, or
 * - FILEDB_ERR_UNSUPPORTED: the store has no FILEDB_CAN_ORDER. The walk stays where it is;
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL;
 * - FILEDB_ERR_TOO_LARGE: no key is as long;
 * - FILEDB_ERR_IO, FILEDB_ERR_CORRUPT, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, one at a time for each iterator. Since 0.2.0.
 */
filedb_status_t filedb_iter_seek(filedb_iter_t *iter,
                                 const void *key,
                                 size_t key_len,
                                 filedb_error_t *err);

/**
 * Tells what the key of the row that was given last holds: `*out` becomes FILEDB_TYPE_VALUE or
 * FILEDB_TYPE_LIST. For a list the value of the row is empty. After filedb_iter_next_batch() it is the
 * last of its rows.
 *
 * Returns FILEDB_OK, FILEDB_NOT_FOUND where no row was given yet or the last step gave none, or
 * FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED.
 *
 * Threads: any, one at a time for each iterator. Since 0.2.0.
 */
filedb_status_t filedb_iter_type(filedb_iter_t *iter,
                                 filedb_type_t *out,
                                 filedb_error_t *err);

/**
 * Frees an iterator, at its end or before. NULL is fine, and so is one whose store was closed.
 *
 * Threads: any, one at a time for each iterator. Since 0.1.0.
 */
void filedb_iter_free(filedb_iter_t *iter);

/**
 * Calls `function` with `ctx` for every key and its value, as they are at one moment, until it
 * returns something else than 0, which is FILEDB_OK too. A key that holds a list comes with an empty value. The keys come in their
 * order with engine=lsm, and in none else. The function may read, write and even close
 * the store: it is called without a lock.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_CORRUPT: a record is damaged; the walk ended there;
 * - FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_IO, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED,
 *   FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_fold(filedb_t *db,
                            filedb_fold_fn function,
                            void *ctx,
                            filedb_error_t *err);

/**
 * Begins a walk through the keys of `range`, in their order or, with FILEDB_RANGE_REVERSE, against it.
 * On success `*out` is an iterator as that of filedb_iter_new(): it sees the store as it is now, and
 * belongs to the caller, who gives it to filedb_iter_free().
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_UNSUPPORTED: the store has no FILEDB_CAN_ORDER (filedb_list_sorted() is for every
 *   store), or a flag or a member that this version does not know is set;
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, or struct_size is not the size of the struct;
 * - FILEDB_ERR_TOO_LARGE: no key is as long as a bound;
 * - FILEDB_ERR_IO, FILEDB_ERR_CORRUPT, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_range_new(filedb_t *db,
                                 const filedb_range_t *range,
                                 filedb_iter_t **out,
                                 filedb_error_t *err);

/**
 * Deletes all keys of `range`, as one write: all are gone or, after an error or a crash, none. It costs
 * what one delete costs, however many they are. FILEDB_RANGE_REVERSE means nothing here.
 *
 * Returns FILEDB_OK, also where there are no such keys, or
 * - FILEDB_ERR_UNSUPPORTED: as filedb_range_new(); nothing was deleted;
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, or struct_size is not the size of the struct;
 * - FILEDB_ERR_TOO_LARGE: no key is as long as a bound;
 * - an error as filedb_delete().
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_delete_range(filedb_t *db,
                                    const filedb_range_t *range,
                                    filedb_error_t *err);

/**
 * Stores the store in numbers in `*out`, without reading the disk. Members that lie beyond the
 * struct_size of `*out` are left out.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, or struct_size is not set;
 * - FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.1.0.
 */
filedb_status_t filedb_stats(filedb_t *db, filedb_stats_t *out, filedb_error_t *err);

/**
 * Stores in `*out` the number of the last change: all up to it can be read, and filedb_changes_new() goes on
 * behind it. 0 for a store that was never written to. Of a backup it is the number that it was made at.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_UNSUPPORTED: the store is on a server;
 * - FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_last_seq(filedb_t *db,
                                uint64_t *out,
                                filedb_error_t *err);

/**
 * Begins to follow the changes behind the number `after_seq`: 0 for all since the store is there, the
 * filedb_change_t::seq that was applied last to go on where another feed was left, also in another process,
 * or the filedb_last_seq() of a copy. On success `*out` belongs to the caller, who gives it to
 * filedb_changes_free(), before or after the store is closed.
 *
 * Returns FILEDB_OK, also where the number is not one of the store, which filedb_changes_next() tells, or
 * - FILEDB_ERR_UNSUPPORTED: the store is on a server, or is read with the option live;
 * - FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_changes_new(filedb_t *db,
                                   uint64_t after_seq,
                                   filedb_changes_t **out,
                                   filedb_error_t *err);

/**
 * Stores the next change in `*out`. Waits for one for up to `timeout_ms`: 0 not at all, a negative number
 * for ever. The slices stay as they are until the next call for this feed.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_TIMEOUT: nothing changed in that time;
 * - FILEDB_GAP: what comes next is not in the store any more (merges drop deletes, see keep_tombstones_ms,
 *   and with engine=lsm there is only what is in the log), or the number is not one of the store. Nothing more
 *   comes: begin with a copy of the store, and its number;
 * - FILEDB_ERR_CORRUPT: the log is damaged there; the next call comes to the same place;
 * - FILEDB_ERR_IO, FILEDB_ERR_NO_MEMORY: the next call tries again;
 * - FILEDB_ERR_POISONED: with sync=always, what comes next could not be made durable;
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, or struct_size is wrong;
 * - FILEDB_ERR_CLOSED: the store was closed, also while this call waited, or the feed was freed;
 * - FILEDB_ERR_FORKED.
 *
 * Threads: any, one at a time for each feed. Since 0.2.0.
 */
filedb_status_t filedb_changes_next(filedb_changes_t *changes,
                                    int64_t timeout_ms,
                                    filedb_change_t *out,
                                    filedb_error_t *err);

/**
 * Ends following. NULL is fine, and so is a feed whose store was closed.
 *
 * Threads: any, one at a time for each feed: none may be waiting in filedb_changes_next(). Since 0.2.0.
 */
void filedb_changes_free(filedb_changes_t *changes);

/**
 * Copies the store, which may be in use, to `directory`, which becomes a store itself: what this one held
 * at a moment between the beginning of the call and its end. The directory is made if it is not there;
 * it must be empty, or hold an older backup of the same store. Then only what is new is written, and
 * what is no longer part of the store is removed; until the new backup is whole the older one is.
 *
 * Files that never change again are linked (hard links) where the file system can do that, and copied
 * where not, or with FILEDB_BACKUP_COPY in `flags`. A backup that consists of links is safe from all that
 * is done through this library, and from a lost directory, but not from a damaged disk. Writers do not
 * wait for it, and merges go on, but what they replace takes space until it is done. When it returns
 * FILEDB_OK the backup is durable, and so is all of the store that is in it. A backup that was
 * interrupted is never taken for a whole one: it does not open.
 *
 * A backup is opened with read_only to look at it, or copied back with filedb_backup(). One that was
 * opened for writing has become another store, and takes no more backups.
 *
 * Returns FILEDB_OK, or
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, the path is empty or no directory, there are other
 *   flags, or the directory holds something else than a backup of this store, holds one that was opened
 *   for writing, or lies inside the store;
 * - FILEDB_ERR_UNSUPPORTED: the store is on a server;
 * - FILEDB_ERR_LOCKED: somebody has the backup open;
 * - FILEDB_ERR_NO_SPACE, FILEDB_ERR_IO, FILEDB_ERR_CORRUPT, FILEDB_ERR_POISONED, FILEDB_ERR_NO_MEMORY;
 * - FILEDB_ERR_CLOSED: the handle is closed, or was closed meanwhile; FILEDB_ERR_FORKED.
 *
 * The directory holds what it held before where it fails.
 *
 * Threads: any, several at once. Since 0.2.0.
 */
filedb_status_t filedb_backup(filedb_t *db,
                              const char *directory,
                              uint32_t flags,
                              filedb_error_t *err);

/**
 * Looks for damage in the store at `path`, a directory: reads all of its files, compares every checksum,
 * and holds manifest, data files, hints and checkpoint against each other. Each finding is shown to
 * `function`, which may be NULL, together with `ctx`; if it returns something else than 0 the check
 * ends there. `*out` becomes the report, also with FILEDB_ERR_CORRUPT.
 *
 * No file is changed or made. The store need not be closed: it may be open in this process or another,
 * and be written to; then what was complete when the check came to it counts. What a crash or a power
 * cut leaves behind is a note and no damage. It takes about 40 bytes of memory for each key.
 *
 * Returns FILEDB_OK where the store is sound, or
 * - FILEDB_ERR_CORRUPT: there are findings that are no notes. The error names the first of the worst;
 * - FILEDB_ERR_MISSING: there is no store;
 * - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, the path is empty, or struct_size is not the size of
 *   the struct;
 * - FILEDB_ERR_UNSUPPORTED: the store is no directory, or another version of filedb wrote it;
 * - FILEDB_ERR_IO, FILEDB_ERR_NO_MEMORY.
 *
 * Threads: any, at any time. Since 0.2.0.
 */
filedb_status_t filedb_check(const char *path,
                             filedb_finding_fn function,
                             void *ctx,
                             filedb_check_report_t *out,
                             filedb_error_t *err);

/**
 * Copies what is intact in the store at `path`, which may be damaged, to a new store at `to`, which must
 * not exist: the newest intact version of each key, with its expiry; lists with their elements. What
 * an intact record removed stays removed, and of a batch that is damaged nothing is copied. It works
 * without a manifest too. Findings are shown to `function` as by filedb_check(); if it returns
 * something else than 0 the salvage ends and there is no new store.
 *
 * The damaged store is not changed, and is locked against writers meanwhile. The new store is closed
 * and durable when this returns. It takes about 80 bytes of memory for each key, and that of the largest
 * value.
 *
 * Returns FILEDB_OK where the new store is there, with all that can be saved: `*out` and the findings say
 * what is lost. Or
 * - FILEDB_ERR_EXISTS: there is something at `to`;
 * - FILEDB_ERR_LOCKED: the store is open for writing, in this process or another;
 * - FILEDB_ERR_CORRUPT: the function ended it;
 * - FILEDB_ERR_NO_SPACE: there is no room for the new store;
 * - as filedb_check() otherwise. There is no new store with any of these.
 *
 * Threads: any, at any time. Since 0.2.0.
 */
filedb_status_t filedb_salvage(const char *path,
                               const char *to,
                               filedb_finding_fn function,
                               void *ctx,
                               filedb_check_report_t *out,
                               filedb_error_t *err);

/**
 * Gives back memory that this library handed out: values of filedb_get() and its like, and the blocks of
 * filedb_list() and filedb_list_range(). NULL is fine.
 *
 * The memory comes from malloc() of the C library that filedb is linked with; where the program
 * uses the same one, free() does as well.
 *
 * Threads: any, at any time. Since 0.1.0.
 */
void filedb_free(void *memory);

#ifdef __cplusplus
} /* extern "C" */
#endif /* __cplusplus */

#endif  /* FILEDB_H */
