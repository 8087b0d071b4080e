/* Threads that are cancelled inside a call: the call ends as it would have, and then the thread does. */
#include "harness.h"

#include <pthread.h>
#include <time.h>

enum { KEYS = 300, LARGE = 200 * 1000, CANCELLED = 300 };

static filedb_t *db;
static const char *sync_mode;
static char large[LARGE];

/* Small files: some puts begin a new one, seal one, and start a merge. */
static filedb_t *open_small(const char *path) {
  filedb_options_t *options = filedb_options_new();
  filedb_t *opened = NULL;
  EXPECT(FILEDB_OK, filedb_options_set(options, "io", io_mode, &err));
  EXPECT(FILEDB_OK, filedb_options_set(options, "sync", sync_mode, &err));
  EXPECT(FILEDB_OK, filedb_options_set(options, "max_file_size", "64KiB", &err));
  EXPECT(FILEDB_OK, filedb_open(path, options, &opened, &err));
  filedb_options_free(options);
  return opened;
}

static size_t key_of(char *key, int n) { return (size_t)sprintf(key, "key %d", n % KEYS); }

/* ---- Each call, by a thread that is to end at the next chance ------------------------------------------ */

static void put_small(int n) {
  char key[32];
  size_t len = key_of(key, n);
  EXPECT(FILEDB_OK, filedb_put(db, key, len, key, len, &err));
}

static void put_large(int n) {
  char key[32];
  EXPECT(FILEDB_OK, filedb_put(db, key, key_of(key, n), large, n % 2 == 0 ? LARGE : LARGE / 10, &err));
}

static void put_with(int n) {
  filedb_put_options_t more = FILEDB_PUT_OPTIONS_INIT;
  char key[32];
  more.flags = n % 2 == 0 ? FILEDB_PUT_SYNC : 0;
  more.ttl_ms = 1 + (uint64_t)n % 3;
  EXPECT(FILEDB_OK, filedb_put_with(db, key, key_of(key, n), "v", 1, &more, &err));
}

static void get(int n) {
  char key[32];
  void *value;
  size_t len;
  CHECK(filedb_get(db, key, key_of(key, n), &value, &len, &err) >= 0);
  filedb_free(value);
}

static void get_into(int n) {
  char key[32];
  static char buffer[LARGE];
  size_t len;
  CHECK(filedb_get_into(db, key, key_of(key, n), buffer, sizeof buffer, &len, &err) >= 0);
}

static void get_pinned(int n) {
  char key[32];
  filedb_pinned_t value;
  CHECK(filedb_get_pinned(db, key, key_of(key, n), &value, &err) >= 0);
  filedb_unpin(&value);
}

static void get_many(int n) {
  filedb_slice_t keys[2];
  filedb_pinned_t values[2];
  filedb_status_t statuses[2];
  char texts[2][32];
  int i;
  for (i = 0; i < 2; i++) {
    keys[i].data = texts[i];
    keys[i].len = key_of(texts[i], n + i);
  }
  CHECK(filedb_get_many(db, keys, 2, values, statuses, &err) >= 0);
  for (i = 0; i < 2; i++) filedb_unpin(&values[i]);
}

static void exists_and_ttl(int n) {
  char key[32];
  int64_t ms;
  size_t len = key_of(key, n);
  CHECK(filedb_exists(db, key, len, &err) >= 0);
  CHECK(filedb_ttl(db, key, len, &ms, &err) >= 0);
}

static void expire_and_persist(int n) {
  char key[32];
  size_t len = key_of(key, n);
  CHECK(filedb_expire(db, key, len, 5, &err) >= 0);
  CHECK(filedb_persist(db, key, len, &err) >= 0);
}

static void delete(int n) {
  char key[32];
  CHECK(filedb_delete(db, key, key_of(key, n), &err) >= 0);
}

static void write_batch(int n) {
  filedb_batch_t *batch = filedb_batch_new();
  char key[32];
  int i;
  for (i = 0; i < 5; i++) EXPECT(FILEDB_OK, filedb_batch_put(batch, key, key_of(key, n + i), large, 1000, &err));
  EXPECT(FILEDB_OK, filedb_batch_delete(batch, key, key_of(key, n + i), &err));
  EXPECT(FILEDB_OK, filedb_write(db, batch, &err));
  filedb_batch_free(batch);
}

static int look(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len) {
  (void)key;
  (void)key_len;
  (void)value;
  /* A chance to end that is the program's own. */
  pthread_testcancel();
  return ++*(int *)ctx > 50 && value_len > 0;
}

static void walk(int n) {
  filedb_iter_t *iter = NULL;
  filedb_slice_t key, value;
  int looked = 0;
  if (n % 2 == 0) {
    EXPECT(FILEDB_OK, filedb_fold(db, look, &looked, &err));
    return;
  }
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &iter, &err));
  put_large(n);
  while (filedb_iter_next(iter, &key, &value, &err) == FILEDB_OK) looked++;
  CHECK(looked > 0);
  filedb_iter_free(iter);
}

static void sync_and_count(int n) {
  uint64_t count;
  filedb_stats_t stats = FILEDB_STATS_INIT;
  (void)n;
  EXPECT(FILEDB_OK, filedb_sync(db, &err));
  EXPECT(FILEDB_OK, filedb_count(db, &count, &err));
  EXPECT(FILEDB_OK, filedb_stats(db, &stats, &err));
}

static void merge(int n) {
  (void)n;
  EXPECT(FILEDB_OK, filedb_merge(db, &err));
}

static void back_up(int n) {
  char name[32]; /* each store has backups of its own */
  snprintf(name, sizeof name, "backup-%s", sync_mode);
  EXPECT(FILEDB_OK, filedb_backup(db, in_temp(name), n % 2 == 0 ? FILEDB_BACKUP_COPY : 0, &err));
}

static void open_and_close(int n) {
  filedb_t *other = open_small(in_temp("other"));
  if (other == NULL) return;
  EXPECT(FILEDB_OK, filedb_put(other, &n, sizeof n, large, 1000, &err));
  close_store(other);
}

static void (*const calls[])(int) = {put_small,  put_large, put_with,       get,
                                     get_into,   get_pinned, get_many,      exists_and_ttl,
                                     delete,     write_batch, walk,         expire_and_persist,
                                     sync_and_count, merge,  back_up,        open_and_close};

struct work {
  void (*call)(int);
  int n, returned;
};

/* The cancellation waits when the call begins: it happens at the first chance that the call gives it. */
static void *end_at_the_first_chance(void *argument) {
  struct work *work = argument;
  int before;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  pthread_cancel(pthread_self());
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
  work->call(work->n);
  work->returned = 1;
  pthread_testcancel();
  return NULL;
}

static void no_call_gives_a_chance_to_end_the_thread(void) {
  static const char *const modes[] = {"none", "interval", "always"};
  size_t mode, call;
  int n;
  for (mode = 0; mode < sizeof modes / sizeof modes[0]; mode++) {
    sync_mode = modes[mode];
    db = open_small(in_temp(sync_mode));
    NEED(db != NULL);
    for (call = 0; call < sizeof calls / sizeof calls[0]; call++) {
      for (n = 0; n < 40; n++) {
        struct work work = {0};
        pthread_t thread;
        void *ended = NULL;
        work.call = calls[call];
        work.n = n * 7;
        NEED(pthread_create(&thread, NULL, end_at_the_first_chance, &work) == 0);
        NEED(pthread_join(thread, &ended) == 0);
        /* It came back from the call, and could be cancelled after it. */
        NEED(work.returned && ended == PTHREAD_CANCELED);
      }
    }
    close_store(db);
  }
}

/* ---- At any moment ------------------------------------------------------------------------------------- */

static void *call_without_end(void *argument) {
  int n = *(int *)argument;
  /* Checks are counted by one thread; here a call that fails is seen in what the store holds after it. */
  filedb_error_t *const none = NULL;
  char key[32];
  size_t len;
  for (;; n++) {
    len = key_of(key, n);
    filedb_put(db, key, len, large, n % 3 == 0 ? LARGE : 100, none);
    filedb_get_into(db, key, len, NULL, 0, &len, none);
    filedb_delete(db, key, key_of(key, n + 1), none);
    if (n % 50 == 0) filedb_merge(db, none);
    pthread_testcancel();
  }
  return NULL;
}

static void a_store_lives_on_when_threads_are_cancelled_inside_calls(void) {
  const char *preload = getenv("LD_PRELOAD");
  int rounds = preload != NULL && strstr(preload, "vgpreload") != NULL ? 20 : CANCELLED;
  int n;
  sync_mode = "always";
  db = open_small(in_temp("store"));
  NEED(db != NULL);
  for (n = 0; n < rounds; n++) {
    const struct timespec moment = {0, (n * 7919L % 1000) * 1000};
    pthread_t thread;
    void *ended = NULL;
    NEED(pthread_create(&thread, NULL, call_without_end, &n) == 0);
    nanosleep(&moment, NULL);
    NEED(pthread_cancel(thread) == 0 && pthread_join(thread, &ended) == 0);
    CHECK(ended == PTHREAD_CANCELED);
  }
  EXPECT(FILEDB_OK, put_text(db, "after", "all of that"));
  EXPECT(FILEDB_OK, filedb_merge(db, &err));
  close_store(db);
  db = open_small(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "after", "all of that"));
  close_store(db);
}

int main(void) {
  RUN_BOTH(no_call_gives_a_chance_to_end_the_thread);
  RUN_BOTH(a_store_lives_on_when_threads_are_cancelled_inside_calls);
  return finish();
}
