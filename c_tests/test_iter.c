/* Walks through a store, and the merge that runs beside them. */
#include "harness.h"

#include <pthread.h>

enum { KEYS = 1000 };

static char seen[KEYS];

static filedb_t *store_with_keys(const char *value) {
  filedb_t *db = NULL;
  char key[32];
  int i;
  EXPECT(FILEDB_OK, open_with(in_temp("store"), "max_file_size", "16KiB", &db));
  for (i = 0; i < KEYS && db != NULL; i++) {
    snprintf(key, sizeof key, "key %03d", i);
    EXPECT(FILEDB_OK, put_text(db, key, value));
  }
  return db;
}

/* Notes a key of store_with_keys(); 0 where it is none, was seen before, or has another value. */
static int note(const void *key, size_t key_len, const void *value, size_t value_len, const char *wanted) {
  char text[32] = {0};
  int number;
  if (key_len != 7 || value_len != strlen(wanted) || memcmp(value, wanted, value_len) != 0) return 0;
  memcpy(text, key, key_len);
  if (sscanf(text, "key %d", &number) != 1 || number < 0 || number >= KEYS) return 0;
  return ++seen[number] == 1;
}

static int seen_keys(void) {
  int i, count = 0;
  for (i = 0; i < KEYS; i++) count += seen[i];
  return count;
}

static void begin(void) { memset(seen, 0, sizeof seen); }

static void an_iterator_shows_every_key_once(void) {
  filedb_t *db = store_with_keys("value");
  filedb_iter_t *iter = NULL;
  filedb_slice_t key, value;
  filedb_status_t status;
  NEED(db != NULL);
  begin();
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &iter, &err));
  while ((status = filedb_iter_next(iter, &key, &value, &err)) == FILEDB_OK) {
    CHECK(note(key.data, key.len, value.data, value.len, "value"));
  }
  CHECK(status == FILEDB_DONE && seen_keys() == KEYS);
  CHECK(key.data == NULL && key.len == 0 && value.data == NULL && value.len == 0);
  EXPECT(FILEDB_DONE, filedb_iter_next(iter, &key, &value, &err));
  filedb_iter_free(iter);
  close_store(db);
}

static void an_iterator_with_a_prefix_shows_what_begins_with_it(void) {
  filedb_t *db = store_with_keys("value");
  filedb_iter_t *iter = NULL;
  filedb_slice_t key, value;
  NEED(db != NULL);
  begin();
  EXPECT(FILEDB_OK, filedb_iter_new(db, "key 12", 6, &iter, &err));
  while (filedb_iter_next(iter, &key, &value, &err) == FILEDB_OK) {
    CHECK(note(key.data, key.len, value.data, value.len, "value") && memcmp(key.data, "key 12", 6) == 0);
  }
  CHECK(seen_keys() == 10);
  filedb_iter_free(iter);
  EXPECT(FILEDB_OK, filedb_iter_new(db, "none", 4, &iter, &err));
  EXPECT(FILEDB_DONE, filedb_iter_next(iter, &key, &value, &err));
  filedb_iter_free(iter);
  close_store(db);
}

static void a_batch_of_rows_is_valid_together(void) {
  filedb_t *db = store_with_keys("value");
  filedb_iter_t *iter = NULL;
  filedb_slice_t keys[64], values[64];
  filedb_status_t status;
  size_t count, i;
  NEED(db != NULL);
  begin();
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &iter, &err));
  CHECK(filedb_iter_next_batch(iter, keys, values, 0, &status, &err) == 0 && status == FILEDB_OK);
  do {
    count = filedb_iter_next_batch(iter, keys, values, 64, &status, &err);
    CHECK(count == 64 || status == FILEDB_DONE);
    CHECK(err.code == status);
    for (i = 0; i < count; i++) CHECK(note(keys[i].data, keys[i].len, values[i].data, values[i].len, "value"));
    for (; i < 64; i++) CHECK(keys[i].data == NULL && values[i].data == NULL);
  } while (status == FILEDB_OK);
  CHECK(status == FILEDB_DONE && seen_keys() == KEYS);
  CHECK(filedb_iter_next_batch(iter, keys, values, 64, &status, &err) == 0 && status == FILEDB_DONE);
  filedb_iter_free(iter);
  close_store(db);
}

/* Writes, deletes and a merge while it walks: it shows the moment at which it was made. */
static void an_iterator_sees_one_moment(void) {
  filedb_t *db = store_with_keys("old");
  filedb_iter_t *iter = NULL;
  filedb_slice_t key, value;
  char name[32];
  int i;
  NEED(db != NULL);
  begin();
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &iter, &err));
  for (i = 0; i < KEYS / 3; i++) {
    EXPECT(FILEDB_OK, filedb_iter_next(iter, &key, &value, &err));
    CHECK(note(key.data, key.len, value.data, value.len, "old"));
  }
  for (i = 0; i < KEYS; i++) {
    snprintf(name, sizeof name, "key %03d", i);
    if (i % 2 == 0) EXPECT(FILEDB_OK, put_text(db, name, "new"));
    else EXPECT(FILEDB_OK, filedb_delete(db, name, strlen(name), &err));
    snprintf(name, sizeof name, "new %03d", i);
    EXPECT(FILEDB_OK, put_text(db, name, "new"));
  }
  EXPECT(FILEDB_OK, filedb_merge(db, &err));
  CHECK(value.len == 3 && memcmp(value.data, "old", 3) == 0); /* of the last step */
  while (filedb_iter_next(iter, &key, &value, &err) == FILEDB_OK) {
    CHECK(note(key.data, key.len, value.data, value.len, "old"));
  }
  CHECK(err.code == FILEDB_DONE && seen_keys() == KEYS);
  filedb_iter_free(iter);
  CHECK(count_of(db) == KEYS + KEYS / 2 && has_text(db, "key 000", "new"));
  EXPECT(FILEDB_OK, filedb_merge(db, &err));
  close_store(db);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(count_of(db) == KEYS + KEYS / 2 && has_text(db, "key 000", "new"));
  close_store(db);
}

static void an_iterator_may_outlive_its_store(void) {
  filedb_t *db = store_with_keys("value");
  filedb_iter_t *iter = NULL, *other = NULL;
  filedb_slice_t key, value, keys[2], values[2];
  filedb_status_t status = 99;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &iter, &err));
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &other, &err));
  EXPECT(FILEDB_OK, filedb_iter_next(iter, &key, &value, &err));
  close_store(db);
  begin();
  CHECK(note(key.data, key.len, value.data, value.len, "value"));
  EXPECT_ERROR(FILEDB_ERR_CLOSED, "closed", filedb_iter_next(iter, &key, &value, &err));
  CHECK(key.data == NULL && value.data == NULL);
  CHECK(filedb_iter_next_batch(other, keys, values, 2, &status, &err) == 0 && status == FILEDB_ERR_CLOSED);
  filedb_iter_free(iter);
  EXPECT_ERROR(FILEDB_ERR_CLOSED, "closed", filedb_iter_new(db, NULL, 0, &iter, &err));
  CHECK(iter == NULL);
  filedb_iter_free(other);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  close_store(db);
}

static void iterators_that_are_none_are_refused(void) {
  filedb_t *db = store_with_keys("value");
  static char long_prefix[65537];
  filedb_iter_t *iter = NULL;
  filedb_slice_t key, value;
  filedb_status_t status;
  NEED(db != NULL);
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_iter_new(NULL, NULL, 0, &iter, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_iter_new(db, NULL, 0, NULL, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "prefix is NULL", filedb_iter_new(db, NULL, 1, &iter, &err));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, "65537", filedb_iter_new(db, long_prefix, 65537, &iter, &err));
  CHECK(iter == NULL);
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "NULL", filedb_iter_next(NULL, &key, &value, &err));
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &iter, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "'key'", filedb_iter_next(iter, NULL, &value, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "'value'", filedb_iter_next(iter, &key, NULL, &err));
  CHECK(filedb_iter_next_batch(iter, NULL, &value, 1, &status, &err) == 0);
  CHECK(status == FILEDB_ERR_INVALID_ARGUMENT && err.code == status);
  CHECK(filedb_iter_next_batch(iter, &key, &value, 1, NULL, &err) == 0);
  CHECK(err.code == FILEDB_ERR_INVALID_ARGUMENT && strstr(err.message, "'status'") != NULL);
  CHECK(filedb_iter_next_batch(NULL, &key, &value, 1, &status, &err) == 0);
  CHECK(status == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(filedb_iter_next_batch(iter, &key, &value, SIZE_MAX, &status, &err) == 0);
  CHECK(status == FILEDB_ERR_INVALID_ARGUMENT);
  EXPECT(FILEDB_OK, filedb_iter_next(iter, &key, &value, &err)); /* it stands where it stood */
  filedb_iter_free(iter);
  filedb_iter_free(iter);
  filedb_iter_free(NULL);
  EXPECT(FILEDB_ERR_CLOSED, filedb_iter_next(iter, &key, &value, &err));
  close_store(db);
}

/* ---- Folds --------------------------------------------------------------------------------- */

struct fold {
  int calls, stop_after;
  filedb_t *db;
};

static int note_row(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len) {
  struct fold *fold = ctx;
  CHECK(note(key, key_len, value, value_len, "value"));
  return ++fold->calls == fold->stop_after;
}

static void a_fold_shows_every_key_once_or_stops_when_it_is_told(void) {
  filedb_t *db = store_with_keys("value");
  struct fold fold = {0, 0, NULL};
  NEED(db != NULL);
  begin();
  EXPECT(FILEDB_OK, filedb_fold(db, note_row, &fold, &err));
  CHECK(fold.calls == KEYS && seen_keys() == KEYS);
  begin();
  fold.calls = 0;
  fold.stop_after = 10;
  EXPECT(FILEDB_OK, filedb_fold(db, note_row, &fold, &err));
  CHECK(fold.calls == 10 && seen_keys() == 10);
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "'function'", filedb_fold(db, NULL, &fold, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "NULL", filedb_fold(NULL, note_row, &fold, &err));
  CHECK(fold.calls == 10);
  close_store(db);
  EXPECT_ERROR(FILEDB_ERR_CLOSED, "closed", filedb_fold(db, note_row, &fold, &err));
}

static int delete_and_write(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len) {
  struct fold *fold = ctx;
  char name[64];
  CHECK(note(key, key_len, value, value_len, "value"));
  EXPECT(FILEDB_OK, filedb_delete(fold->db, key, key_len, &err));
  snprintf(name, sizeof name, "written %d", fold->calls++);
  EXPECT(FILEDB_OK, put_text(fold->db, name, "by the callback"));
  CHECK(has_text(fold->db, name, "by the callback"));
  return 0;
}

static void a_fold_may_change_the_store_it_walks_through(void) {
  filedb_t *db = store_with_keys("value");
  struct fold fold = {0, 0, NULL};
  NEED((fold.db = db) != NULL);
  begin();
  EXPECT(FILEDB_OK, filedb_fold(db, delete_and_write, &fold, &err));
  CHECK(fold.calls == KEYS && seen_keys() == KEYS && count_of(db) == KEYS);
  EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "key 000", 7, &err));
  close_store(db);
}

static int close_it(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len) {
  struct fold *fold = ctx;
  fold->calls++;
  EXPECT(FILEDB_OK, filedb_close(fold->db, &err));
  CHECK(note(key, key_len, value, value_len, "value"));
  return 0;
}

static void a_store_closed_by_a_fold_ends_it_and_does_not_hang(void) {
  filedb_t *db = store_with_keys("value");
  struct fold fold = {0, 0, NULL};
  NEED((fold.db = db) != NULL);
  begin();
  EXPECT(FILEDB_ERR_CLOSED, filedb_fold(db, close_it, &fold, &err));
  CHECK(fold.calls == 1);
  EXPECT(FILEDB_ERR_CLOSED, filedb_close(db, &err));
}

/* ---- Merges -------------------------------------------------------------------------------- */

static int bytes_so_far;

static int add_size(const char *path, const struct stat *st, int kind, struct FTW *where) {
  (void)path;
  (void)where;
  if (kind == FTW_F) bytes_so_far += (int)st->st_size;
  return 0;
}

static int bytes_on_disk(void) {
  bytes_so_far = 0;
  nftw(in_temp("store"), add_size, 16, FTW_PHYS);
  return bytes_so_far;
}

static void a_merge_gives_room_back_and_keeps_every_key(void) {
  static char value[1000];
  filedb_t *db = NULL;
  filedb_options_t *options = filedb_options_new();
  char key[32];
  int i, round, before, after;
  EXPECT(FILEDB_OK, filedb_options_set(options, "io", io_mode, &err));
  EXPECT(FILEDB_OK, filedb_options_set(options, "merge", "manual", &err));
  EXPECT(FILEDB_OK, filedb_options_set(options, "max_file_size", "64KiB", &err));
  EXPECT(FILEDB_OK, filedb_open(in_temp("store"), options, &db, &err));
  filedb_options_free(options);
  NEED(db != NULL);
  for (round = 0; round < 10; round++) {
    for (i = 0; i < 200; i++) {
      snprintf(key, sizeof key, "key %d", i);
      memset(value, round + i % 7, sizeof value);
      EXPECT(FILEDB_OK, filedb_put(db, key, strlen(key), value, sizeof value, &err));
    }
  }
  for (i = 100; i < 200; i++) {
    snprintf(key, sizeof key, "key %d", i);
    EXPECT(FILEDB_OK, filedb_delete(db, key, strlen(key), &err));
  }
  EXPECT(FILEDB_OK, filedb_sync(db, &err));
  before = bytes_on_disk();
  EXPECT(FILEDB_OK, filedb_merge(db, &err));
  after = bytes_on_disk();
  CHECK(before > 2000 * 1000 && after < 500 * 1000);
  for (round = 0; round < 2; round++) {
    CHECK(count_of(db) == 100);
    for (i = 0; i < 200; i++) {
      snprintf(key, sizeof key, "key %d", i);
      memset(value, 9 + i % 7, sizeof value);
      if (i < 100) CHECK(has_bytes(db, key, strlen(key), value, sizeof value));
      else EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, key, strlen(key), &err));
    }
    close_store(db);
    NEED((db = open_store(in_temp("store"))) != NULL);
  }
  close_store(db);
  EXPECT(FILEDB_ERR_CLOSED, filedb_merge(db, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_merge(NULL, &err));
  EXPECT(FILEDB_OK, open_with(in_temp("store"), "read_only", "true", &db));
  EXPECT(FILEDB_ERR_READ_ONLY, filedb_merge(db, &err));
  close_store(db);
}

int main(void) {
  RUN_BOTH(an_iterator_shows_every_key_once);
  RUN_BOTH(an_iterator_with_a_prefix_shows_what_begins_with_it);
  RUN_BOTH(a_batch_of_rows_is_valid_together);
  RUN_BOTH(an_iterator_sees_one_moment);
  RUN_BOTH(an_iterator_may_outlive_its_store);
  RUN_BOTH(iterators_that_are_none_are_refused);
  RUN_BOTH(a_fold_shows_every_key_once_or_stops_when_it_is_told);
  RUN_BOTH(a_fold_may_change_the_store_it_walks_through);
  RUN_BOTH(a_store_closed_by_a_fold_ends_it_and_does_not_hang);
  RUN_BOTH(a_merge_gives_room_back_and_keeps_every_key);
  return finish();
}
