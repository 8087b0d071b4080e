/* What each verb does when it is used as it should be. */
#include "harness.h"

static void a_value_is_read_back(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "hello", "world"));
  CHECK(err.code == FILEDB_OK && err.message[0] == 0);
  CHECK(has_text(db, "hello", "world"));
  EXPECT(FILEDB_OK, put_text(db, "hello", "a longer value than before"));
  CHECK(has_text(db, "hello", "a longer value than before"));
  EXPECT(FILEDB_OK, put_text(db, "hello", ""));
  CHECK(has_text(db, "hello", ""));
  CHECK(count_of(db) == 1);
  close_store(db);
}

static void an_empty_value_is_a_value(void) {
  filedb_t *db = open_store(in_temp("store"));
  void *value = NULL;
  size_t len = 99;
  filedb_pinned_t pinned;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, filedb_put(db, "k", 1, NULL, 0, &err));
  EXPECT(FILEDB_OK, filedb_exists(db, "k", 1, &err));
  EXPECT(FILEDB_OK, filedb_get(db, "k", 1, &value, &len, &err));
  CHECK(value != NULL && len == 0);
  filedb_free(value);
  len = 99;
  EXPECT(FILEDB_OK, filedb_get_into(db, "k", 1, NULL, 0, &len, &err));
  CHECK(len == 0);
  EXPECT(FILEDB_OK, filedb_get_pinned(db, "k", 1, &pinned, &err));
  CHECK(pinned.len == 0);
  filedb_unpin(&pinned);
  close_store(db);
  db = open_store(in_temp("store"));
  CHECK(has_text(db, "k", ""));
  close_store(db);
}

/* Every byte that a key may begin or end with, and a NUL in the middle. */
static void keys_and_values_are_bytes(void) {
  filedb_t *db = open_store(in_temp("store"));
  unsigned char bytes[3];
  int i, round;
  NEED(db != NULL);
  for (i = 0; i < 256; i++) {
    bytes[0] = bytes[2] = (unsigned char)i;
    bytes[1] = 0;
    EXPECT(FILEDB_OK, filedb_put(db, bytes, 1, bytes, 3, &err));
    EXPECT(FILEDB_OK, filedb_put(db, bytes, 3, bytes, 1, &err));
  }
  for (round = 0; round < 2; round++) {
    CHECK(count_of(db) == 512);
    for (i = 0; i < 256; i++) {
      bytes[0] = bytes[2] = (unsigned char)i;
      bytes[1] = 0;
      CHECK(has_bytes(db, bytes, 1, bytes, 3));
      CHECK(has_bytes(db, bytes, 3, bytes, 1));
      EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, bytes, 2, &err));
    }
    close_store(db);
    db = open_store(in_temp("store"));
    NEED(db != NULL);
  }
  close_store(db);
}

static void an_absent_key_is_not_found_by_any_verb(void) {
  filedb_t *db = open_store(in_temp("store"));
  void *value = &value;
  size_t len = 99;
  char buffer[4] = "abc";
  filedb_pinned_t pinned = {buffer, 3, NULL};
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "here", "1"));
  EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "there", 5, &err));
  EXPECT_ERROR(FILEDB_NOT_FOUND, "no such key", filedb_delete(db, "there", 5, &err));
  EXPECT_ERROR(FILEDB_NOT_FOUND, "no such key", filedb_get(db, "there", 5, &value, &len, &err));
  CHECK(value == NULL && len == 0);
  len = 99;
  EXPECT(FILEDB_NOT_FOUND, filedb_get_into(db, "there", 5, buffer, 4, &len, &err));
  CHECK(len == 0 && strcmp(buffer, "abc") == 0);
  EXPECT(FILEDB_NOT_FOUND, filedb_get_pinned(db, "there", 5, &pinned, &err));
  CHECK(pinned.data == NULL && pinned.len == 0 && pinned.pin == NULL);
  CHECK(has_text(db, "here", "1"));
  close_store(db);
}

static void a_deleted_key_is_gone_and_stays_gone(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "a", "1"));
  EXPECT(FILEDB_OK, put_text(db, "b", "2"));
  EXPECT(FILEDB_OK, filedb_exists(db, "a", 1, &err));
  EXPECT(FILEDB_OK, filedb_delete(db, "a", 1, &err));
  EXPECT(FILEDB_NOT_FOUND, filedb_delete(db, "a", 1, &err));
  EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "a", 1, &err));
  CHECK(count_of(db) == 1);
  close_store(db);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "a", 1, &err));
  CHECK(has_text(db, "b", "2") && count_of(db) == 1);
  EXPECT(FILEDB_OK, put_text(db, "a", "again"));
  CHECK(has_text(db, "a", "again") && count_of(db) == 2);
  close_store(db);
}

static void get_into_copies_what_fits_and_tells_what_does_not(void) {
  filedb_t *db = open_store(in_temp("store"));
  char buffer[16];
  size_t len = 99;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "12345678"));
  memset(buffer, '.', sizeof buffer);
  EXPECT(FILEDB_OK, filedb_get_into(db, "k", 1, buffer, 16, &len, &err));
  CHECK(len == 8 && memcmp(buffer, "12345678........", 16) == 0);
  memset(buffer, '.', sizeof buffer);
  EXPECT(FILEDB_OK, filedb_get_into(db, "k", 1, buffer, 8, &len, &err));
  CHECK(len == 8 && memcmp(buffer, "12345678........", 16) == 0);
  memset(buffer, '.', sizeof buffer);
  len = 99;
  EXPECT_ERROR(FILEDB_ERR_BUFFER_TOO_SMALL, "8 bytes",
               filedb_get_into(db, "k", 1, buffer, 7, &len, &err));
  CHECK(strstr(err.message, "7") != NULL);
  CHECK(len == 8 && memcmp(buffer, "................", 16) == 0);
  len = 99;
  EXPECT(FILEDB_ERR_BUFFER_TOO_SMALL, filedb_get_into(db, "k", 1, NULL, 0, &len, &err));
  CHECK(len == 8);
  close_store(db);
}

/* Large values are copied while their checksum is computed. */
static void get_into_copies_large_values_whole_or_not_at_all(void) {
  static char value[200001], buffer[sizeof value + 1];
  const size_t sizes[] = {4096, 8191, 8192, 8193, 65536, sizeof value};
  filedb_t *db = open_store(in_temp("store"));
  void *copy = NULL;
  size_t len, i, n;
  NEED(db != NULL);
  for (n = 0; n < sizeof value; n++) value[n] = (char)(n * 31);
  for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const size_t size = sizes[i];
    EXPECT(FILEDB_OK, filedb_put(db, "k", 1, value, size, &err));
    memset(buffer, '.', sizeof buffer);
    EXPECT(FILEDB_OK, filedb_get_into(db, "k", 1, buffer, size, &len, &err));
    CHECK(len == size && memcmp(buffer, value, size) == 0 && buffer[size] == '.');
    memset(buffer, '.', sizeof buffer);
    len = 99;
    EXPECT(FILEDB_ERR_BUFFER_TOO_SMALL, filedb_get_into(db, "k", 1, buffer, size - 1, &len, &err));
    CHECK(len == size && buffer[0] == '.' && memcmp(buffer, buffer + 1, size) == 0);
    EXPECT(FILEDB_OK, filedb_get(db, "k", 1, &copy, &len, &err));
    CHECK(len == size && memcmp(copy, value, size) == 0);
    filedb_free(copy);
  }
  close_store(db);
}

static void a_pinned_value_outlives_its_key_and_its_store(void) {
  filedb_t *db = open_store(in_temp("store"));
  filedb_pinned_t first, second, third;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "the first value"));
  EXPECT(FILEDB_OK, filedb_get_pinned(db, "k", 1, &first, &err));
  EXPECT(FILEDB_OK, put_text(db, "k", "the second value"));
  EXPECT(FILEDB_OK, filedb_get_pinned(db, "k", 1, &second, &err));
  EXPECT(FILEDB_OK, filedb_get_pinned(db, "k", 1, &third, &err));
  EXPECT(FILEDB_OK, filedb_delete(db, "k", 1, &err));
  CHECK(first.len == 15 && memcmp(first.data, "the first value", 15) == 0);
  filedb_unpin(&first);
  CHECK(first.data == NULL && first.len == 0 && first.pin == NULL);
  close_store(db);
  CHECK(second.len == 16 && memcmp(second.data, "the second value", 16) == 0);
  filedb_unpin(&second);
  db = open_store(in_temp("store"));
  CHECK(third.len == 16 && memcmp(third.data, "the second value", 16) == 0);
  filedb_unpin(&third);
  close_store(db);
}

static void get_many_answers_every_key_by_itself(void) {
  enum { COUNT = 1000 };
  static filedb_slice_t keys[COUNT];
  static filedb_pinned_t values[COUNT];
  static filedb_status_t statuses[COUNT];
  static char names[COUNT][16];
  char expected[16];
  filedb_t *db = open_store(in_temp("store"));
  int i;
  NEED(db != NULL);
  for (i = 0; i < COUNT; i++) {
    snprintf(names[i], sizeof names[i], "key %d", i);
    keys[i].data = names[i];
    keys[i].len = strlen(names[i]);
    if (i % 3 == 0) continue;
    snprintf(expected, sizeof expected, "value %d", i);
    EXPECT(FILEDB_OK, put_text(db, names[i], i % 3 == 1 ? expected : ""));
  }
  keys[500] = keys[1]; /* the same key twice */
  EXPECT(FILEDB_OK, filedb_get_many(db, keys, COUNT, values, statuses, &err));
  for (i = 0; i < COUNT; i++) {
    int n = i == 500 ? 1 : i;
    snprintf(expected, sizeof expected, "value %d", n);
    if (n % 3 == 0) {
      CHECK(statuses[i] == FILEDB_NOT_FOUND && values[i].data == NULL && values[i].pin == NULL);
    } else {
      size_t len = n % 3 == 1 ? strlen(expected) : 0;
      CHECK(statuses[i] == FILEDB_OK && values[i].len == len);
      CHECK(len == 0 || memcmp(values[i].data, expected, len) == 0);
    }
  }
  for (i = 0; i < COUNT; i++) filedb_unpin(&values[i]);
  EXPECT(FILEDB_OK, filedb_get_many(db, NULL, 0, NULL, NULL, &err));
  close_store(db);
}

static void get_many_reads_the_good_keys_beside_a_bad_one(void) {
  static char long_key[65537];
  filedb_slice_t keys[4] = {{"a", 1}, {long_key, sizeof long_key}, {NULL, 0}, {"b", 1}};
  filedb_pinned_t values[4];
  filedb_status_t statuses[4];
  filedb_t *db = open_store(in_temp("store"));
  int i;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "a", "1"));
  EXPECT(FILEDB_OK, put_text(db, "b", "2"));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, "65537", filedb_get_many(db, keys, 4, values, statuses, &err));
  CHECK(statuses[0] == FILEDB_OK && values[0].len == 1 && memcmp(values[0].data, "1", 1) == 0);
  CHECK(statuses[1] == FILEDB_ERR_TOO_LARGE && values[1].pin == NULL);
  CHECK(statuses[2] == FILEDB_ERR_INVALID_ARGUMENT && values[2].pin == NULL);
  CHECK(statuses[3] == FILEDB_OK && values[3].len == 1 && memcmp(values[3].data, "2", 1) == 0);
  for (i = 0; i < 4; i++) filedb_unpin(&values[i]);
  close_store(db);
}

static int by_bytes(const void *a, const void *b) {
  const filedb_slice_t *x = a, *y = b;
  size_t len = x->len < y->len ? x->len : y->len;
  int order = memcmp(x->data, y->data, len);
  return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static void a_list_holds_every_key_with_the_prefix_once(void) {
  static const char *const names[] = {"a", "ab", "abc", "abd", "b", "ba"};
  filedb_t *db = open_store(in_temp("store"));
  filedb_slice_t *keys = NULL;
  size_t count = 99, i;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, filedb_list(db, NULL, 0, &keys, &count, &err));
  CHECK(count == 0 && keys == NULL);
  for (i = 0; i < 6; i++) EXPECT(FILEDB_OK, put_text(db, names[i], "x"));
  EXPECT(FILEDB_OK, put_text(db, "abc", "again"));
  EXPECT(FILEDB_OK, put_text(db, "abz", "gone"));
  EXPECT(FILEDB_OK, filedb_delete(db, "abz", 3, &err));

  EXPECT(FILEDB_OK, filedb_list(db, NULL, 0, &keys, &count, &err));
  NEED(count == 6);
  qsort(keys, count, sizeof *keys, by_bytes);
  for (i = 0; i < 6; i++) {
    CHECK(keys[i].len == strlen(names[i]) && memcmp(keys[i].data, names[i], keys[i].len) == 0);
  }
  filedb_free(keys);

  EXPECT(FILEDB_OK, filedb_list(db, "ab", 2, &keys, &count, &err));
  NEED(count == 3);
  qsort(keys, count, sizeof *keys, by_bytes);
  for (i = 0; i < 3; i++) {
    CHECK(keys[i].len == strlen(names[i + 1]));
    CHECK(memcmp(keys[i].data, names[i + 1], keys[i].len) == 0);
  }
  filedb_free(keys);

  EXPECT(FILEDB_OK, filedb_list(db, "abcd", 4, &keys, &count, &err));
  CHECK(count == 0 && keys == NULL);
  filedb_free(keys);
  close_store(db);
}

/* By unsigned bytes, and a key before those that it is a prefix of. */
static void a_sorted_list_is_in_the_order_of_the_bytes_of_its_keys(void) {
  enum { COUNT = 5000 };
  filedb_t *db = open_store(in_temp("store"));
  filedb_slice_t *keys = NULL;
  uint32_t random = 1;
  size_t count = 99, i;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, filedb_list_sorted(db, NULL, 0, &keys, &count, &err));
  CHECK(count == 0 && keys == NULL);
  for (i = 0; i < COUNT; i++) {
    unsigned char key[5];
    size_t at, len = 1 + i % sizeof key;
    for (at = 0; at < len; at++) key[at] = (unsigned char)((random = random * 1664525u + 1013904223u) >> 24);
    EXPECT(FILEDB_OK, filedb_put(db, key, len, "v", 1, &err));
  }
  EXPECT(FILEDB_OK, filedb_list_sorted(db, NULL, 0, &keys, &count, &err));
  CHECK(count == count_of(db) && count > 3000);
  for (i = 1; i < count; i++) CHECK(by_bytes(&keys[i - 1], &keys[i]) < 0);
  filedb_free(keys);
  EXPECT(FILEDB_OK, filedb_list_sorted(db, "\xff", 1, &keys, &count, &err));
  CHECK(count > 5 && keys[0].len == 1);
  for (i = 0; i < count; i++) CHECK(((const unsigned char *)keys[i].data)[0] == 0xff);
  for (i = 1; i < count; i++) CHECK(by_bytes(&keys[i - 1], &keys[i]) < 0);
  filedb_free(keys);
  close_store(db);
}

static void reopening_keeps_everything(void) {
  enum { COUNT = 3000 };
  char key[32], value[64];
  filedb_t *db = NULL;
  int i, round;
  for (round = 0; round < 3; round++) {
    /* Small files, so that there are many of them. */
    EXPECT(FILEDB_OK, open_with(in_temp("store"), "max_file_size", "16KiB", &db));
    NEED(db != NULL);
    CHECK(round == 0 || count_of(db) == COUNT);
    for (i = 0; i < COUNT; i++) {
      snprintf(key, sizeof key, "key %d", i);
      snprintf(value, sizeof value, "value %d of round %d", i, i % 2 == 0 ? 0 : round - 1);
      if (round > 0) CHECK(has_text(db, key, value));
      if (round == 0 || i % 2 == 1) {
        snprintf(value, sizeof value, "value %d of round %d", i, round);
        EXPECT(FILEDB_OK, put_text(db, key, value));
      }
    }
    if (round == 1) EXPECT(FILEDB_OK, filedb_sync(db, &err));
    close_store(db);
  }
}

static void a_store_written_in_one_way_is_read_in_the_other(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
  io_mode = strcmp(io_mode, "mmap") == 0 ? "pread" : "mmap";
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "v"));
  EXPECT(FILEDB_OK, put_text(db, "l", "w"));
  close_store(db);
  io_mode = strcmp(io_mode, "mmap") == 0 ? "pread" : "mmap";
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "v") && has_text(db, "l", "w"));
  close_store(db);
}

static void every_sync_mode_stores_and_syncs(void) {
  static const char *const modes[] = {"none", "interval", "always"};
  int i;
  for (i = 0; i < 3; i++) {
    filedb_t *db = NULL;
    EXPECT(FILEDB_OK, open_with(in_temp(modes[i]), "sync", modes[i], &db));
    NEED(db != NULL);
    EXPECT(FILEDB_OK, put_text(db, "k", modes[i]));
    EXPECT(FILEDB_OK, filedb_sync(db, &err));
    EXPECT(FILEDB_OK, filedb_sync(db, &err));
    close_store(db);
    db = open_store(in_temp(modes[i]));
    NEED(db != NULL);
    CHECK(has_text(db, "k", modes[i]));
    close_store(db);
  }
}

int main(void) {
  RUN_BOTH(a_value_is_read_back);
  RUN_BOTH(an_empty_value_is_a_value);
  RUN_BOTH(keys_and_values_are_bytes);
  RUN_BOTH(an_absent_key_is_not_found_by_any_verb);
  RUN_BOTH(a_deleted_key_is_gone_and_stays_gone);
  RUN_BOTH(get_into_copies_what_fits_and_tells_what_does_not);
  RUN_BOTH(get_into_copies_large_values_whole_or_not_at_all);
  RUN_BOTH(a_pinned_value_outlives_its_key_and_its_store);
  RUN_BOTH(get_many_answers_every_key_by_itself);
  RUN_BOTH(get_many_reads_the_good_keys_beside_a_bad_one);
  RUN_BOTH(a_list_holds_every_key_with_the_prefix_once);
  RUN_BOTH(a_sorted_list_is_in_the_order_of_the_bytes_of_its_keys);
  RUN_BOTH(reopening_keeps_everything);
  RUN_BOTH(a_store_written_in_one_way_is_read_in_the_other);
  RUN_BOTH(every_sync_mode_stores_and_syncs);
  return finish();
}
