/*
 * Mistakes that programs make with handles: use after close, closing twice, handles that are none, handles carried into
 * a forked child. A status each, and nothing lost.
 */
#include "harness.h"

#include <pthread.h>
#include <signal.h>

static void *value;
static size_t len;
static uint64_t number;
static filedb_pinned_t pinned;
static filedb_status_t status;
static filedb_slice_t *keys;
static const filedb_slice_t one_key = {"k", 1};
static char buffer[8];
static int64_t ms;
static filedb_stats_t stats = FILEDB_STATS_INIT;
static filedb_iter_t *iter;
static filedb_batch_t *batch;

static int never_called(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len) {
  (void)ctx;
  (void)key;
  (void)key_len;
  (void)value;
  (void)value_len;
  CHECK(!"the function of a fold that is refused is called");
  return 1;
}

/* Every verb but close answers `wanted` and leaves its outputs zeroed. */
static void every_verb_answers(filedb_t *db, filedb_status_t wanted, const char *part) {
  EXPECT_ERROR(wanted, part, filedb_put(db, "k", 1, "new", 3, &err));
  EXPECT_ERROR(wanted, part, filedb_delete(db, "k", 1, &err));
  EXPECT_ERROR(wanted, part, filedb_exists(db, "k", 1, &err));
  value = buffer;
  len = 99;
  EXPECT_ERROR(wanted, part, filedb_get(db, "k", 1, &value, &len, &err));
  CHECK(value == NULL && len == 0);
  len = 99;
  EXPECT_ERROR(wanted, part, filedb_get_into(db, "k", 1, buffer, 8, &len, &err));
  CHECK(len == 0);
  pinned.data = buffer;
  EXPECT_ERROR(wanted, part, filedb_get_pinned(db, "k", 1, &pinned, &err));
  CHECK(pinned.data == NULL && pinned.pin == NULL);
  pinned.data = buffer;
  EXPECT_ERROR(wanted, part, filedb_get_many(db, &one_key, 1, &pinned, &status, &err));
  CHECK(pinned.data == NULL && pinned.pin == NULL && status == wanted);
  len = 99;
  EXPECT_ERROR(wanted, part, filedb_list(db, NULL, 0, &keys, &len, &err));
  CHECK(keys == NULL && len == 0);
  number = 99;
  EXPECT_ERROR(wanted, part, filedb_count(db, &number, &err));
  CHECK(number == 0);
  EXPECT_ERROR(wanted, part, filedb_sync(db, &err));
  EXPECT_ERROR(wanted, part, filedb_merge(db, &err));
  EXPECT_ERROR(wanted, part, filedb_stats(db, &stats, &err));
  CHECK(stats.keys == 0);
  EXPECT_ERROR(wanted, part, filedb_put_with(db, "k", 1, "new", 3, NULL, &err));
  EXPECT_ERROR(wanted, part, filedb_expire(db, "k", 1, 1, &err));
  EXPECT_ERROR(wanted, part, filedb_persist(db, "k", 1, &err));
  ms = 99;
  EXPECT_ERROR(wanted, part, filedb_ttl(db, "k", 1, &ms, &err));
  CHECK(ms == 0);
  EXPECT_ERROR(wanted, part, filedb_iter_new(db, NULL, 0, &iter, &err));
  CHECK(iter == NULL);
  EXPECT_ERROR(wanted, part, filedb_fold(db, never_called, NULL, &err));
  batch = filedb_batch_new();
  EXPECT(FILEDB_OK, filedb_batch_put(batch, "k", 1, "new", 3, &err));
  EXPECT_ERROR(wanted, part, filedb_write(db, batch, &err));
  filedb_batch_free(batch);
}

static void a_closed_store_answers_closed(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
  every_verb_answers(db, FILEDB_ERR_CLOSED, "closed");
  EXPECT_ERROR(FILEDB_ERR_CLOSED, "closed", filedb_close(db, &err));
  EXPECT(FILEDB_ERR_CLOSED, filedb_close(db, &err));
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "v") && count_of(db) == 1);
  close_store(db);
}

static void an_old_handle_never_reaches_a_new_store(void) {
  filedb_t *old = open_store(in_temp("store")), *db;
  int i;
  NEED(old != NULL);
  close_store(old);
  for (i = 0; i < 50; i++) {
    db = open_store(in_temp("store"));
    NEED(db != NULL && db != old);
    EXPECT(FILEDB_ERR_CLOSED, put_text(old, "k", "through the old handle"));
    EXPECT(FILEDB_ERR_CLOSED, filedb_close(old, &err));
    CHECK(count_of(db) == 0);
    close_store(db);
  }
}

/* More closed stores than are kept in quarantine; with valgrind, this is the test that they are freed once. */
static void closing_many_stores_keeps_the_last_ones_safe(void) {
  static filedb_t *closed[1100];
  const char *preload = getenv("LD_PRELOAD");
  int under_valgrind = preload != NULL && strstr(preload, "vgpreload") != NULL;
  int rounds = under_valgrind && strcmp(io_mode, "mmap") != 0 ? 100 : 1100, i;
  for (i = 0; i < rounds; i++) {
    NEED((closed[i] = open_store(in_temp("store"))) != NULL);
    close_store(closed[i]);
  }
  for (i = rounds > 1000 ? rounds - 1000 : 0; i < rounds; i++) {
    EXPECT(FILEDB_ERR_CLOSED, filedb_exists(closed[i], "k", 1, &err));
  }
}

static void memory_that_is_no_handle_is_refused(void) {
  union {
    unsigned char bytes[4096];
    uint64_t aligned;
  } memory;
  int fill;
  for (fill = 0; fill < 256; fill += 51) {
    memset(&memory, fill, sizeof memory);
    every_verb_answers((filedb_t *)(void *)memory.bytes, FILEDB_ERR_INVALID_ARGUMENT, "not one that filedb made");
    EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_close((filedb_t *)(void *)memory.bytes, &err));
    EXPECT(FILEDB_ERR_INVALID_ARGUMENT,
           filedb_options_set((filedb_options_t *)(void *)memory.bytes, "sync", "none", &err));
    filedb_options_free((filedb_options_t *)(void *)memory.bytes);
  }
  every_verb_answers((filedb_t *)(void *)(memory.bytes + 1), FILEDB_ERR_INVALID_ARGUMENT, "not one that filedb made");
}

static void freed_options_answer_closed(void) {
  filedb_options_t *options = filedb_options_new();
  filedb_t *db = NULL;
  NEED(options != NULL);
  filedb_options_free(options);
  filedb_options_free(options);
  EXPECT(FILEDB_ERR_CLOSED, filedb_options_set(options, "sync", "none", &err));
  EXPECT(FILEDB_ERR_CLOSED, filedb_options_get(options, "sync", buffer, 8, &len, &err));
  EXPECT(FILEDB_ERR_CLOSED, filedb_open(in_temp("store"), options, &db, &err));
  CHECK(db == NULL && access(in_temp("store"), F_OK) != 0);
}

static void options_are_copied_when_a_store_is_opened(void) {
  filedb_options_t *options = filedb_options_new();
  filedb_t *db = NULL;
  NEED(options != NULL);
  EXPECT(FILEDB_OK, filedb_options_set(options, "io", io_mode, &err));
  EXPECT(FILEDB_OK, filedb_open(in_temp("store"), options, &db, &err));
  EXPECT(FILEDB_OK, filedb_options_set(options, "read_only", "true", &err));
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  filedb_options_free(options);
  EXPECT(FILEDB_OK, put_text(db, "k", "w"));
  close_store(db);
}

static void unpinning_twice_does_nothing(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  EXPECT(FILEDB_OK, filedb_get_pinned(db, "k", 1, &pinned, &err));
  filedb_unpin(&pinned);
  filedb_unpin(&pinned);
  close_store(db);
}

/* ---- Forks --------------------------------------------------------------------------------- */

static void use_and_close_in_the_child(void *db) {
  every_verb_answers(db, FILEDB_ERR_FORKED, "parent");
  EXPECT_ERROR(FILEDB_ERR_FORKED, "parent", filedb_close(db, &err));
  EXPECT(FILEDB_ERR_CLOSED, filedb_close(db, &err));
  EXPECT(FILEDB_ERR_CLOSED, filedb_exists(db, "k", 1, &err));
}

static void a_forked_child_cannot_use_the_handle_of_its_parent(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  in_child(use_and_close_in_the_child, db);
  CHECK(has_text(db, "k", "v"));
  EXPECT(FILEDB_OK, put_text(db, "k", "w"));
  close_store(db);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "w") && count_of(db) == 1);
  close_store(db);
}

static void open_in_the_child(void *unused) {
  filedb_t *db = NULL;
  (void)unused;
  EXPECT(FILEDB_ERR_LOCKED, open_with(in_temp("store"), NULL, NULL, &db));
}

static void closing_in_a_child_leaves_the_lock_with_the_parent(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  in_child(use_and_close_in_the_child, db);
  in_child(open_in_the_child, NULL); /* locked still, by the parent */
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
}

/* As a server does that goes into the background: open, daemon(3), close, open. */
static void go_on_in_the_background(filedb_t *inherited) {
  filedb_t *db;
  EXPECT_ERROR(FILEDB_ERR_FORKED, "parent", filedb_close(inherited, &err));
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "of the parent"));
  EXPECT(FILEDB_OK, put_text(db, "k", "of the background"));
  close_store(db);
}

/* Tells its number, goes on when it is told that its parent has ended, tells how that went, and waits to be killed, as in in_child(). */
static void in_the_background(filedb_t *inherited, int ended, int told) {
  pid_t self = getpid();
  char answer;
  if (write(told, &self, sizeof self) != sizeof self) _exit(1);
  /* Another parent is not enough: threads of the one that ends may have its files open still. Whoever waited for it knows. */
  if (read(ended, &answer, 1) != 1) _exit(1);
  go_on_in_the_background(inherited);
  fflush(stdout);
  answer = checks_failed_here == 0 ? 'y' : 'n';
  if (write(told, &answer, 1) == 1) pause();
  _exit(1);
}

static void a_store_can_be_opened_again_in_the_background(void) {
  int told[2], gone[2], ended;
  char answer = '?';
  filedb_t *db;
  pid_t parent, background = 0;
  NEED(pipe(told) == 0 && pipe(gone) == 0);
  fflush(stdout);
  parent = fork();
  if (parent == 0) {
    alarm(120);
    checks_failed_here = 0;
    db = open_store(in_temp("store"));
    if (db == NULL || !EXPECT(FILEDB_OK, put_text(db, "k", "of the parent"))) _exit(1);
    if (fork() == 0) {
      alarm(120);
      in_the_background(db, gone[0], told[1]);
    }
    pause();
    _exit(1);
  }
  close(told[1]);
  NEED(parent > 0 && read(told[0], &background, sizeof background) == sizeof background);
  CHECK(kill(parent, SIGKILL) == 0 && waitpid(parent, &ended, 0) == parent);
  CHECK(write(gone[1], "", 1) == 1);
  CHECK(read(told[0], &answer, 1) == 1 && answer == 'y');
  CHECK(kill(background, SIGKILL) == 0);
  close(told[0]);
  close(gone[0]);
  close(gone[1]);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "of the background"));
  close_store(db);
}

static void close_the_parents_and_write_to_its_own(void *parents) {
  filedb_t *db;
  EXPECT(FILEDB_ERR_FORKED, filedb_close(parents, &err));
  db = open_store(in_temp("store of the child"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "of the child"));
  CHECK(has_text(db, "k", "of the child"));
  close_store(db);
}

static void a_forked_child_can_have_a_store_of_its_own(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  in_child(close_the_parents_and_write_to_its_own, db);
  close_store(db);
  db = open_store(in_temp("store of the child"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "of the child"));
  close_store(db);
}

static void read_and_unpin_in_the_child(void *unused) {
  (void)unused;
  CHECK(pinned.len == 5 && memcmp(pinned.data, "value", 5) == 0);
  filedb_unpin(&pinned);
}

static void a_pinned_value_can_be_read_and_unpinned_in_a_forked_child(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "value"));
  EXPECT(FILEDB_OK, filedb_get_pinned(db, "k", 1, &pinned, &err));
  in_child(read_and_unpin_in_the_child, NULL);
  CHECK(pinned.len == 5 && memcmp(pinned.data, "value", 5) == 0);
  filedb_unpin(&pinned);
  CHECK(has_text(db, "k", "value"));
  close_store(db);
}

static void step_and_free_in_the_child(void *walk) {
  filedb_slice_t key, found;
  EXPECT_ERROR(FILEDB_ERR_FORKED, "parent", filedb_iter_next(walk, &key, &found, &err));
  CHECK(key.data == NULL && found.data == NULL);
  filedb_iter_free(walk);
}

static void an_iterator_carried_into_a_forked_child_shows_nothing(void) {
  filedb_t *db = open_store(in_temp("store"));
  filedb_iter_t *walk = NULL;
  filedb_slice_t key, found;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &walk, &err));
  in_child(step_and_free_in_the_child, walk);
  EXPECT(FILEDB_OK, filedb_iter_next(walk, &key, &found, &err));
  CHECK(found.len == 1 && memcmp(found.data, "v", 1) == 0);
  filedb_iter_free(walk);
  close_store(db);
}

static filedb_t *busy_db;
static volatile sig_atomic_t stop;

static void *write_and_read_until_stopped(void *unused) {
  (void)unused;
  while (!stop) {
    char copy[8];
    size_t copied;
    filedb_put(busy_db, "k", 1, "v", 1, NULL);
    filedb_get_into(busy_db, "k", 1, copy, sizeof copy, &copied, NULL);
  }
  return NULL;
}

/* Whatever locks those threads held, the child has copies of that nobody will ever release. */
static void a_child_of_a_busy_parent_does_not_hang(void) {
  pthread_t threads[3];
  int i;
  NEED((busy_db = open_store(in_temp("store"))) != NULL);
  stop = 0;
  for (i = 0; i < 3; i++) {
    NEED(pthread_create(&threads[i], NULL, write_and_read_until_stopped, NULL) == 0);
  }
  for (i = 0; i < 20; i++) in_child(use_and_close_in_the_child, busy_db);
  stop = 1;
  for (i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(has_text(busy_db, "k", "v"));
  close_store(busy_db);
}

int main(void) {
  RUN_BOTH(a_closed_store_answers_closed);
  RUN_BOTH(an_old_handle_never_reaches_a_new_store);
  RUN_BOTH(closing_many_stores_keeps_the_last_ones_safe);
  RUN(memory_that_is_no_handle_is_refused);
  RUN(freed_options_answer_closed);
  RUN_BOTH(options_are_copied_when_a_store_is_opened);
  RUN_BOTH(unpinning_twice_does_nothing);
  RUN_BOTH(a_forked_child_cannot_use_the_handle_of_its_parent);
  RUN_BOTH(closing_in_a_child_leaves_the_lock_with_the_parent);
  RUN_BOTH(a_store_can_be_opened_again_in_the_background);
  RUN_BOTH(a_forked_child_can_have_a_store_of_its_own);
  RUN_BOTH(a_pinned_value_can_be_read_and_unpinned_in_a_forked_child);
  RUN_BOTH(an_iterator_carried_into_a_forked_child_shows_nothing);
  RUN_BOTH(a_child_of_a_busy_parent_does_not_hang);
  return finish();
}
