/* Conditional writes, and keys that expire. */
#include "harness.h"

static filedb_put_options_t more;

static filedb_put_options_t *with(uint32_t flags, uint64_t ttl_ms) {
  filedb_put_options_t fresh = FILEDB_PUT_OPTIONS_INIT;
  more = fresh;
  more.flags = flags;
  more.ttl_ms = ttl_ms;
  return &more;
}

static filedb_status_t put_k(filedb_t *db, const char *value, const filedb_put_options_t *options) {
  return filedb_put_with(db, "k", 1, value, strlen(value), options, &err);
}

static int64_t ttl_of_k(filedb_t *db) {
  int64_t ms = -99;
  EXPECT(FILEDB_OK, filedb_ttl(db, "k", 1, &ms, &err));
  return ms;
}

enum { HOUR = 3600 * 1000 };

static void a_condition_decides_whether_a_write_happens(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT_ERROR(FILEDB_CONFLICT, "condition", put_k(db, "1", with(FILEDB_PUT_IF_PRESENT, 0)));
  EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "k", 1, &err));
  EXPECT(FILEDB_OK, put_k(db, "2", with(FILEDB_PUT_IF_ABSENT, 0)));
  EXPECT(FILEDB_CONFLICT, put_k(db, "3", with(FILEDB_PUT_IF_ABSENT, 0)));
  CHECK(has_text(db, "k", "2"));
  EXPECT(FILEDB_OK, put_k(db, "4", with(FILEDB_PUT_IF_PRESENT, 0)));
  CHECK(has_text(db, "k", "4"));
  EXPECT(FILEDB_OK, filedb_delete(db, "k", 1, &err));
  EXPECT(FILEDB_CONFLICT, put_k(db, "5", with(FILEDB_PUT_IF_PRESENT, 0)));
  EXPECT(FILEDB_OK, put_k(db, "6", NULL));
  EXPECT(FILEDB_OK, put_k(db, "7", with(FILEDB_PUT_SYNC, 0)));
  close_store(db);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "7") && count_of(db) == 1);
  EXPECT(FILEDB_CONFLICT, put_k(db, "8", with(FILEDB_PUT_IF_ABSENT, 0)));
  close_store(db);
}

static void a_time_to_live_is_kept_changed_and_taken_away(void) {
  filedb_t *db = open_store(in_temp("store"));
  int64_t ms = 99;
  int round;
  NEED(db != NULL);
  EXPECT(FILEDB_NOT_FOUND, filedb_ttl(db, "k", 1, &ms, &err));
  CHECK(ms == 0);
  EXPECT(FILEDB_NOT_FOUND, filedb_expire(db, "k", 1, HOUR, &err));
  EXPECT(FILEDB_NOT_FOUND, filedb_persist(db, "k", 1, &err));
  EXPECT(FILEDB_OK, put_k(db, "v", NULL));
  CHECK(ttl_of_k(db) == -1);
  EXPECT(FILEDB_OK, put_k(db, "v", with(0, HOUR)));
  for (round = 0; round < 2; round++) {
    ms = ttl_of_k(db);
    CHECK(ms > HOUR / 2 && ms <= HOUR);
    close_store(db);
    NEED((db = open_store(in_temp("store"))) != NULL);
  }
  EXPECT(FILEDB_OK, put_k(db, "w", with(FILEDB_PUT_KEEP_TTL, 0)));
  ms = ttl_of_k(db);
  CHECK(ms > HOUR / 2 && ms <= HOUR && has_text(db, "k", "w"));
  EXPECT(FILEDB_OK, filedb_expire(db, "k", 1, 3 * (uint64_t)HOUR, &err));
  ms = ttl_of_k(db);
  CHECK(ms > 2 * (int64_t)HOUR && ms <= 3 * (int64_t)HOUR && has_text(db, "k", "w"));
  EXPECT(FILEDB_OK, filedb_persist(db, "k", 1, &err));
  CHECK(ttl_of_k(db) == -1 && has_text(db, "k", "w"));
  EXPECT(FILEDB_OK, put_k(db, "v", with(0, HOUR)));
  EXPECT(FILEDB_OK, put_text(db, "k", "a plain put clears it"));
  CHECK(ttl_of_k(db) == -1);
  close_store(db);
}

static void the_longest_time_to_live_is_no_overflow(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_k(db, "v", with(0, UINT64_MAX)));
  CHECK(ttl_of_k(db) > HOUR && has_text(db, "k", "v"));
  EXPECT(FILEDB_OK, filedb_expire(db, "k", 1, UINT64_MAX, &err));
  CHECK(ttl_of_k(db) > HOUR && has_text(db, "k", "v"));
  close_store(db);
}

static void is_gone_for_every_verb(filedb_t *db) {
  void *value = NULL;
  size_t len = 99;
  int64_t ms = 99;
  filedb_slice_t *keys = NULL;
  filedb_pinned_t pinned;
  EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "k", 1, &err));
  EXPECT(FILEDB_NOT_FOUND, filedb_get(db, "k", 1, &value, &len, &err));
  EXPECT(FILEDB_NOT_FOUND, filedb_get_into(db, "k", 1, NULL, 0, &len, &err));
  EXPECT(FILEDB_NOT_FOUND, filedb_get_pinned(db, "k", 1, &pinned, &err));
  EXPECT(FILEDB_NOT_FOUND, filedb_ttl(db, "k", 1, &ms, &err));
  EXPECT(FILEDB_NOT_FOUND, filedb_expire(db, "k", 1, HOUR, &err));
  EXPECT(FILEDB_NOT_FOUND, filedb_persist(db, "k", 1, &err));
  EXPECT(FILEDB_CONFLICT, put_k(db, "v", with(FILEDB_PUT_IF_PRESENT, 0)));
  EXPECT(FILEDB_OK, filedb_list(db, NULL, 0, &keys, &len, &err));
  CHECK(len == 0);
  filedb_free(keys);
  CHECK(count_of(db) == 0);
}

static void an_expired_value_is_not_copied_however_large(void) {
  static char large[20000], buffer[sizeof large];
  filedb_t *db = open_store(in_temp("store"));
  filedb_status_t status = FILEDB_OK;
  size_t len = 99, i;
  NEED(db != NULL);
  memset(large, 'x', sizeof large);
  EXPECT(FILEDB_OK, filedb_put_with(db, "k", 1, large, sizeof large, with(0, 1), &err));
  while (status == FILEDB_OK) status = filedb_exists(db, "k", 1, &err);
  EXPECT(FILEDB_NOT_FOUND, filedb_get_into(db, "k", 1, buffer, sizeof buffer, &len, &err));
  CHECK(len == 0);
  for (i = 0; i < sizeof buffer; i++) CHECK(buffer[i] == 0);
  close_store(db);
}

static void an_expired_key_is_gone_and_stays_gone(void) {
  filedb_t *db = open_store(in_temp("store"));
  int round;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_k(db, "v", NULL));
  EXPECT(FILEDB_OK, filedb_expire(db, "k", 1, 0, &err));
  for (round = 0; round < 2; round++) {
    is_gone_for_every_verb(db);
    close_store(db);
    NEED((db = open_store(in_temp("store"))) != NULL);
  }
  EXPECT(FILEDB_NOT_FOUND, filedb_delete(db, "k", 1, &err));
  EXPECT(FILEDB_OK, put_k(db, "w", with(FILEDB_PUT_IF_ABSENT, 0)));
  CHECK(has_text(db, "k", "w"));

  EXPECT(FILEDB_OK, put_k(db, "v", with(0, 1)));
  while (filedb_exists(db, "k", 1, NULL) == FILEDB_OK) { /* one millisecond */
  }
  is_gone_for_every_verb(db);
  close_store(db);
}

static void options_that_contradict_each_other_are_refused(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, put_k(db, "v", with(FILEDB_PUT_IF_ABSENT | FILEDB_PUT_IF_PRESENT, 0)));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, put_k(db, "v", with(FILEDB_PUT_KEEP_TTL, HOUR)));
  EXPECT_ERROR(FILEDB_ERR_UNSUPPORTED, "0x50", put_k(db, "v", with(0x50 | FILEDB_PUT_SYNC, 0)));
  CHECK(count_of(db) == 0);
  close_store(db);
}

/* Structs of programs that were compiled against another version of the header. */
static void put_options_of_another_size_are_understood_or_refused(void) {
  filedb_t *db = open_store(in_temp("store"));
  struct {
    filedb_put_options_t known;
    uint64_t later[4];
  } longer;
  NEED(db != NULL);
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "struct_size", (with(0, 0)->struct_size = 8, put_k(db, "v", &more)));
  EXPECT(FILEDB_OK, (with(FILEDB_PUT_IF_ABSENT, 0)->struct_size = 0, put_k(db, "v", &more)));
  EXPECT(FILEDB_CONFLICT, (with(FILEDB_PUT_IF_ABSENT, 0)->struct_size = 0, put_k(db, "v", &more)));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, (with(0, 0)->struct_size = UINT32_MAX, put_k(db, "v", &more)));
  memset(&longer, 0, sizeof longer);
  longer.known.struct_size = sizeof longer;
  EXPECT(FILEDB_OK, put_k(db, "v", &longer.known));
  longer.later[3] = 1;
  EXPECT_ERROR(FILEDB_ERR_UNSUPPORTED, "does not know", put_k(db, "w", &longer.known));
  CHECK(has_text(db, "k", "v"));
  close_store(db);
}

static void arguments_that_are_none_are_refused(void) {
  filedb_t *db = open_store(in_temp("store"));
  static char long_key[65537];
  int64_t ms = 99;
  NEED(db != NULL);
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_put_with(NULL, "k", 1, "v", 1, NULL, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_put_with(db, NULL, 1, "v", 1, NULL, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_put_with(db, "", 0, "v", 1, NULL, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_put_with(db, "k", 1, NULL, 1, NULL, &err));
  EXPECT(FILEDB_ERR_TOO_LARGE, filedb_put_with(db, long_key, 65537, "v", 1, NULL, &err));
  EXPECT(FILEDB_ERR_TOO_LARGE, filedb_put_with(db, "k", 1, "v", (size_t)1 << 32, NULL, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_ttl(NULL, "k", 1, &ms, &err));
  CHECK(ms == 0);
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_ttl(db, "k", 1, NULL, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_ttl(db, NULL, 1, &ms, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_ttl(db, NULL, 0, &ms, &err));
  EXPECT(FILEDB_ERR_TOO_LARGE, filedb_ttl(db, long_key, 65537, &ms, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_expire(NULL, "k", 1, 1, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_expire(db, NULL, 0, 1, &err));
  EXPECT(FILEDB_ERR_TOO_LARGE, filedb_expire(db, long_key, 65537, 1, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_persist(NULL, "k", 1, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_persist(db, NULL, 0, &err));
  EXPECT(FILEDB_ERR_TOO_LARGE, filedb_persist(db, long_key, 65537, &err));
  CHECK(count_of(db) == 0);
  close_store(db);
  EXPECT(FILEDB_ERR_CLOSED, put_k(db, "v", NULL));
  EXPECT(FILEDB_ERR_CLOSED, filedb_ttl(db, "k", 1, &ms, &err));
  EXPECT(FILEDB_ERR_CLOSED, filedb_expire(db, "k", 1, 1, &err));
  EXPECT(FILEDB_ERR_CLOSED, filedb_persist(db, "k", 1, &err));
}

int main(void) {
  RUN_BOTH(a_condition_decides_whether_a_write_happens);
  RUN_BOTH(a_time_to_live_is_kept_changed_and_taken_away);
  RUN_BOTH(the_longest_time_to_live_is_no_overflow);
  RUN_BOTH(an_expired_value_is_not_copied_however_large);
  RUN_BOTH(an_expired_key_is_gone_and_stays_gone);
  RUN_BOTH(options_that_contradict_each_other_are_refused);
  RUN_BOTH(put_options_of_another_size_are_understood_or_refused);
  RUN_BOTH(arguments_that_are_none_are_refused);
  return finish();
}
