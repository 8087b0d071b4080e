/*
 * The suite that every store passes, through the C API: conformance URL [OPTION=VALUE...]
 *
 * The store begins empty. What it cannot do, it refuses with FILEDB_ERR_UNSUPPORTED, and nothing changes.
 */
#include "harness.h"

#define BYTES(text) (text), sizeof(text) - 1

static filedb_t *db;
static uint64_t can;
static unsigned checks;

/* As EXPECT and CHECK, counted. */
#define IS(status, call) (checks++, EXPECT(status, call))
#define SO(condition)                                                                           \
  do {                                                                                          \
    checks++;                                                                                   \
    CHECK(condition);                                                                           \
  } while (0)

/* What only some stores can do. */
static int is_allowed(uint64_t bit, filedb_status_t status, const char *what) {
  checks++;
  if (can & bit) return check_status(status, FILEDB_OK, what, __FILE__, __LINE__);
  check_status(status, FILEDB_ERR_UNSUPPORTED, what, __FILE__, __LINE__);
  CHECK(err.message[0] != 0);
  printf("  refused: %s\n", what);
  return 0;
}

static int element_is(int64_t index, const char *wanted) {
  void *value = NULL;
  size_t len = 0;
  int same;
  if (!IS(FILEDB_OK, filedb_list_get(db, BYTES("list"), index, &value, &len, &err))) return 0;
  same = len == strlen(wanted) && memcmp(value, wanted, len) == 0;
  filedb_free(value);
  return same;
}

static void values_come_back_and_are_gone_when_they_are_deleted(void) {
  char buffer[8];
  size_t len = 0;
  void *value = NULL;
  filedb_pinned_t pinned = {NULL, 0, NULL};
  IS(FILEDB_NOT_FOUND, filedb_get(db, BYTES("key"), &value, &len, &err));
  SO(value == NULL);
  IS(FILEDB_OK, filedb_put(db, BYTES("key"), BYTES("a\0b\r\n"), &err));
  SO(has_bytes(db, BYTES("key"), BYTES("a\0b\r\n")));
  IS(FILEDB_OK, filedb_put(db, BYTES("k\0y"), NULL, 0, &err));
  SO(has_bytes(db, BYTES("k\0y"), "", 0));
  IS(FILEDB_OK, filedb_get_into(db, BYTES("key"), buffer, sizeof buffer, &len, &err));
  SO(len == 5 && memcmp(buffer, "a\0b\r\n", 5) == 0);
  IS(FILEDB_ERR_BUFFER_TOO_SMALL, filedb_get_into(db, BYTES("key"), buffer, 4, &len, &err));
  SO(len == 5);
  IS(FILEDB_OK, filedb_get_pinned(db, BYTES("key"), &pinned, &err));
  IS(FILEDB_OK, filedb_put(db, BYTES("key"), BYTES("other"), &err));
  SO(pinned.len == 5 && memcmp(pinned.data, "a\0b\r\n", 5) == 0);
  filedb_unpin(&pinned);
  IS(FILEDB_OK, filedb_get_pinned(db, BYTES("k\0y"), &pinned, &err));
  SO(pinned.len == 0 && pinned.data != NULL);
  filedb_unpin(&pinned);
  IS(FILEDB_OK, filedb_exists(db, BYTES("key"), &err));
  IS(FILEDB_OK, filedb_delete(db, BYTES("key"), &err));
  IS(FILEDB_NOT_FOUND, filedb_delete(db, BYTES("key"), &err));
  IS(FILEDB_NOT_FOUND, filedb_exists(db, BYTES("key"), &err));
  IS(FILEDB_ERR_INVALID_ARGUMENT, filedb_put(db, NULL, 0, BYTES("value"), &err));
  {
    char *key = calloc(1, 65537);
    NEED(key != NULL);
    IS(FILEDB_ERR_TOO_LARGE, filedb_put(db, key, 65537, BYTES("value"), &err));
    IS(FILEDB_ERR_TOO_LARGE, filedb_get(db, key, 65537, &value, &len, &err));
    IS(FILEDB_OK, filedb_put(db, key, 65536, BYTES("value"), &err));
    IS(FILEDB_OK, filedb_delete(db, key, 65536, &err));
    free(key);
  }
}

static void writes_have_conditions_and_lives(void) {
  filedb_put_options_t options = FILEDB_PUT_OPTIONS_INIT;
  int64_t ms = 0;
  options.flags = FILEDB_PUT_IF_PRESENT;
  IS(FILEDB_CONFLICT, filedb_put_with(db, BYTES("if"), BYTES("1"), &options, &err));
  options.flags = FILEDB_PUT_IF_ABSENT;
  IS(FILEDB_OK, filedb_put_with(db, BYTES("if"), BYTES("1"), &options, &err));
  IS(FILEDB_CONFLICT, filedb_put_with(db, BYTES("if"), BYTES("2"), &options, &err));
  SO(has_text(db, "if", "1"));
  IS(FILEDB_OK, filedb_ttl(db, BYTES("if"), &ms, &err));
  SO(ms == -1);
  IS(FILEDB_OK, filedb_expire(db, BYTES("if"), 1000000, &err));
  options.flags = FILEDB_PUT_KEEP_TTL;
  IS(FILEDB_OK, filedb_put_with(db, BYTES("if"), BYTES("3"), &options, &err));
  IS(FILEDB_OK, filedb_ttl(db, BYTES("if"), &ms, &err));
  SO(ms > 900000 && ms <= 1000000);
  IS(FILEDB_OK, filedb_persist(db, BYTES("if"), &err));
  IS(FILEDB_OK, filedb_ttl(db, BYTES("if"), &ms, &err));
  SO(ms == -1);
  IS(FILEDB_OK, filedb_expire(db, BYTES("if"), 0, &err));
  IS(FILEDB_NOT_FOUND, filedb_ttl(db, BYTES("if"), &ms, &err));
  IS(FILEDB_NOT_FOUND, filedb_expire(db, BYTES("if"), 1000, &err));
  IS(FILEDB_NOT_FOUND, filedb_persist(db, BYTES("if"), &err));
}

static void lists_grow_and_shrink_at_both_ends(void) {
  uint64_t length = 0;
  filedb_type_t type = 0;
  filedb_slice_t *values = NULL;
  size_t count = 0, len = 0;
  void *value = NULL;
  IS(FILEDB_NOT_FOUND, filedb_pop_back(db, BYTES("list"), &value, &len, &err));
  IS(FILEDB_NOT_FOUND, filedb_list_length(db, BYTES("list"), &length, &err));
  IS(FILEDB_NOT_FOUND, filedb_list_range(db, BYTES("list"), 0, -1, &values, &count, &err));
  IS(FILEDB_OK, filedb_push_back(db, BYTES("list"), BYTES("two"), &length, &err));
  IS(FILEDB_OK, filedb_push_back(db, BYTES("list"), BYTES("three"), &length, &err));
  IS(FILEDB_OK, filedb_push_front(db, BYTES("list"), BYTES("one"), &length, &err));
  SO(length == 3);
  SO(element_is(0, "one") && element_is(-1, "three"));
  IS(FILEDB_NOT_FOUND, filedb_list_get(db, BYTES("list"), 3, &value, &len, &err));
  IS(FILEDB_OK, filedb_list_set(db, BYTES("list"), 1, BYTES("2"), &err));
  IS(FILEDB_NOT_FOUND, filedb_list_set(db, BYTES("list"), 3, BYTES("4"), &err));
  SO(element_is(1, "2"));
  IS(FILEDB_OK, filedb_list_range(db, BYTES("list"), 1, 100, &values, &count, &err));
  SO(count == 2 && values[1].len == 5 && memcmp(values[1].data, "three", 5) == 0);
  filedb_free(values);
  IS(FILEDB_OK, filedb_type(db, BYTES("list"), &type, &err));
  SO(type == FILEDB_TYPE_LIST);
  IS(FILEDB_ERR_WRONG_TYPE, filedb_get(db, BYTES("list"), &value, &len, &err));
  IS(FILEDB_ERR_WRONG_TYPE, filedb_get_delete(db, BYTES("list"), &value, &len, &err));
  IS(FILEDB_OK, filedb_put(db, BYTES("value"), BYTES("1"), &err));
  IS(FILEDB_OK, filedb_type(db, BYTES("value"), &type, &err));
  SO(type == FILEDB_TYPE_VALUE);
  IS(FILEDB_NOT_FOUND, filedb_type(db, BYTES("none"), &type, &err));
  IS(FILEDB_ERR_WRONG_TYPE, filedb_push_back(db, BYTES("value"), BYTES("x"), &length, &err));
  IS(FILEDB_ERR_WRONG_TYPE, filedb_pop_front(db, BYTES("value"), &value, &len, &err));
  /* The text in braces keeps both keys on one server of a cluster. */
  IS(FILEDB_OK, filedb_push_back(db, BYTES("{value}list"), BYTES("stays"), NULL, &err));
  IS(FILEDB_ERR_WRONG_TYPE, filedb_list_move(db, BYTES("{value}list"), BYTES("value"), 0, &value, &len, &err));
  IS(FILEDB_OK, filedb_delete(db, BYTES("{value}list"), &err));
  IS(FILEDB_OK, filedb_list_move(db, BYTES("list"), BYTES("list"), FILEDB_MOVE_FROM_BACK | FILEDB_MOVE_TO_FRONT, &value,
                                 &len, &err));
  SO(len == 5 && memcmp(value, "three", 5) == 0 && element_is(0, "three"));
  filedb_free(value);
  IS(FILEDB_OK, filedb_list_move(db, BYTES("list"), BYTES("list"), 0, &value, &len, &err));
  SO(element_is(0, "one") && element_is(-1, "three"));
  filedb_free(value);
  IS(FILEDB_OK, filedb_pop_front(db, BYTES("list"), &value, &len, &err));
  SO(len == 3 && memcmp(value, "one", 3) == 0);
  filedb_free(value);
  IS(FILEDB_OK, filedb_pop_back(db, BYTES("list"), &value, &len, &err));
  filedb_free(value);
  IS(FILEDB_OK, filedb_pop_back(db, BYTES("list"), &value, &len, &err));
  filedb_free(value);
  IS(FILEDB_NOT_FOUND, filedb_type(db, BYTES("list"), &type, &err));
  IS(FILEDB_OK, filedb_delete(db, BYTES("value"), &err));
}

static void a_value_is_read_and_written_in_one_step(void) {
  filedb_slice_t one = {"1", 1}, two = {"2", 1};
  void *value = NULL;
  size_t len = 0;
  int64_t number = 0;
  IS(FILEDB_CONFLICT, filedb_compare_and_swap(db, BYTES("step"), &one, &two, &err));
  IS(FILEDB_OK, filedb_compare_and_swap(db, BYTES("step"), NULL, &one, &err));
  IS(FILEDB_CONFLICT, filedb_compare_and_swap(db, BYTES("step"), NULL, &two, &err));
  IS(FILEDB_OK, filedb_compare_and_swap(db, BYTES("step"), &one, &two, &err));
  IS(FILEDB_OK, filedb_increment(db, BYTES("step"), 40, &number, &err));
  SO(number == 42);
  IS(FILEDB_OK, filedb_get_delete(db, BYTES("step"), &value, &len, &err));
  SO(len == 2 && memcmp(value, "42", 2) == 0);
  filedb_free(value);
  IS(FILEDB_NOT_FOUND, filedb_get_delete(db, BYTES("step"), &value, &len, &err));
  IS(FILEDB_OK, filedb_put(db, BYTES("step"), BYTES("x"), &err));
  IS(FILEDB_ERR_INVALID_ARGUMENT, filedb_increment(db, BYTES("step"), 1, &number, &err));
  IS(FILEDB_OK, filedb_compare_and_swap(db, BYTES("step"), &(filedb_slice_t){"x", 1}, NULL, &err));
  IS(FILEDB_NOT_FOUND, filedb_exists(db, BYTES("step"), &err));
}

static int count_row(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len) {
  (void)key;
  (void)key_len;
  (void)value;
  (void)value_len;
  ++*(unsigned *)ctx;
  return 0;
}

static void walks_see_every_key(void) {
  filedb_iter_t *iter = NULL;
  filedb_slice_t key, value, *keys = NULL;
  filedb_slice_t asked[3];
  filedb_pinned_t values[3];
  filedb_status_t statuses[3];
  char names[300][16];
  size_t count = 0;
  unsigned n, rows = 0;
  for (n = 0; n < 300; n++) {
    snprintf(names[n], sizeof names[n], "walk/%03u", n);
    IS(FILEDB_OK, filedb_put(db, names[n], strlen(names[n]), names[n], strlen(names[n]), &err));
  }
  IS(FILEDB_OK, filedb_iter_new(db, BYTES("walk/"), &iter, &err));
  while (filedb_iter_next(iter, &key, &value, &err) == FILEDB_OK) {
    SO(key.len == 8 && value.len == 8 && memcmp(key.data, value.data, 8) == 0);
    rows++;
  }
  SO(rows == 300);
  IS(FILEDB_DONE, filedb_iter_next(iter, &key, &value, &err));
  filedb_iter_free(iter);
  IS(FILEDB_OK, filedb_list_sorted(db, BYTES("walk/"), &keys, &count, &err));
  SO(count == 300);
  for (n = 0; n < count; n++) SO(keys[n].len == 8 && memcmp(keys[n].data, names[n], 8) == 0);
  filedb_free(keys);
  SO(count_of(db) >= 300);
  rows = 0;
  IS(FILEDB_OK, filedb_fold(db, count_row, &rows, &err));
  SO(rows == count_of(db));
  asked[0].data = "walk/007", asked[0].len = 8;
  asked[1].data = "none", asked[1].len = 4;
  asked[2].data = "walk/299", asked[2].len = 8;
  IS(FILEDB_OK, filedb_get_many(db, asked, 3, values, statuses, &err));
  SO(statuses[0] == FILEDB_OK && statuses[1] == FILEDB_NOT_FOUND && statuses[2] == FILEDB_OK);
  SO(values[2].len == 8 && memcmp(values[2].data, "walk/299", 8) == 0);
  filedb_unpin(&values[0]);
  filedb_unpin(&values[2]);
}

static void a_batch_is_all_or_nothing(void) {
  filedb_batch_t *batch = filedb_batch_new();
  uint64_t length = 0;
  NEED(batch != NULL);
  IS(FILEDB_OK, filedb_put(db, BYTES("{b}value"), BYTES("1"), &err));
  IS(FILEDB_OK, filedb_batch_put(batch, BYTES("{b}1"), BYTES("1"), &err));
  IS(FILEDB_OK, filedb_batch_push_back(batch, BYTES("{b}list"), BYTES("1"), &err));
  IS(FILEDB_OK, filedb_batch_push_front(batch, BYTES("{b}list"), BYTES("0"), &err));
  IS(FILEDB_OK, filedb_batch_delete(batch, BYTES("{b}value"), &err));
  IS(FILEDB_OK, filedb_write(db, batch, &err));
  SO(has_text(db, "{b}1", "1"));
  IS(FILEDB_OK, filedb_list_length(db, BYTES("{b}list"), &length, &err));
  SO(length == 2);
  IS(FILEDB_NOT_FOUND, filedb_exists(db, BYTES("{b}value"), &err));
  filedb_batch_clear(batch);
  IS(FILEDB_OK, filedb_batch_put(batch, BYTES("{b}2"), BYTES("2"), &err));
  IS(FILEDB_OK, filedb_batch_push_back(batch, BYTES("{b}1"), BYTES("x"), &err));
  IS(FILEDB_ERR_WRONG_TYPE, filedb_write(db, batch, &err));
  IS(FILEDB_NOT_FOUND, filedb_exists(db, BYTES("{b}2"), &err));
  filedb_batch_clear(batch);
  IS(FILEDB_OK, filedb_batch_put(batch, BYTES("apart 1"), BYTES("1"), &err));
  IS(FILEDB_OK, filedb_batch_put(batch, BYTES("apart 2"), BYTES("2"), &err));
  if (is_allowed(FILEDB_CAN_BATCH, filedb_write(db, batch, &err), "a batch of any keys")) {
    SO(has_text(db, "apart 2", "2"));
  } else {
    IS(FILEDB_NOT_FOUND, filedb_exists(db, BYTES("apart 1"), &err));
  }
  filedb_batch_free(batch);
}

static void what_a_store_cannot_do_it_refuses(void) {
  filedb_put_options_t options = FILEDB_PUT_OPTIONS_INIT;
  uint64_t before = count_of(db);
  is_allowed(FILEDB_CAN_SYNC, filedb_sync(db, &err), "sync");
  options.flags = FILEDB_PUT_SYNC;
  if (is_allowed(FILEDB_CAN_SYNC, filedb_put_with(db, BYTES("synced"), BYTES("1"), &options, &err), "a synced put")) {
    IS(FILEDB_OK, filedb_delete(db, BYTES("synced"), &err));
  }
  is_allowed(FILEDB_CAN_MERGE, filedb_merge(db, &err), "merge");
  SO(count_of(db) == before);
}

static void in_a_child(void *argument) {
  void *value = NULL;
  size_t len = 0;
  uint64_t count = 0;
  (void)argument;
  EXPECT(FILEDB_ERR_FORKED, filedb_put(db, BYTES("fork"), BYTES("child"), &err));
  EXPECT(FILEDB_ERR_FORKED, filedb_get(db, BYTES("fork"), &value, &len, &err));
  EXPECT(FILEDB_ERR_FORKED, filedb_count(db, &count, &err));
  EXPECT(FILEDB_ERR_FORKED, filedb_close(db, &err));
}

static void a_forked_child_is_told_so_and_the_parent_goes_on(void) {
  IS(FILEDB_OK, filedb_put(db, BYTES("fork"), BYTES("parent"), &err));
  in_child(in_a_child, NULL);
  SO(has_text(db, "fork", "parent"));
}

int main(int count, char **arguments) {
  filedb_options_t *options = filedb_options_new();
  int n;
  if (count < 2 || options == NULL) return 2;
  for (n = 2; n < count; n++) {
    char *value = strchr(arguments[n], '=');
    if (value == NULL) return 2;
    *value++ = 0;
    if (!EXPECT(FILEDB_OK, filedb_options_set(options, arguments[n], value, &err))) return 2;
  }
  if (!EXPECT(FILEDB_OK, filedb_open(arguments[1], options, &db, &err))) return 1;
  filedb_options_free(options);
  if (!EXPECT(FILEDB_OK, filedb_capabilities(db, &can, &err))) return 1;
  RUN(values_come_back_and_are_gone_when_they_are_deleted);
  RUN(writes_have_conditions_and_lives);
  RUN(lists_grow_and_shrink_at_both_ends);
  RUN(a_value_is_read_and_written_in_one_step);
  RUN(walks_see_every_key);
  RUN(a_batch_is_all_or_nothing);
  RUN(what_a_store_cannot_do_it_refuses);
  RUN(a_forked_child_is_told_so_and_the_parent_goes_on);
  EXPECT(FILEDB_OK, filedb_close(db, &err));
  printf("%u checks\n", checks);
  return finish();
}
