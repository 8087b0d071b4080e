/* Many threads on one handle: nothing is lost, mixed up or torn, and a close in the middle of it is a status. */
#include "harness.h"

#include <pthread.h>
#include <signal.h>

enum { THREADS = 4, KEYS = 500, VALUE = 100 };

static filedb_t *db;
static volatile sig_atomic_t stop;
/* Failures of other threads; only their own thread writes to each. */
static int wrong[THREADS];

/* A value that says which thread, key and round it is of, in every one of its parts. */
static void make_value(char value[VALUE], int thread, int key, int round) {
  int i;
  for (i = 0; i < VALUE; i += 20) {
    char part[32];
    snprintf(part, sizeof part, "%02d %06d %09d,", thread, key, round);
    memcpy(value + i, part, 20);
  }
}

static int is_one_value(const char *value, size_t len, int thread, int key) {
  char expected[VALUE], text[VALUE + 1] = {0};
  int got_thread, got_key, round;
  if (len != VALUE) return 0;
  memcpy(text, value, VALUE); /* values have no NUL, which sscanf needs */
  if (sscanf(text, "%2d %6d %9d,", &got_thread, &got_key, &round) != 3) return 0;
  make_value(expected, thread, key, round);
  return memcmp(value, expected, VALUE) == 0;
}

static size_t make_key(char *key, int thread, int number) {
  return (size_t)sprintf(key, "thread %d key %d", thread, number);
}

static void *write_keys_of_its_own(void *argument) {
  int thread = *(int *)argument, round, n;
  char key[64], value[VALUE];
  for (round = 0; round < 5; round++) {
    for (n = 0; n < KEYS; n++) {
      size_t key_len = make_key(key, thread, n);
      make_value(value, thread, n, round);
      if (filedb_put(db, key, key_len, value, VALUE, NULL) != FILEDB_OK) wrong[thread]++;
      if (n % 5 == 4 && filedb_delete(db, key, key_len, NULL) != FILEDB_OK) wrong[thread]++;
    }
  }
  return NULL;
}

/*
 * Reads everybody's keys in all the ways there are; each is absent or whole. A reader of a mapped store never enters the
 * kernel: valgrind, which runs one thread at a time, let the writers wait for ten minutes until the readers gave way here.
 */
static void *read_keys_of_all(void *argument) {
  int thread = *(int *)argument, n = 0;
  while (!stop) {
    int other = n % THREADS, number = (n / THREADS) % KEYS;
    char key[64], copy[VALUE + 1];
    void *value = NULL;
    size_t len = 0, key_len = make_key(key, other, number);
    filedb_pinned_t pinned[2];
    filedb_slice_t keys[2];
    filedb_status_t status, statuses[2];

    status = filedb_get(db, key, key_len, &value, &len, NULL);
    if (status == FILEDB_OK ? !is_one_value(value, len, other, number) : status != FILEDB_NOT_FOUND) wrong[thread]++;
    filedb_free(value);
    status = filedb_get_into(db, key, key_len, copy, sizeof copy, &len, NULL);
    if (status == FILEDB_OK ? !is_one_value(copy, len, other, number) : status != FILEDB_NOT_FOUND) wrong[thread]++;
    keys[0].data = keys[1].data = key;
    keys[0].len = keys[1].len = key_len;
    if (filedb_get_many(db, keys, 2, pinned, statuses, NULL) != FILEDB_OK) wrong[thread]++;
    if (statuses[0] == FILEDB_OK && !is_one_value(pinned[0].data, pinned[0].len, other, number)) wrong[thread]++;
    filedb_unpin(&pinned[0]);
    filedb_unpin(&pinned[1]);
    n++;
    sched_yield();
  }
  return NULL;
}

static void writers_and_readers_do_not_disturb_each_other(void) {
  pthread_t writers[THREADS], readers[THREADS];
  int ids[THREADS], i, n, all = 0;
  char key[64], value[VALUE];
  EXPECT(FILEDB_OK, open_with(in_temp("store"), "max_file_size", "64KiB", &db));
  NEED(db != NULL);
  stop = 0;
  memset(wrong, 0, sizeof wrong);
  for (i = 0; i < THREADS; i++) {
    ids[i] = i;
    NEED(pthread_create(&writers[i], NULL, write_keys_of_its_own, &ids[i]) == 0);
    NEED(pthread_create(&readers[i], NULL, read_keys_of_all, &ids[i]) == 0);
  }
  for (i = 0; i < THREADS; i++) CHECK(pthread_join(writers[i], NULL) == 0);
  stop = 1;
  for (i = 0; i < THREADS; i++) {
    CHECK(pthread_join(readers[i], NULL) == 0);
    CHECK(wrong[i] == 0);
  }
  for (n = 0; n < 2; n++) {
    CHECK(count_of(db) == (uint64_t)THREADS * KEYS * 4 / 5);
    for (i = 0; i < THREADS * KEYS; i++) {
      size_t key_len = make_key(key, i / KEYS, i % KEYS);
      make_value(value, i / KEYS, i % KEYS, 4);
      if (i % 5 == 4) all += filedb_exists(db, key, key_len, &err) == FILEDB_NOT_FOUND;
      else all += has_bytes(db, key, key_len, value, VALUE);
    }
    close_store(db);
    NEED((db = open_store(in_temp("store"))) != NULL);
  }
  CHECK(all == 2 * THREADS * KEYS);
  close_store(db);
}

static void *write_one_key(void *argument) {
  int thread = *(int *)argument, round;
  char value[VALUE];
  for (round = 0; round < 500; round++) {
    make_value(value, thread, 0, round);
    if (filedb_put(db, "contended", 9, value, VALUE, NULL) != FILEDB_OK) wrong[thread]++;
  }
  return NULL;
}

static void writers_of_one_key_leave_one_whole_value(void) {
  pthread_t writers[THREADS];
  int ids[THREADS], i, round, whole = 0;
  NEED((db = open_store(in_temp("store"))) != NULL);
  memset(wrong, 0, sizeof wrong);
  for (i = 0; i < THREADS; i++) {
    ids[i] = i;
    NEED(pthread_create(&writers[i], NULL, write_one_key, &ids[i]) == 0);
  }
  for (i = 0; i < THREADS; i++) {
    CHECK(pthread_join(writers[i], NULL) == 0);
    CHECK(wrong[i] == 0);
  }
  for (round = 0; round < 2; round++) {
    void *value = NULL;
    size_t len = 0;
    CHECK(count_of(db) == 1);
    EXPECT(FILEDB_OK, filedb_get(db, "contended", 9, &value, &len, &err));
    NEED(value != NULL);
    for (i = 0; i < THREADS; i++) whole += is_one_value(value, len, i, 0);
    filedb_free(value);
    close_store(db);
    NEED((db = open_store(in_temp("store"))) != NULL);
  }
  CHECK(whole == 2);
  close_store(db);
}

/* The last write of each thread that was answered OK. */
static int acknowledged[THREADS];

static void *write_until_closed(void *argument) {
  int thread = *(int *)argument, round;
  char key[64], value[VALUE];
  size_t key_len = make_key(key, thread, 0);
  for (round = 1;; round++) {
    filedb_status_t status;
    make_value(value, thread, 0, round);
    status = filedb_put(db, key, key_len, value, VALUE, NULL);
    if (status == FILEDB_ERR_CLOSED) return NULL;
    if (status != FILEDB_OK) {
      wrong[thread]++;
      return NULL;
    }
    acknowledged[thread] = round;
  }
}

static void *read_until_closed(void *argument) {
  int thread = *(int *)argument;
  char key[64];
  size_t key_len = make_key(key, thread, 0);
  for (;;) {
    void *value = NULL;
    size_t len, count;
    filedb_slice_t *keys = NULL;
    filedb_status_t status = filedb_get(db, key, key_len, &value, &len, NULL);
    if (status == FILEDB_OK && !is_one_value(value, len, thread, 0)) wrong[thread]++;
    filedb_free(value);
    if (status == FILEDB_ERR_CLOSED) return NULL;
    if (status != FILEDB_OK && status != FILEDB_NOT_FOUND) wrong[thread]++;
    status = filedb_list(db, NULL, 0, &keys, &count, NULL);
    filedb_free(keys);
    if (status != FILEDB_OK && status != FILEDB_ERR_CLOSED) wrong[thread]++;
    sched_yield();
  }
}

static void closing_while_others_read_and_write_loses_nothing(void) {
  int repeat;
  for (repeat = 0; repeat < 10; repeat++) {
    pthread_t writers[THREADS], readers[THREADS];
    filedb_t *closed;
    int ids[THREADS], i;
    char key[64], value[VALUE], name[16];
    snprintf(name, sizeof name, "store %d", repeat);
    NEED((db = open_store(in_temp(name))) != NULL);
    memset(wrong, 0, sizeof wrong);
    memset(acknowledged, 0, sizeof acknowledged);
    for (i = 0; i < THREADS; i++) {
      ids[i] = i;
      NEED(pthread_create(&writers[i], NULL, write_until_closed, &ids[i]) == 0);
      NEED(pthread_create(&readers[i], NULL, read_until_closed, &ids[i]) == 0);
    }
    /* Not before each has written; how much more, nobody knows, and that is the point. */
    for (i = 0; i < THREADS; i++) {
      size_t key_len = make_key(key, i, 0);
      while (filedb_exists(db, key, key_len, NULL) == FILEDB_NOT_FOUND) sched_yield();
    }
    close_store(db);
    for (i = 0; i < THREADS; i++) {
      CHECK(pthread_join(writers[i], NULL) == 0 && pthread_join(readers[i], NULL) == 0);
      CHECK(wrong[i] == 0);
    }
    closed = db;
    NEED((db = open_store(in_temp(name))) != NULL);
    CHECK(closed != db);
    for (i = 0; i < THREADS; i++) {
      size_t key_len = make_key(key, i, 0);
      make_value(value, i, 0, acknowledged[i]);
      CHECK(acknowledged[i] > 0 && has_bytes(db, key, key_len, value, VALUE));
    }
    close_store(db);
  }
}

static filedb_status_t closes[THREADS];

static void *close_it(void *argument) {
  int thread = *(int *)argument;
  closes[thread] = filedb_close(db, NULL);
  return NULL;
}

static void of_many_closes_at_once_one_succeeds(void) {
  int repeat;
  for (repeat = 0; repeat < 20; repeat++) {
    pthread_t threads[THREADS];
    int ids[THREADS], i, ok = 0, closed = 0;
    NEED((db = open_store(in_temp("store"))) != NULL);
    for (i = 0; i < THREADS; i++) {
      ids[i] = i;
      NEED(pthread_create(&threads[i], NULL, close_it, &ids[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
      CHECK(pthread_join(threads[i], NULL) == 0);
      ok += closes[i] == FILEDB_OK;
      closed += closes[i] == FILEDB_ERR_CLOSED;
    }
    CHECK(ok == 1 && closed == THREADS - 1);
  }
}

static filedb_t *opened[THREADS];
static char path_of_all[700];

static void *open_it(void *argument) {
  int thread = *(int *)argument;
  filedb_error_t mine = FILEDB_ERROR_INIT;
  filedb_status_t status = filedb_open(path_of_all, NULL, &opened[thread], &mine);
  if (status != FILEDB_OK && status != FILEDB_ERR_LOCKED) {
    printf("  an open answered %d: %s\n", (int)status, mine.message);
    wrong[thread]++;
  }
  return NULL;
}

static void of_many_opens_at_once_one_succeeds(void) {
  int repeat;
  for (repeat = 0; repeat < 20; repeat++) {
    pthread_t threads[THREADS];
    int ids[THREADS], i, ok = 0;
    snprintf(path_of_all, sizeof path_of_all, "%s", in_temp(repeat % 2 == 0 ? "store" : "other"));
    memset(opened, 0, sizeof opened);
    memset(wrong, 0, sizeof wrong);
    for (i = 0; i < THREADS; i++) {
      ids[i] = i;
      NEED(pthread_create(&threads[i], NULL, open_it, &ids[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
      CHECK(pthread_join(threads[i], NULL) == 0 && wrong[i] == 0);
      ok += opened[i] != NULL;
    }
    CHECK(ok == 1);
    for (i = 0; i < THREADS; i++) {
      if (opened[i] != NULL) close_store(opened[i]);
    }
  }
}

static void *unpin_it(void *pinned) {
  filedb_pinned_t *mine = pinned;
  if (mine->len != 5 || memcmp(mine->data, "value", 5) != 0) return pinned;
  filedb_unpin(mine);
  return NULL;
}

static void a_value_pinned_by_one_thread_is_unpinned_by_another(void) {
  filedb_pinned_t pinned[THREADS];
  pthread_t threads[THREADS];
  int i;
  NEED((db = open_store(in_temp("store"))) != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "value"));
  for (i = 0; i < THREADS; i++) EXPECT(FILEDB_OK, filedb_get_pinned(db, "k", 1, &pinned[i], &err));
  for (i = 0; i < THREADS; i++) NEED(pthread_create(&threads[i], NULL, unpin_it, &pinned[i]) == 0);
  close_store(db);
  for (i = 0; i < THREADS; i++) {
    void *result = &i;
    CHECK(pthread_join(threads[i], &result) == 0 && result == NULL);
  }
}

static void two_stores_in_one_process_are_two_stores(void) {
  filedb_t *one = open_store(in_temp("one")), *two = open_store(in_temp("two"));
  NEED(one != NULL && two != NULL);
  EXPECT(FILEDB_OK, put_text(one, "k", "of one"));
  EXPECT(FILEDB_OK, put_text(two, "k", "of two"));
  CHECK(has_text(one, "k", "of one") && has_text(two, "k", "of two"));
  close_store(one);
  CHECK(has_text(two, "k", "of two"));
  close_store(two);
}

int main(void) {
  RUN_BOTH(writers_and_readers_do_not_disturb_each_other);
  RUN_BOTH(writers_of_one_key_leave_one_whole_value);
  RUN_BOTH(closing_while_others_read_and_write_loses_nothing);
  RUN_BOTH(of_many_closes_at_once_one_succeeds);
  RUN(of_many_opens_at_once_one_succeeds);
  RUN_BOTH(a_value_pinned_by_one_thread_is_unpinned_by_another);
  RUN_BOTH(two_stores_in_one_process_are_two_stores);
  return finish();
}
