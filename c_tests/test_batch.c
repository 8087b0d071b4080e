/* Batches: all or nothing, in order, and as often as one likes. */
#include "harness.h"

static filedb_status_t add_put(filedb_batch_t *batch, const char *key, const char *value) {
  return filedb_batch_put(batch, key, strlen(key), value, strlen(value), &err);
}

static filedb_status_t add_delete(filedb_batch_t *batch, const char *key) {
  return filedb_batch_delete(batch, key, strlen(key), &err);
}

static void a_batch_happens_when_it_is_written_and_not_before(void) {
  filedb_t *db = open_store(in_temp("store"));
  filedb_batch_t *batch = filedb_batch_new();
  NEED(db != NULL && batch != NULL);
  EXPECT(FILEDB_OK, put_text(db, "old", "1"));
  EXPECT(FILEDB_OK, put_text(db, "gone", "2"));
  EXPECT(FILEDB_OK, add_put(batch, "old", "changed"));
  EXPECT(FILEDB_OK, add_delete(batch, "gone"));
  EXPECT(FILEDB_OK, add_delete(batch, "was never there"));
  EXPECT(FILEDB_OK, filedb_batch_put(batch, "\0\xff", 2, NULL, 0, &err));
  CHECK(has_text(db, "old", "1") && has_text(db, "gone", "2") && count_of(db) == 2);
  EXPECT(FILEDB_OK, filedb_write(db, batch, &err));
  filedb_batch_free(batch);
  CHECK(has_text(db, "old", "changed") && has_bytes(db, "\0\xff", 2, "", 0) && count_of(db) == 2);
  EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "gone", 4, &err));
  close_store(db);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "old", "changed") && has_bytes(db, "\0\xff", 2, "", 0) && count_of(db) == 2);
  close_store(db);
}

static void the_last_write_of_a_key_in_a_batch_wins(void) {
  filedb_t *db = open_store(in_temp("store"));
  filedb_batch_t *batch = filedb_batch_new();
  int round;
  NEED(db != NULL && batch != NULL);
  EXPECT(FILEDB_OK, add_put(batch, "a", "1"));
  EXPECT(FILEDB_OK, add_put(batch, "a", "2"));
  EXPECT(FILEDB_OK, add_put(batch, "b", "1"));
  EXPECT(FILEDB_OK, add_delete(batch, "b"));
  EXPECT(FILEDB_OK, add_delete(batch, "c"));
  EXPECT(FILEDB_OK, add_put(batch, "c", "3"));
  EXPECT(FILEDB_OK, filedb_write(db, batch, &err));
  for (round = 0; round < 2; round++) {
    CHECK(has_text(db, "a", "2") && has_text(db, "c", "3") && count_of(db) == 2);
    close_store(db);
    NEED((db = open_store(in_temp("store"))) != NULL);
  }
  filedb_batch_free(batch);
  close_store(db);
}

static void a_batch_can_be_written_again_cleared_and_used_anew(void) {
  filedb_t *one = open_store(in_temp("one")), *two = open_store(in_temp("two"));
  filedb_batch_t *batch = filedb_batch_new();
  NEED(one != NULL && two != NULL && batch != NULL);
  EXPECT(FILEDB_OK, filedb_write(one, batch, &err)); /* nothing to do is done */
  EXPECT(FILEDB_OK, add_put(batch, "k", "v"));
  EXPECT(FILEDB_OK, filedb_write(one, batch, &err));
  EXPECT(FILEDB_OK, filedb_delete(one, "k", 1, &err));
  EXPECT(FILEDB_OK, filedb_write(one, batch, &err));
  EXPECT(FILEDB_OK, filedb_write(two, batch, &err));
  CHECK(has_text(one, "k", "v") && has_text(two, "k", "v"));
  filedb_batch_clear(batch);
  EXPECT(FILEDB_OK, add_put(batch, "l", "w"));
  EXPECT(FILEDB_OK, filedb_delete(one, "k", 1, &err));
  EXPECT(FILEDB_OK, filedb_write(one, batch, &err));
  CHECK(has_text(one, "l", "w") && count_of(one) == 1);
  filedb_batch_free(batch);
  close_store(one);
  close_store(two);
}

static void a_batch_may_be_larger_than_a_file(void) {
  enum { COUNT = 2000 };
  filedb_t *db = NULL;
  filedb_batch_t *batch = filedb_batch_new();
  char key[32], value[64];
  int i, round;
  EXPECT(FILEDB_OK, open_with(in_temp("store"), "max_file_size", "4KiB", &db));
  NEED(db != NULL && batch != NULL);
  for (i = 0; i < COUNT; i++) {
    snprintf(key, sizeof key, "key %d", i);
    snprintf(value, sizeof value, "value %d", i);
    EXPECT(FILEDB_OK, add_put(batch, key, value));
  }
  EXPECT(FILEDB_OK, filedb_write(db, batch, &err));
  filedb_batch_free(batch);
  for (round = 0; round < 2; round++) {
    CHECK(count_of(db) == COUNT);
    for (i = 0; i < COUNT; i += 7) {
      snprintf(key, sizeof key, "key %d", i);
      snprintf(value, sizeof value, "value %d", i);
      CHECK(has_text(db, key, value));
    }
    close_store(db);
    NEED((db = open_store(in_temp("store"))) != NULL);
  }
  close_store(db);
}

static void what_a_batch_cannot_take_leaves_it_as_it_was(void) {
  static char long_key[65537];
  filedb_t *db = open_store(in_temp("store"));
  filedb_batch_t *batch = filedb_batch_new();
  NEED(db != NULL && batch != NULL);
  EXPECT(FILEDB_OK, add_put(batch, "k", "v"));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "key is empty", filedb_batch_put(batch, NULL, 0, "v", 1, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "key is empty", filedb_batch_delete(batch, "", 0, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "key is NULL", filedb_batch_put(batch, NULL, 1, "v", 1, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "value is NULL", filedb_batch_put(batch, "k", 1, NULL, 1, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "key is NULL", filedb_batch_delete(batch, NULL, 1, &err));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, "65537", filedb_batch_put(batch, long_key, sizeof long_key, "v", 1, &err));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, "65537", filedb_batch_delete(batch, long_key, sizeof long_key, &err));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, "4294967296",
               filedb_batch_put(batch, "k", 1, "x", (size_t)1 << 32, &err));
  EXPECT(FILEDB_OK, filedb_write(db, batch, &err));
  CHECK(has_text(db, "k", "v") && count_of(db) == 1);
  filedb_batch_free(batch);
  close_store(db);
}

static void a_put_in_a_batch_may_expire_and_has_no_conditions(void) {
  filedb_put_options_t more = FILEDB_PUT_OPTIONS_INIT;
  static const uint32_t flags[] = {FILEDB_PUT_IF_ABSENT, FILEDB_PUT_IF_PRESENT, FILEDB_PUT_SYNC, FILEDB_PUT_KEEP_TTL,
                                   0x100, 0xffffffffu};
  filedb_t *db = open_store(in_temp("store"));
  filedb_batch_t *batch = filedb_batch_new();
  int64_t ms = 0;
  size_t i;
  NEED(db != NULL && batch != NULL);
  EXPECT(FILEDB_OK, filedb_batch_put_with(batch, "plain", 5, "1", 1, NULL, &err));
  EXPECT(FILEDB_OK, filedb_batch_put_with(batch, "stays", 5, "2", 1, &more, &err));
  more.ttl_ms = 3600000;
  EXPECT(FILEDB_OK, filedb_batch_put_with(batch, "hour", 4, "3", 1, &more, &err));
  more.ttl_ms = UINT64_MAX;
  EXPECT(FILEDB_OK, filedb_batch_put_with(batch, "long", 4, "4", 1, &more, &err));
  for (i = 0; i < sizeof flags / sizeof flags[0]; i++) {
    more.flags = flags[i];
    EXPECT(FILEDB_ERR_UNSUPPORTED, filedb_batch_put_with(batch, "refused", 7, "", 0, &more, &err));
    CHECK(err.message[0] != 0);
  }
  more.flags = 0;
  more.struct_size = 8;
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "struct_size", filedb_batch_put_with(batch, "k", 1, "", 0, &more, &err));
  EXPECT(FILEDB_OK, filedb_write(db, batch, &err));
  CHECK(count_of(db) == 4 && has_text(db, "plain", "1") && has_text(db, "hour", "3"));
  EXPECT(FILEDB_OK, filedb_ttl(db, "plain", 5, &ms, &err));
  CHECK(ms == -1);
  EXPECT(FILEDB_OK, filedb_ttl(db, "stays", 5, &ms, &err));
  CHECK(ms == -1);
  EXPECT(FILEDB_OK, filedb_ttl(db, "hour", 4, &ms, &err));
  CHECK(ms > 3500000 && ms <= 3600000);
  EXPECT(FILEDB_OK, filedb_ttl(db, "long", 4, &ms, &err));
  CHECK(ms > 3600000);
  filedb_batch_free(batch);
  close_store(db);
}

static void batches_that_are_none_are_refused(void) {
  filedb_t *db = open_store(in_temp("store"));
  filedb_batch_t *batch = filedb_batch_new();
  union {
    unsigned char bytes[512];
    uint64_t aligned;
  } memory;
  NEED(db != NULL && batch != NULL);
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "batch handle is NULL", filedb_write(db, NULL, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "store handle is NULL", filedb_write(NULL, batch, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "NULL", filedb_batch_put(NULL, "k", 1, "v", 1, &err));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "NULL", filedb_batch_delete(NULL, "k", 1, &err));
  memset(&memory, 0, sizeof memory);
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "not one that filedb made",
               filedb_write(db, (filedb_batch_t *)(void *)memory.bytes, &err));
  filedb_batch_clear((filedb_batch_t *)(void *)memory.bytes);
  filedb_batch_free((filedb_batch_t *)(void *)memory.bytes);
  filedb_batch_clear(NULL);
  filedb_batch_free(NULL);
  EXPECT(FILEDB_OK, add_put(batch, "k", "v"));
  filedb_batch_free(batch);
  filedb_batch_free(batch);
  filedb_batch_clear(batch);
  EXPECT(FILEDB_ERR_CLOSED, add_put(batch, "k", "v"));
  EXPECT(FILEDB_ERR_CLOSED, add_delete(batch, "k"));
  EXPECT_ERROR(FILEDB_ERR_CLOSED, "closed", filedb_write(db, batch, &err));
  CHECK(count_of(db) == 0);
  close_store(db);
}

static void a_batch_to_a_closed_store_is_refused_and_kept(void) {
  filedb_t *db = open_store(in_temp("store"));
  filedb_batch_t *batch = filedb_batch_new();
  NEED(db != NULL && batch != NULL);
  EXPECT(FILEDB_OK, add_put(batch, "k", "v"));
  close_store(db);
  EXPECT(FILEDB_ERR_CLOSED, filedb_write(db, batch, &err));
  EXPECT(FILEDB_OK, open_with(in_temp("store"), "read_only", "true", &db));
  EXPECT_ERROR(FILEDB_ERR_READ_ONLY, "read_only", filedb_write(db, batch, &err));
  close_store(db);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, filedb_write(db, batch, &err));
  CHECK(has_text(db, "k", "v"));
  filedb_batch_free(batch);
  close_store(db);
}

int main(void) {
  RUN_BOTH(a_batch_happens_when_it_is_written_and_not_before);
  RUN_BOTH(the_last_write_of_a_key_in_a_batch_wins);
  RUN_BOTH(a_batch_can_be_written_again_cleared_and_used_anew);
  RUN_BOTH(a_batch_may_be_larger_than_a_file);
  RUN_BOTH(what_a_batch_cannot_take_leaves_it_as_it_was);
  RUN_BOTH(a_put_in_a_batch_may_expire_and_has_no_conditions);
  RUN_BOTH(batches_that_are_none_are_refused);
  RUN_BOTH(a_batch_to_a_closed_store_is_refused_and_kept);
  return finish();
}
