/* Key order: what the ordered engine can, through the C API. */
#include "harness.h"

enum { KEYS = 3000 };

static filedb_t *ordered_store(void) {
  filedb_options_t *options = filedb_options_new();
  filedb_t *db = NULL;
  char key[32];
  int i;
  EXPECT(FILEDB_OK, filedb_options_set(options, "io", io_mode, &err));
  EXPECT(FILEDB_OK, filedb_options_set(options, "engine", "lsm", &err));
  EXPECT(FILEDB_OK, filedb_options_set(options, "lsm_memory", "256KiB", &err));
  EXPECT(FILEDB_OK, filedb_open(in_temp("store"), options, &db, &err));
  filedb_options_free(options);
  for (i = 0; i < KEYS && db != NULL; i++) {
    snprintf(key, sizeof key, "key %04d", i * 7 % KEYS);
    EXPECT(FILEDB_OK, put_text(db, key, key));
  }
  return db;
}

/* Walks to the end and gives the number of rows; those of `first` and `last` have these numbers. */
static int rows(filedb_iter_t *iter, int *first, int *last) {
  filedb_slice_t key, value;
  char text[32];
  int count = 0, number;
  *first = *last = -1;
  while (filedb_iter_next(iter, &key, &value, &err) == FILEDB_OK) {
    CHECK(key.len == 8 && value.len == 8 && memcmp(key.data, value.data, 8) == 0);
    memcpy(text, key.data, 8);
    text[8] = 0;
    if (sscanf(text, "key %d", &number) != 1) return -1;
    if (count++ == 0) *first = number;
    else CHECK(number == *last + (*last > number ? -1 : 1));
    *last = number;
  }
  return count;
}

static void a_range_runs_in_key_order_from_bound_to_bound(void) {
  filedb_t *db = ordered_store();
  filedb_range_t range = FILEDB_RANGE_INIT;
  filedb_iter_t *iter = NULL;
  uint64_t can = 0;
  int first, last;
  EXPECT(FILEDB_OK, filedb_capabilities(db, &can, &err));
  CHECK(can & FILEDB_CAN_ORDER);
  EXPECT(FILEDB_OK, filedb_range_new(db, &range, &iter, &err));
  CHECK(rows(iter, &first, &last) == KEYS && first == 0 && last == KEYS - 1);
  EXPECT(FILEDB_OK, filedb_iter_seek(iter, "key 2990", 8, &err));
  CHECK(rows(iter, &first, &last) == 10 && first == 2990);
  filedb_iter_free(iter);
  range.from.data = "key 0010";
  range.from.len = 8;
  range.to.data = "key 0020";
  range.to.len = 8;
  EXPECT(FILEDB_OK, filedb_range_new(db, &range, &iter, &err));
  CHECK(rows(iter, &first, &last) == 10 && first == 10 && last == 19);
  filedb_iter_free(iter);
  range.flags = FILEDB_RANGE_REVERSE | FILEDB_RANGE_FROM_EXCLUDED | FILEDB_RANGE_TO_INCLUDED;
  EXPECT(FILEDB_OK, filedb_range_new(db, &range, &iter, &err));
  CHECK(rows(iter, &first, &last) == 10 && first == 20 && last == 11);
  EXPECT(FILEDB_OK, filedb_iter_seek(iter, "key 0015x", 9, &err));
  CHECK(rows(iter, &first, &last) == 5 && first == 15 && last == 11);
  filedb_iter_free(iter);
  EXPECT(FILEDB_OK, filedb_iter_new(db, "key 01", 6, &iter, &err));
  CHECK(rows(iter, &first, &last) == 100 && first == 100 && last == 199);
  filedb_iter_free(iter);
  close_store(db);
}

static void a_range_is_deleted_by_one_write_and_walks_of_before_see_it(void) {
  filedb_t *db = ordered_store();
  filedb_range_t range = FILEDB_RANGE_INIT;
  filedb_iter_t *before = NULL;
  int first, last;
  EXPECT(FILEDB_OK, filedb_range_new(db, &range, &before, &err));
  range.from.data = "key 1000";
  range.from.len = 8;
  EXPECT(FILEDB_OK, filedb_delete_range(db, &range, &err));
  CHECK(count_of(db) == 1000);
  EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "key 1000", 8, &err));
  EXPECT(FILEDB_OK, filedb_merge(db, &err));
  CHECK(count_of(db) == 1000 && has_text(db, "key 0999", "key 0999"));
  CHECK(rows(before, &first, &last) == KEYS);
  filedb_iter_free(before);
  EXPECT(FILEDB_OK, put_text(db, "key 2000", "key 2000"));
  EXPECT(FILEDB_OK, filedb_close(db, &err));
  EXPECT(FILEDB_OK, filedb_open(in_temp("store"), NULL, &db, &err));
  CHECK(count_of(db) == 1001 && has_text(db, "key 2000", "key 2000"));
  close_store(db);
}

int main(void) {
  RUN_BOTH(a_range_runs_in_key_order_from_bound_to_bound);
  RUN_BOTH(a_range_is_deleted_by_one_write_and_walks_of_before_see_it);
  return finish();
}
