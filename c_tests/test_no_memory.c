/* A process that gets no more memory: every call answers so, nothing is printed, and the store goes on. */
#include "harness.h"

#include <pthread.h>
#include <sys/resource.h>

enum { KEYS = 60, VALUE = 300, LARGE = 100 * 1000 };

/* ---- A malloc that refuses -------------------------------------------------------------------------------- */

/*
 * These stand in front of those of the C library, for libfiledb and for the C library itself too. What the thread asks for that set
 * `counting`, or all threads but those that are spared, is counted, and one piece of it is refused, or all from that one on.
 */
static int all_threads, only_one;
static long asked, refuse_at, refusals;
__extension__ static __thread int counting, spared;

static int is_refused(void) {
  long n;
  if (!counting && (spared || !__atomic_load_n(&all_threads, __ATOMIC_RELAXED))) return 0;
  n = __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED);
  if (refuse_at == 0 || (only_one ? n != refuse_at : n < refuse_at)) return 0;
  __atomic_add_fetch(&refusals, 1, __ATOMIC_RELAXED);
  errno = ENOMEM;
  return 1;
}

#ifdef __GLIBC__
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) { return is_refused() ? NULL : __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return is_refused() ? NULL : __libc_calloc(n, size); }
void *realloc(void *memory, size_t size) { return is_refused() ? NULL : __libc_realloc(memory, size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
  if (is_refused()) return ENOMEM;
  *out = __libc_memalign(alignment, size);
  return *out == NULL ? ENOMEM : 0;
}
void *aligned_alloc(size_t alignment, size_t size) {
  return is_refused() ? NULL : __libc_memalign(alignment, size);
}
#endif

static int can_refuse(void) {
  const char *preload = getenv("LD_PRELOAD");
  long before = asked;
  void *memory;
  counting = 1;
  memory = malloc(VALUE);
  counting = 0;
  free(memory);
  if (asked != before && (preload == NULL || strstr(preload, "vgpreload") == NULL)) return 1;
  printf("  SKIPPED: the malloc of this process is another one\n");
  return 0;
}

/* ---- A store, and what it should hold --------------------------------------------------------------------- */

/* What is tried. A store in memory is gone with its handle; one on a server stays. */
enum place { ON_DISK, IN_MEMORY, ON_SERVER };
static const struct kind {
  const char *name, *engine, *io;
  enum place place;
} kinds[] = {
    {"bitcask, io=mmap", "bitcask", "mmap", ON_DISK},   {"bitcask, io=pread", "bitcask", "pread", ON_DISK},
    {"lsm, io=mmap", "lsm", "mmap", ON_DISK},           {"lsm, io=pread", "lsm", "pread", ON_DISK},
    {"bitcask, in memory", "bitcask", "mmap", IN_MEMORY}, {"lsm, in memory", "lsm", "mmap", IN_MEMORY},
    {"on a server", "auto", "mmap", ON_SERVER},
};
static const struct kind *kind = &kinds[0];

static filedb_t *db;
static filedb_iter_t *iter;
static char large[LARGE];
/* The numbers in the list, and the counter, as far as they are certain. */
static int list_first, list_end, counter;
static const char *merge_mode;

static int has_order(void) { return strcmp(kind->engine, "lsm") == 0; }

static const char *store_path(void) {
  if (kind->place == ON_SERVER) return getenv("SERVER");
  return kind->place == IN_MEMORY ? "memory://" : in_temp("store");
}

/* Files of a dozen records: a store of several of them. */
static filedb_status_t open_small(const char *path, filedb_t **out) {
  filedb_options_t *options = filedb_options_new();
  filedb_status_t status;
  if (options == NULL) return FILEDB_ERR_NO_MEMORY;
  status = filedb_options_set(options, "io", kind->io, &err);
  if (status == FILEDB_OK) status = filedb_options_set(options, "engine", kind->engine, &err);
  if (status == FILEDB_OK) status = filedb_options_set(options, "max_file_size", "4KiB", &err);
  if (status == FILEDB_OK) status = filedb_options_set(options, "lsm_memory", "64KiB", &err);
  if (status == FILEDB_OK) status = filedb_options_set(options, "merge", merge_mode, &err);
  if (status == FILEDB_OK) status = filedb_open(path, options, out, &err);
  filedb_options_free(options);
  return status;
}

static size_t key_of(char *key, int n) { return (size_t)sprintf(key, "key %d", n); }

static void value_of(char *value, int n) { memset(value, 'a' + n % 26, VALUE); }

static filedb_status_t put_some(int first, int end) {
  char key[32], value[VALUE];
  int n;
  filedb_status_t status = FILEDB_OK;
  for (n = first; n < end && status == FILEDB_OK; n++) {
    value_of(value, n);
    status = filedb_put(db, key, key_of(key, n), value, sizeof value, &err);
  }
  return status;
}

static filedb_status_t push(void) {
  filedb_status_t status = filedb_push_back(db, "list", 4, &list_end, sizeof list_end, NULL, &err);
  if (status == FILEDB_OK) list_end++;
  return status;
}

static int fill(void) {
  return EXPECT(FILEDB_OK, put_some(0, KEYS)) &&
         EXPECT(FILEDB_OK, filedb_put(db, "large", 5, large, LARGE, &err));
}

static int list_is_right(void) {
  filedb_slice_t *values = NULL;
  size_t count = 0, n;
  int right;
  if (!EXPECT(FILEDB_OK, filedb_list_range(db, "list", 4, 0, -1, &values, &count, &err))) return 0;
  right = (int)count == list_end - list_first;
  for (n = 0; right && n < count; n++) {
    int number = list_first + (int)n;
    right = values[n].len == sizeof number && memcmp(values[n].data, &number, sizeof number) == 0;
  }
  if (!right) printf("  the list has %d values, and should have %d to %d\n", (int)count, list_first, list_end);
  filedb_free(values);
  return right;
}

/* What was refused changed nothing, and what was done is there. */
static int is_whole(void) {
  char key[32], value[VALUE];
  int64_t number = 0;
  int n;
  for (n = 0; n < KEYS; n++) {
    size_t len = key_of(key, n);
    value_of(value, n);
    if (!has_bytes(db, key, len, value, sizeof value)) return 0;
  }
  return has_bytes(db, "large", 5, large, LARGE) && list_is_right() &&
         EXPECT(FILEDB_OK, filedb_increment(db, "counter", 7, 0, &number, &err)) && number == counter;
}

/* ---- Calls ------------------------------------------------------------------------------------------------ */

static filedb_status_t do_close(void) {
  filedb_status_t status = filedb_close(db, &err);
  db = NULL;
  return status;
}

static filedb_status_t do_open_new(void) {
  filedb_status_t status = open_small(in_temp("new"), &db);
  if (status == FILEDB_OK) status = do_close();
  return status;
}

static filedb_status_t do_open(void) { return open_small(store_path(), &db); }

static filedb_status_t do_put(void) { return put_some(0, 10); }

static filedb_status_t do_put_large(void) { return filedb_put(db, "large", 5, large, LARGE, &err); }

static filedb_status_t do_put_with(void) {
  filedb_put_options_t more = FILEDB_PUT_OPTIONS_INIT;
  more.flags = FILEDB_PUT_SYNC | FILEDB_PUT_IF_PRESENT;
  more.ttl_ms = 1000000;
  return filedb_put_with(db, "large", 5, large, LARGE, &more, &err);
}

static filedb_status_t do_delete_and_expire(void) {
  filedb_status_t status = filedb_put(db, "other", 5, "v", 1, &err);
  if (status == FILEDB_OK) status = filedb_expire(db, "other", 5, 1000000, &err);
  if (status == FILEDB_OK) status = filedb_persist(db, "other", 5, &err);
  if (status == FILEDB_OK) status = filedb_delete(db, "other", 5, &err);
  return status;
}

static filedb_status_t do_change(void) {
  int64_t number;
  void *old = NULL;
  size_t len;
  filedb_slice_t all;
  filedb_status_t status = filedb_increment(db, "counter", 7, 1, &number, &err);
  if (status != FILEDB_OK) return status;
  counter++;
  all.data = large, all.len = LARGE;
  status = filedb_compare_and_swap(db, "large", 5, &all, &all, &err);
  if (status == FILEDB_OK) status = filedb_put(db, "gone", 4, large, LARGE, &err);
  if (status != FILEDB_OK) return status;
  status = filedb_get_delete(db, "gone", 4, &old, &len, &err);
  filedb_free(old);
  /* It was taken out, or is still there. */
  if (status == FILEDB_ERR_NO_MEMORY) {
    counting = 0;
    has_bytes(db, "gone", 4, large, LARGE);
  }
  return status;
}

static filedb_status_t do_get(void) {
  void *value = NULL;
  size_t len;
  filedb_status_t status = filedb_get(db, "large", 5, &value, &len, &err);
  filedb_free(value);
  value = NULL;
  if (status == FILEDB_OK) status = filedb_get(db, "key 1", 5, &value, &len, &err);
  filedb_free(value);
  return status;
}

static filedb_status_t do_get_pinned(void) {
  filedb_pinned_t pinned, many[2];
  filedb_slice_t keys[2];
  filedb_status_t statuses[2], status = filedb_get_pinned(db, "large", 5, &pinned, &err);
  if (status != FILEDB_OK) return status;
  filedb_unpin(&pinned);
  keys[0].data = "large", keys[0].len = 5;
  keys[1].data = "key 1", keys[1].len = 5;
  status = filedb_get_many(db, keys, 2, many, statuses, &err);
  if (status != FILEDB_OK) return status;
  filedb_unpin(&many[0]);
  filedb_unpin(&many[1]);
  return status;
}

static filedb_status_t do_batch(void) {
  filedb_batch_t *batch = filedb_batch_new();
  char key[32], value[VALUE];
  int n;
  filedb_status_t status = FILEDB_OK;
  if (batch == NULL) return FILEDB_ERR_NO_MEMORY;
  for (n = 0; n < KEYS && status == FILEDB_OK; n++) {
    value_of(value, n);
    status = filedb_batch_put(batch, key, key_of(key, n), value, sizeof value, &err);
  }
  if (status == FILEDB_OK) status = filedb_batch_delete(batch, "other", 5, &err);
  if (status == FILEDB_OK) status = filedb_write(db, batch, &err);
  filedb_batch_free(batch);
  return status;
}

static filedb_status_t do_batch_of_pushes(void) {
  filedb_batch_t *batch = filedb_batch_new();
  char name[32];
  int n, number = list_end;
  filedb_status_t status = FILEDB_OK;
  if (batch == NULL) return FILEDB_ERR_NO_MEMORY;
  for (n = 0; n < 40 && status == FILEDB_OK; n++) {
    size_t len = (size_t)sprintf(name, "other list %d", n);
    status = filedb_batch_delete(batch, name, len, &err);
    if (status == FILEDB_OK) status = filedb_batch_push_front(batch, name, len, large, VALUE, &err);
    if (status == FILEDB_OK) status = filedb_batch_push_back(batch, "list", 4, &number, sizeof number, &err);
    number++;
  }
  if (status == FILEDB_OK) status = filedb_write(db, batch, &err);
  if (status == FILEDB_OK) list_end = number;
  filedb_batch_free(batch);
  return status;
}

static filedb_status_t do_push(void) {
  int n;
  filedb_status_t status = FILEDB_OK;
  for (n = 0; n < 5 && status == FILEDB_OK; n++) status = push();
  return status;
}

static filedb_status_t do_pop(void) {
  void *value = NULL;
  size_t len;
  filedb_status_t status = FILEDB_OK;
  while (list_end - list_first > 3 && status == FILEDB_OK) {
    status = filedb_pop_front(db, "list", 4, &value, &len, &err);
    if (status == FILEDB_OK) list_first++;
    filedb_free(value);
    value = NULL;
  }
  return status;
}

static filedb_status_t do_range(void) {
  filedb_slice_t *values = NULL;
  size_t count;
  int number = list_first;
  uint64_t length;
  filedb_status_t status = filedb_list_range(db, "list", 4, 0, -1, &values, &count, &err);
  filedb_free(values);
  if (status == FILEDB_OK) status = filedb_list_length(db, "list", 4, &length, &err);
  if (status == FILEDB_OK) status = filedb_list_set(db, "list", 4, 0, &number, sizeof number, &err);
  return status;
}

static int go_on(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len) {
  (void)ctx, (void)key, (void)key_len, (void)value, (void)value_len;
  return 0;
}

static filedb_status_t do_fold(void) { return filedb_fold(db, go_on, NULL, &err); }

/* Goes to the end of a walk, on behind a refusal too: each key is shown once. */
static filedb_status_t walk_to_the_end(filedb_status_t begun) {
  filedb_slice_t key, value;
  filedb_status_t status = begun, refused = FILEDB_OK;
  int shown[KEYS] = {0}, n;
  char name[32];
  while (iter != NULL && status != FILEDB_DONE) {
    status = filedb_iter_next(iter, &key, &value, &err);
    if (status == FILEDB_ERR_NO_MEMORY && refused == FILEDB_OK) {
      refused = status;
      counting = 0;
    } else if (status == FILEDB_OK) {
      if (key.len > 4 && key.len < sizeof name && memcmp(key.data, "key ", 4) == 0) {
        memcpy(name, key.data, key.len);
        name[key.len] = 0;
        n = atoi(name + 4);
        if (n >= 0 && n < KEYS) shown[n]++;
        if (value.len != VALUE) shown[n] = -1;
      }
    } else if (status != FILEDB_DONE) {
      refused = status;
      break;
    }
  }
  counting = 0;
  for (n = 0; iter != NULL && n < KEYS && status == FILEDB_DONE; n++) {
    if (shown[n] != 1) printf("  key %d was shown %d times\n", n, shown[n]);
    CHECK(shown[n] == 1);
  }
  filedb_iter_free(iter);
  iter = NULL;
  return begun != FILEDB_OK ? begun : refused;
}

static filedb_status_t do_iterate(void) {
  filedb_status_t status = filedb_iter_new(db, NULL, 0, &iter, &err);
  /* What the walk has to remember. */
  if (status == FILEDB_OK) status = put_some(0, KEYS);
  return walk_to_the_end(status);
}

/* Stores without an order of keys say so. */
static filedb_status_t in_order(filedb_status_t status) {
  return status == FILEDB_ERR_UNSUPPORTED && !has_order() ? FILEDB_OK : status;
}

static filedb_status_t do_keys_in_order(void) {
  filedb_range_t range = FILEDB_RANGE_INIT;
  return in_order(walk_to_the_end(filedb_range_new(db, &range, &iter, &err)));
}

static filedb_status_t do_keys_against_order(void) {
  filedb_range_t range = FILEDB_RANGE_INIT;
  filedb_status_t status;
  range.flags = FILEDB_RANGE_REVERSE;
  status = filedb_range_new(db, &range, &iter, &err);
  if (status == FILEDB_OK) status = filedb_iter_seek(iter, "z", 1, &err);
  return in_order(walk_to_the_end(status));
}

static filedb_status_t do_delete_range(void) {
  filedb_range_t range = FILEDB_RANGE_INIT;
  filedb_status_t status = filedb_put(db, "other 1", 7, large, LARGE, &err);
  range.from.data = "other", range.from.len = 5;
  range.to.data = "othes", range.to.len = 5;
  if (status == FILEDB_OK) status = filedb_delete_range(db, &range, &err);
  counting = 0;
  if (status == FILEDB_OK) EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "other 1", 7, &err));
  return in_order(status);
}

static filedb_status_t do_list(void) {
  filedb_slice_t *keys = NULL;
  size_t count;
  filedb_status_t status = filedb_list(db, "key", 3, &keys, &count, &err);
  filedb_free(keys);
  keys = NULL;
  if (status == FILEDB_OK) status = filedb_list_sorted(db, "", 0, &keys, &count, &err);
  filedb_free(keys);
  return status;
}

static filedb_status_t do_merge(void) { return filedb_merge(db, &err); }

static filedb_status_t do_check(void) {
  filedb_check_report_t report = {0};
  filedb_status_t status = filedb_check(store_path(), NULL, NULL, &report, &err);
  return in_order(status) == status && has_order() && status == FILEDB_ERR_UNSUPPORTED ? FILEDB_OK : status;
}

static filedb_status_t do_salvage(void) {
  filedb_check_report_t report = {0};
  filedb_status_t status = filedb_salvage(store_path(), in_temp("saved"), NULL, NULL, &report, &err);
  struct stat found;
  counting = 0;
  CHECK(status != FILEDB_OK || stat(in_temp("saved"), &found) == 0);
  /* To look what is to be removed of a new store takes memory too. */
  remove_tree(in_temp("saved"));
  remove_tree(in_temp("saved.unfinished"));
  return has_order() && status == FILEDB_ERR_UNSUPPORTED ? FILEDB_OK : status;
}

static filedb_status_t do_sync(void) { return filedb_sync(db, &err); }

static filedb_status_t do_look(void) {
  uint64_t count;
  filedb_stats_t stats = FILEDB_STATS_INIT;
  filedb_status_t status = filedb_count(db, &count, &err);
  if (status == FILEDB_OK) status = filedb_stats(db, &stats, &err);
  return status;
}

/* ---- Each of them without memory -------------------------------------------------------------------------- */

/* To look closer, in the environment: VERB, the only one; FIRST, the first piece; STEP=1000000, for every piece; TALK. */

static const struct verb {
  const char *name;
  filedb_status_t (*call)(void);
  /* The store is closed when it begins, or when it ends. */
  int opens, closes;
  /* After a kill, and not after a clean close. */
  int rebuilds;
  /* Stores on disks only. */
  int needs_disk;
} verbs[] = {
    {"open new", do_open_new, 1, 1, 0, 1},
    {"open", do_open, 1, 0, 0, 0},
    {"open after a kill", do_open, 1, 0, 1, 1},
    {"close", do_close, 0, 1, 0, 0},
    {"put", do_put, 0, 0, 0, 0},
    {"put large", do_put_large, 0, 0, 0, 0},
    {"put with", do_put_with, 0, 0, 0, 1},
    {"delete and expire", do_delete_and_expire, 0, 0, 0, 0},
    {"change", do_change, 0, 0, 0, 0},
    {"get", do_get, 0, 0, 0, 0},
    {"get pinned", do_get_pinned, 0, 0, 0, 0},
    {"batch", do_batch, 0, 0, 0, 0},
    {"batch of pushes", do_batch_of_pushes, 0, 0, 0, 0},
    {"push", do_push, 0, 0, 0, 0},
    {"pop", do_pop, 0, 0, 0, 0},
    {"range", do_range, 0, 0, 0, 0},
    {"fold", do_fold, 0, 0, 0, 0},
    {"iterate", do_iterate, 0, 0, 0, 0},
    {"keys in order", do_keys_in_order, 0, 0, 0, 0},
    {"keys against their order", do_keys_against_order, 0, 0, 0, 0},
    {"delete a range", do_delete_range, 0, 0, 0, 0},
    {"list", do_list, 0, 0, 0, 0},
    {"merge", do_merge, 0, 0, 0, 1},
    {"sync", do_sync, 0, 0, 0, 1},
    {"look", do_look, 0, 0, 0, 0},
    {"check", do_check, 0, 0, 0, 1},
    {"salvage", do_salvage, 1, 1, 0, 1},
};

/* Leaves the files as a kill would: those of a child that has the store open and ends. */
static int leave_killed(void) {
  pid_t child;
  int status = 0;
  fflush(stdout);
  child = fork();
  if (child == 0) _exit(do_open() == FILEDB_OK && put_some(0, KEYS) == FILEDB_OK ? 0 : 1);
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* One call, from which memory is kept from piece n on. */
static filedb_status_t starve(const struct verb *verb, long n) {
  filedb_status_t status;
  asked = refusals = 0;
  refuse_at = n;
  counting = 1;
  status = verb->call();
  counting = 0;
  return status;
}

/* As the child of in_child(): nothing may be printed. */
static void keep_errors(void) {
  int file;
  if (getenv("TALK") != NULL) return;
  file = open(in_temp("errors"), O_RDWR | O_CREAT | O_TRUNC, 0600);
  CHECK(file >= 0 && dup2(file, 2) == 2);
  close(file);
}

static void check_errors(void) {
  char text[300];
  ssize_t len;
  if (getenv("TALK") != NULL) return;
  len = pread(2, text, sizeof text - 1, 0);
  CHECK(len == 0);
  text[len < 0 ? 0 : len] = 0;
  if (len > 0) printf("  printed: %s\n", text);
}

/* As in_child(), and says what a child printed that was ended. */
static void in_quiet_child(void (*body)(void *), void *argument) {
  int failed = checks_failed_here;
  char text[300];
  FILE *file;
  in_child(body, argument);
  if (checks_failed_here == failed || (file = fopen(in_temp("errors"), "r")) == NULL) return;
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  printf("  and had printed: %s\n", text);
}

static long first_piece = 1, step = 1;

/* Opens the store where it is closed; one that is new gets what is_whole() looks for. */
static int is_open(void) {
  if (db == NULL) {
    if (!EXPECT(FILEDB_OK, do_open())) return 0;
    if (kind->place != ON_DISK) list_first = list_end = counter = 0;
    if (kind->place == ON_SERVER) {
      filedb_delete(db, "list", 4, &err);
      filedb_delete(db, "counter", 7, &err);
    }
    if (kind->place != ON_DISK && !fill()) return 0;
  }
  while (list_end < 5) {
    if (!EXPECT(FILEDB_OK, push())) return 0;
  }
  return 1;
}

static void go_through(void *argument) {
  const struct verb *verb = argument;
  long n;
  int turn = 0;
  if (getenv("STEP") != NULL) alarm(0);
  keep_errors();
  list_first = list_end = counter = 0;
  merge_mode = "manual";
  NEED(is_open() && fill());
  for (n = first_piece;; n += 1 + n / step) {
    filedb_status_t status;
    NEED(verb->opens || is_open());
    if (verb->opens && db != NULL) NEED(EXPECT(FILEDB_OK, do_close()));
    if (verb->rebuilds) NEED(leave_killed());
    if (verb->call == do_open_new) remove_tree(in_temp("new"));
    if (verb->call == do_merge || verb->call == do_close) NEED(fill());
    if (verb->call == do_pop) NEED(EXPECT(FILEDB_OK, push()));
    if (getenv("TALK") != NULL) fprintf(stderr, "%s %ld\n", verb->name, n);
    status = starve(verb, n);
    if ((verb->opens && status != FILEDB_OK) || verb->closes) db = NULL;
    /* A store in memory that was opened has nothing yet. */
    if (verb->opens && db != NULL && kind->place != ON_DISK) NEED(EXPECT(FILEDB_OK, do_close()));
    /* Some is done without, a little slower. */
    if (kind->place == ON_SERVER && verb->call == do_change && status == FILEDB_ERR_CONNECTION) {
      /* The server has made the change, and there is no memory for what it answers. */
    } else if (status != FILEDB_OK) {
      if (!EXPECT(FILEDB_ERR_NO_MEMORY, status)) printf("  that was piece %ld\n", n);
      NEED(refusals > 0 && status == FILEDB_ERR_NO_MEMORY);
    }
    /* What a first opening left, if anything, is no hindrance to the next. */
    if (verb->call == do_open_new) NEED(EXPECT(FILEDB_OK, do_open_new()));
    NEED(is_open() && is_whole());
    NEED(EXPECT(FILEDB_OK, do_put()));
    /* Not more files each time. */
    if (++turn % 8 == 0 && kind->place != ON_SERVER) NEED(EXPECT(FILEDB_OK, do_merge()));
    if (refusals == 0) break;
  }
  NEED(EXPECT(FILEDB_OK, do_close()));
  NEED(is_open() && is_whole());
  close_store(db);
  check_errors();
}

static void every_call(void) {
  size_t i;
  const char *only_verb = getenv("VERB");
  if (!can_refuse()) return;
  if (getenv("FIRST") != NULL) first_piece = atol(getenv("FIRST"));
  if (getenv("STEP") != NULL) step = atol(getenv("STEP"));
  memset(large, 'l', sizeof large);
  for (i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
    struct verb verb = verbs[i];
    int failed = checks_failed_here;
    if (only_verb != NULL && strcmp(only_verb, verb.name) != 0) continue;
    if (verb.needs_disk && kind->place != ON_DISK) continue;
    db = NULL;
    remove_tree(in_temp("store"));
    in_quiet_child(go_through, &verb);
    if (checks_failed_here != failed) printf("  that was '%s', %s\n", verb.name, kind->name);
  }
}

static void a_call_that_is_refused_one_piece_of_memory_says_so(void) {
  only_one = 1;
  every_call();
}

static void a_call_that_gets_no_more_memory_says_so(void) {
  only_one = 0;
  every_call();
}

/* ---- Threads without memory ------------------------------------------------------------------------------- */

static int is_ok_or_no_memory(filedb_status_t status) {
  return status == FILEDB_OK || EXPECT(FILEDB_ERR_NO_MEMORY, status);
}

/* Overwrites so much that files are begun, sealed and merged, while all threads of the process are kept from memory. */
static void write_on_without(void *unused) {
  long n;
  (void)unused;
  keep_errors();
  list_first = list_end = counter = 0;
  merge_mode = "auto";
  for (n = 1; n < 2000; n *= 4) {
    int round, ok = 1;
    db = NULL;
    NEED(is_open() && fill());
    asked = refusals = 0;
    refuse_at = n;
    __atomic_store_n(&all_threads, 1, __ATOMIC_RELAXED);
    for (round = 0; round < 12 && ok; round++) {
      filedb_status_t status = put_some(0, KEYS);
      if (status == FILEDB_OK && round % 4 == 3) status = do_merge();
      __atomic_store_n(&all_threads, 0, __ATOMIC_RELAXED);
      ok = is_ok_or_no_memory(status);
      __atomic_store_n(&all_threads, 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&all_threads, 0, __ATOMIC_RELAXED);
    /* What the threads put off is made up for. */
    NEED(ok && EXPECT(FILEDB_OK, do_merge()));
    NEED(is_whole() && fill());
    NEED(EXPECT(FILEDB_OK, do_merge()));
    NEED(EXPECT(FILEDB_OK, do_close()));
    NEED(is_open() && is_whole());
    close_store(db);
  }
  check_errors();
}

static void a_store_whose_threads_get_no_memory_goes_on(void) {
  if (!can_refuse() || kind->place == ON_SERVER) return;
  memset(large, 'l', sizeof large);
  for (only_one = 0; only_one < 2; only_one++) {
    remove_tree(in_temp("store"));
    in_quiet_child(write_on_without, NULL);
  }
}

/* From their first step on the threads that an opening starts get nothing. */
static void open_without_for_threads(void *unused) {
  filedb_status_t status;
  int round;
  (void)unused;
  keep_errors();
  list_first = list_end = counter = 0;
  merge_mode = "auto";
  for (round = 0; round < 20; round++) {
    db = NULL;
    if (kind->place == ON_DISK) NEED(is_open() && fill() && EXPECT(FILEDB_OK, do_close()) && leave_killed());
    asked = refusals = 0;
    refuse_at = 1;
    spared = 1;
    __atomic_store_n(&all_threads, 1, __ATOMIC_RELAXED);
    status = do_open();
    if (is_ok_or_no_memory(status) && status == FILEDB_OK) {
      is_ok_or_no_memory(put_some(0, KEYS));
      is_ok_or_no_memory(do_merge());
      __atomic_store_n(&all_threads, 0, __ATOMIC_RELAXED);
      NEED(EXPECT(FILEDB_OK, do_close()));
    }
    __atomic_store_n(&all_threads, 0, __ATOMIC_RELAXED);
    spared = 0;
  }
  NEED(is_open() && fill() && is_whole());
  close_store(db);
  check_errors();
}

static void a_store_opens_whose_new_threads_get_no_memory(void) {
  if (!can_refuse() || kind->place == ON_SERVER) return;
  memset(large, 'l', sizeof large);
  only_one = 0;
  remove_tree(in_temp("store"));
  in_quiet_child(open_without_for_threads, NULL);
}

/* ---- A limit of the process ------------------------------------------------------------------------------- */

/* Bytes that RLIMIT_DATA counts. */
static rlim_t data_bytes(void) {
  char line[200];
  unsigned long kib = 0;
  FILE *file = fopen("/proc/self/status", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "VmData: %lu", &kib) == 1) break;
  }
  if (file != NULL) fclose(file);
  return (rlim_t)kib << 10;
}

static void open_with_little(void *argument) {
  struct rlimit limit;
  filedb_status_t status;
  keep_errors();
  merge_mode = "auto";
  NEED(getrlimit(RLIMIT_DATA, &limit) == 0);
  limit.rlim_cur = data_bytes() + *(rlim_t *)argument;
  NEED(setrlimit(RLIMIT_DATA, &limit) == 0);
  status = do_open();
  if (is_ok_or_no_memory(status) && status == FILEDB_OK) {
    is_ok_or_no_memory(put_some(0, KEYS));
    is_ok_or_no_memory(do_list());
    is_ok_or_no_memory(do_merge());
    is_ok_or_no_memory(do_close());
  }
  check_errors();
}

static void a_process_that_may_have_little_more_is_told_so_when_it_opens(void) {
  rlim_t more;
  merge_mode = "manual";
  if (!can_refuse() || data_bytes() == 0 || kind->place == ON_SERVER) return;
  for (more = 0; more < 12 << 20; more += more >= 2 << 20 ? 2 << 20 : kind == kinds ? 64 << 10 : 256 << 10) {
    int failed = checks_failed_here;
    in_quiet_child(open_with_little, &more);
    if (checks_failed_here != failed) printf("  that was with %ld bytes more\n", (long)more);
  }
  NEED(EXPECT(FILEDB_OK, do_open()));
  CHECK(EXPECT(FILEDB_OK, put_some(0, KEYS)));
  close_store(db);
}

/* Each of the tests, on each kind of store. KIND=part: on some. SERVER=redis://HOST:PORT: on an empty server too. */
static void run_all(const char *name, void (*test)(void)) {
  size_t i;
  char whole[200];
  const char *only = getenv("KIND");
  for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    kind = &kinds[i];
    if (kind->place == ON_SERVER && getenv("SERVER") == NULL) continue;
    if (only != NULL && strstr(kind->name, only) == NULL) continue;
    sprintf(whole, "%s (%s)", name, kind->name);
    run_test(whole, test);
  }
}

#define RUN_ALL(test) run_all(#test, test)

int main(void) {
  RUN_ALL(a_call_that_is_refused_one_piece_of_memory_says_so);
  RUN_ALL(a_call_that_gets_no_more_memory_says_so);
  RUN_ALL(a_store_whose_threads_get_no_memory_goes_on);
  RUN_ALL(a_store_opens_whose_new_threads_get_no_memory);
  RUN_ALL(a_process_that_may_have_little_more_is_told_so_when_it_opens);
  return finish();
}
