/*
 * Arguments that break the contract of a function are answered with a status and a sentence, never with a crash; the
 * outputs are zeroes afterwards, and the store is as before.
 */
#include "harness.h"

static char buffer[8];
static void *value;
static size_t len, count;
static uint64_t number;
static filedb_pinned_t pinned;
static filedb_slice_t *keys;
static filedb_slice_t one_key = {"k", 1};
static filedb_status_t status;

/* Fills every output with what a failing call has to wipe out. */
static void soil(void) {
  value = buffer;
  len = count = 99;
  number = 99;
  keys = &one_key;
  pinned.data = buffer;
  pinned.len = 99;
  pinned.pin = NULL;
  status = 99;
  memset(buffer, '.', sizeof buffer);
}

#define REFUSED(part, call)                                   \
  do {                                                        \
    soil();                                                   \
    EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, (part), (call)); \
  } while (0)

static void a_null_store_is_refused_by_every_verb(void) {
  REFUSED("NULL", filedb_close(NULL, &err));
  REFUSED("NULL", filedb_put(NULL, "k", 1, "v", 1, &err));
  REFUSED("NULL", filedb_delete(NULL, "k", 1, &err));
  REFUSED("NULL", filedb_exists(NULL, "k", 1, &err));
  REFUSED("NULL", filedb_sync(NULL, &err));
  REFUSED("NULL", filedb_get(NULL, "k", 1, &value, &len, &err));
  CHECK(value == NULL && len == 0);
  REFUSED("NULL", filedb_get_into(NULL, "k", 1, buffer, 8, &len, &err));
  CHECK(len == 0 && buffer[0] == '.');
  REFUSED("NULL", filedb_get_pinned(NULL, "k", 1, &pinned, &err));
  CHECK(pinned.data == NULL && pinned.len == 0);
  REFUSED("NULL", filedb_get_many(NULL, &one_key, 1, &pinned, &status, &err));
  CHECK(pinned.data == NULL && status == FILEDB_ERR_INVALID_ARGUMENT);
  REFUSED("NULL", filedb_list(NULL, NULL, 0, &keys, &count, &err));
  CHECK(keys == NULL && count == 0);
  REFUSED("NULL", filedb_count(NULL, &number, &err));
  CHECK(number == 0);
}

static void a_null_output_is_refused_and_the_others_are_zeroed(void) {
  filedb_t *db = open_store(in_temp("store"));
  const char *text = "x", *more = "y";
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  REFUSED("'value'", filedb_get(db, "k", 1, NULL, &len, &err));
  CHECK(len == 0);
  REFUSED("'value_len'", filedb_get(db, "k", 1, &value, NULL, &err));
  CHECK(value == NULL);
  REFUSED("'value_len'", filedb_get_into(db, "k", 1, buffer, 8, NULL, &err));
  CHECK(buffer[0] == '.');
  REFUSED("'out'", filedb_get_pinned(db, "k", 1, NULL, &err));
  REFUSED("'values'", filedb_get_many(db, &one_key, 1, NULL, &status, &err));
  CHECK(status == FILEDB_ERR_INVALID_ARGUMENT);
  REFUSED("'statuses'", filedb_get_many(db, &one_key, 1, &pinned, NULL, &err));
  CHECK(pinned.data == NULL);
  REFUSED("'keys'", filedb_get_many(db, NULL, 1, &pinned, &status, &err));
  CHECK(pinned.data == NULL && status == FILEDB_ERR_INVALID_ARGUMENT);
  REFUSED("'keys'", filedb_list(db, NULL, 0, NULL, &count, &err));
  CHECK(count == 0);
  REFUSED("'count'", filedb_list(db, NULL, 0, &keys, NULL, &err));
  CHECK(keys == NULL);
  REFUSED("'out'", filedb_count(db, NULL, &err));
  REFUSED("'out'", filedb_open(in_temp("other"), NULL, NULL, &err));
  CHECK(access(in_temp("other"), F_OK) != 0);
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_options_describe(0, NULL, &text, &more));
  CHECK(text == NULL && more == NULL);
  CHECK(has_text(db, "k", "v") && count_of(db) == 1);
  close_store(db);
}

static void null_with_a_length_is_refused_for_every_input(void) {
  filedb_t *db = open_store(in_temp("store"));
  filedb_slice_t bad = {NULL, 7};
  NEED(db != NULL);
  REFUSED("key is NULL", filedb_put(db, NULL, 7, "v", 1, &err));
  REFUSED("value is NULL", filedb_put(db, "k", 1, NULL, 7, &err));
  CHECK(strstr(err.message, "7") != NULL);
  REFUSED("key is NULL", filedb_delete(db, NULL, 7, &err));
  REFUSED("key is NULL", filedb_exists(db, NULL, 7, &err));
  REFUSED("key is NULL", filedb_get(db, NULL, 7, &value, &len, &err));
  CHECK(value == NULL && len == 0);
  REFUSED("key is NULL", filedb_get_into(db, NULL, 7, buffer, 8, &len, &err));
  REFUSED("buffer is NULL", filedb_get_into(db, "k", 1, NULL, 7, &len, &err));
  CHECK(len == 0);
  REFUSED("key is NULL", filedb_get_pinned(db, NULL, 7, &pinned, &err));
  REFUSED("key is NULL", filedb_get_many(db, &bad, 1, &pinned, &status, &err));
  CHECK(pinned.data == NULL && status == FILEDB_ERR_INVALID_ARGUMENT);
  REFUSED("prefix is NULL", filedb_list(db, NULL, 7, &keys, &count, &err));
  CHECK(keys == NULL && count == 0);
  CHECK(count_of(db) == 0);
  close_store(db);
}

static void an_empty_key_is_refused_by_every_verb(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  REFUSED("key is empty", filedb_put(db, NULL, 0, "v", 1, &err));
  REFUSED("key is empty", filedb_put(db, "k", 0, "v", 1, &err));
  REFUSED("key is empty", filedb_delete(db, NULL, 0, &err));
  REFUSED("key is empty", filedb_exists(db, "k", 0, &err));
  REFUSED("key is empty", filedb_get(db, NULL, 0, &value, &len, &err));
  REFUSED("key is empty", filedb_get_into(db, NULL, 0, buffer, 8, &len, &err));
  REFUSED("key is empty", filedb_get_pinned(db, NULL, 0, &pinned, &err));
  CHECK(count_of(db) == 0);
  close_store(db);
}

static void options_that_do_not_exist_or_fit_are_named(void) {
  filedb_options_t *options = filedb_options_new();
  char text[32];
  NEED(options != NULL);
  REFUSED("'snyc'", filedb_options_set(options, "snyc", "always", &err));
  CHECK(strstr(err.message, "did you mean sync?") != NULL);
  REFUSED("'sometimes'", filedb_options_set(options, "sync", "sometimes", &err));
  CHECK(strstr(err.message, "always") != NULL); /* and what it takes */
  REFUSED("'64 parsecs'", filedb_options_set(options, "max_file_size", "64 parsecs", &err));
  REFUSED("'-1'", filedb_options_set(options, "sync_interval_ms", "-1", &err));
  REFUSED("'\xef\xbf\xbd'", filedb_options_set(options, "\xff", "x", &err)); /* not UTF-8 */
  REFUSED("''", filedb_options_set(options, "", "x", &err));
  REFUSED("'name' is NULL", filedb_options_set(options, NULL, "x", &err));
  REFUSED("'value' is NULL", filedb_options_set(options, "sync", NULL, &err));
  REFUSED("NULL", filedb_options_set(NULL, "sync", "always", &err));
  REFUSED("'snyc'", filedb_options_get(options, "snyc", text, sizeof text, &len, &err));
  CHECK(len == 0);
  REFUSED("NULL", filedb_options_get(options, NULL, text, sizeof text, &len, &err));
  REFUSED("NULL", filedb_options_get(options, "sync", NULL, 7, &len, &err));
  REFUSED("'len'", filedb_options_get(options, "sync", text, sizeof text, NULL, &err));
  REFUSED("NULL", filedb_options_get(NULL, "sync", text, sizeof text, &len, &err));
  EXPECT(FILEDB_OK, filedb_options_get(options, "sync", text, sizeof text, &len, &err));
  CHECK(strcmp(text, "interval") == 0); /* nothing changed */
  filedb_options_free(options);
}

static void what_is_no_path_is_refused(void) {
  filedb_t *db = (filedb_t *)(void *)buffer;
  REFUSED("'path' is NULL", filedb_open(NULL, NULL, &db, &err));
  CHECK(db == NULL);
  db = (filedb_t *)(void *)buffer;
  REFUSED("path is empty", filedb_open("", NULL, &db, &err));
  CHECK(db == NULL);
}

static void freeing_nothing_does_nothing(void) {
  filedb_pinned_t nothing = {NULL, 0, NULL};
  filedb_free(NULL);
  filedb_options_free(NULL);
  filedb_unpin(NULL);
  filedb_unpin(&nothing);
  CHECK(nothing.pin == NULL);
}

/* ---- The error struct ---------------------------------------------------------------------- */

/* 200 two-byte characters: wherever a message that shows it is cut, a character is in the way. */
static const char *long_name(void) {
  static char name[401];
  int i;
  for (i = 0; i < 200; i++) memcpy(name + 2 * i, "\xc3\xa4", 2);
  return name;
}

static int is_utf8_of_one_and_two_bytes(const char *text) {
  while (*text != 0) {
    if ((unsigned char)*text == 0xc3) {
      if ((unsigned char)*++text != 0xa4) return 0;
    } else if ((unsigned char)*text >= 0x80) {
      return 0;
    }
    text++;
  }
  return 1;
}

static void an_error_struct_of_any_size_is_written_within_its_bounds(void) {
  filedb_options_t *options = filedb_options_new();
  union {
    filedb_error_t error;
    unsigned char bytes[sizeof(filedb_error_t) + 64];
  } memory;
  uint32_t size;
  NEED(options != NULL);
  for (size = 1; size <= sizeof memory; size++) {
    const char *message = memory.error.message;
    size_t i, end;
    memset(&memory, 0xee, sizeof memory);
    memory.error.struct_size = size;
    EXPECT(FILEDB_ERR_INVALID_ARGUMENT,
           filedb_options_set(options, long_name(), "x", &memory.error));
    CHECK(memory.error.struct_size == size);
    end = size < sizeof(filedb_error_t) ? size : sizeof(filedb_error_t);
    for (i = end < 4 ? 4 : end; i < sizeof memory; i++) NEED(memory.bytes[i] == 0xee);
    CHECK((memory.error.code == FILEDB_ERR_INVALID_ARGUMENT) == (size >= 8));
    CHECK((memory.error.os_errno == 0) == (size >= 12));
    CHECK((memory.error.reserved == 0) == (size >= 16));
    CHECK((memory.error.file_id == 0) == (size >= 24));
    CHECK((memory.error.offset == 0) == (size >= 32));
    if (size > 32) {
      size_t room = end - 32;
      NEED(memchr(message, 0, room) != NULL);
      CHECK(strlen(message) + 2 >= room); /* as much as fits */
      CHECK(is_utf8_of_one_and_two_bytes(message));
    }
  }
  filedb_options_free(options);
}

/* `= {0}` is how C programs begin structs. A size of 0 is the one that the struct had in version 0.1.0. */
static void a_struct_that_begins_with_zeroes_works(void) {
  filedb_error_t zeroes = {0};
  filedb_put_options_t more = {0};
  filedb_stats_t stats = {0};
  union {
    filedb_error_t error;
    unsigned char bytes[288 + 64];
  } memory;
  filedb_t *db = open_store(in_temp("store"));
  size_t i;
  NEED(db != NULL);
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_put(db, "", 0, "v", 1, &zeroes));
  CHECK(zeroes.code == FILEDB_ERR_INVALID_ARGUMENT && strstr(zeroes.message, "empty") != NULL);
  EXPECT(FILEDB_OK, filedb_put_with(db, "k", 1, "v", 1, &more, &zeroes));
  CHECK(zeroes.struct_size == 0 && zeroes.code == FILEDB_OK && zeroes.message[0] == 0);
  more.ttl_ms = 1000000;
  EXPECT(FILEDB_OK, filedb_put_with(db, "l", 1, "v", 1, &more, &zeroes));
  more.flags = FILEDB_PUT_IF_ABSENT;
  EXPECT(FILEDB_CONFLICT, filedb_put_with(db, "k", 1, "v", 1, &more, &zeroes));
  CHECK(zeroes.code == FILEDB_CONFLICT && strcmp(zeroes.message, filedb_strerror(FILEDB_CONFLICT)) == 0);
  EXPECT(FILEDB_OK, filedb_stats(db, &stats, &zeroes));
  CHECK(stats.struct_size == 0 && stats.keys == 2 && stats.appended_bytes > 0);
  memset(&memory, 0xee, sizeof memory);
  memory.error.struct_size = 0;
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_put(db, "", 0, "v", 1, &memory.error));
  for (i = 288; i < sizeof memory; i++) NEED(memory.bytes[i] == 0xee);
  close_store(db);
}

/* The struct of every size after a call that found nothing, and after one that succeeded. */
static void an_outcome_is_written_within_the_bounds_of_its_struct(void) {
  filedb_t *db = open_store(in_temp("store"));
  union {
    filedb_error_t error;
    unsigned char bytes[sizeof(filedb_error_t) + 64];
  } memory;
  uint32_t size;
  int found;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "there", "1"));
  for (size = 1; size <= sizeof memory; size++) {
    for (found = 0; found < 2; found++) {
      filedb_status_t outcome = found ? FILEDB_OK : FILEDB_NOT_FOUND;
      const char *sentence = found ? "" : filedb_strerror(FILEDB_NOT_FOUND);
      size_t i, end = size < sizeof(filedb_error_t) ? size : sizeof(filedb_error_t);
      memset(&memory, 0xee, sizeof memory);
      memory.error.struct_size = size;
      EXPECT(outcome, filedb_exists(db, found ? "there" : "where", 5, &memory.error));
      CHECK(memory.error.struct_size == size);
      for (i = end < 4 ? 4 : end; i < sizeof memory; i++) NEED(memory.bytes[i] == 0xee);
      CHECK((memory.error.code == outcome) == (size >= 8));
      CHECK((memory.error.os_errno == 0) == (size >= 12));
      CHECK((memory.error.reserved == 0) == (size >= 16));
      CHECK((memory.error.file_id == 0) == (size >= 24));
      CHECK((memory.error.offset == 0) == (size >= 32));
      if (size > 32) {
        size_t room = end - 32 - 1, len = strlen(sentence);
        NEED(memchr(memory.error.message, 0, room + 1) != NULL);
        CHECK(strlen(memory.error.message) == (len < room ? len : room));
        CHECK(strncmp(memory.error.message, sentence, room) == 0);
      }
    }
  }
  EXPECT(FILEDB_OK, filedb_close(db, NULL));
}

static void an_error_struct_never_changes_what_a_call_does(void) {
  filedb_t *db = open_store(in_temp("store"));
  filedb_error_t small; /* too small for anything */
  NEED(db != NULL);
  memset(&small, 0, sizeof small);
  small.struct_size = 1;
  EXPECT(FILEDB_OK, filedb_put(db, "a", 1, "1", 1, NULL));
  EXPECT(FILEDB_OK, filedb_put(db, "b", 1, "2", 1, &small));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_put(db, "", 0, "2", 1, NULL));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_put(db, "", 0, "2", 1, &small));
  EXPECT(FILEDB_NOT_FOUND, filedb_delete(db, "c", 1, NULL));
  CHECK(small.code == 0 && small.message[0] == 0);
  CHECK(has_text(db, "a", "1") && has_text(db, "b", "2") && count_of(db) == 2);
  EXPECT(FILEDB_OK, filedb_close(db, NULL));
}

static void an_error_struct_tells_about_the_last_call_only(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "empty", filedb_put(db, "", 0, "v", 1, &err));
  EXPECT(FILEDB_OK, filedb_put(db, "k", 1, "v", 1, &err));
  CHECK(err.code == FILEDB_OK && err.message[0] == 0);
  EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "l", 1, &err));
  CHECK(err.code == FILEDB_NOT_FOUND);
  CHECK(strcmp(err.message, filedb_strerror(FILEDB_NOT_FOUND)) == 0);
  close_store(db);
}

int main(void) {
  RUN(a_null_store_is_refused_by_every_verb);
  RUN_BOTH(a_null_output_is_refused_and_the_others_are_zeroed);
  RUN_BOTH(null_with_a_length_is_refused_for_every_input);
  RUN_BOTH(an_empty_key_is_refused_by_every_verb);
  RUN(options_that_do_not_exist_or_fit_are_named);
  RUN(what_is_no_path_is_refused);
  RUN(freeing_nothing_does_nothing);
  RUN(an_error_struct_of_any_size_is_written_within_its_bounds);
  RUN(a_struct_that_begins_with_zeroes_works);
  RUN(an_outcome_is_written_within_the_bounds_of_its_struct);
  RUN(an_error_struct_never_changes_what_a_call_does);
  RUN(an_error_struct_tells_about_the_last_call_only);
  return finish();
}
