/* What the header promises to a compiler: sizes, offsets, numbers, names, and its own example. */
#define _GNU_SOURCE 1 /* for the harness; the header itself needs nothing before it */
#include "filedb.h"
#include "filedb.h" /* twice is fine */
#include "harness.h"

#include <stddef.h>

static void structs_are_laid_out_as_documented(void) {
  CHECK(sizeof(filedb_status_t) == 4);
  CHECK(offsetof(filedb_error_t, struct_size) == 0);
  CHECK(offsetof(filedb_error_t, code) == 4);
  CHECK(offsetof(filedb_error_t, os_errno) == 8);
  CHECK(offsetof(filedb_error_t, reserved) == 12);
  CHECK(offsetof(filedb_error_t, file_id) == 16);
  CHECK(offsetof(filedb_error_t, offset) == 24);
  CHECK(offsetof(filedb_error_t, message) == 32);
  CHECK(sizeof(filedb_error_t) == 288);
  CHECK(offsetof(filedb_slice_t, data) == 0);
  CHECK(offsetof(filedb_slice_t, len) == sizeof(void *));
  CHECK(sizeof(filedb_slice_t) == 2 * sizeof(void *));
  CHECK(offsetof(filedb_pinned_t, data) == 0);
  CHECK(offsetof(filedb_pinned_t, len) == sizeof(void *));
  CHECK(offsetof(filedb_pinned_t, pin) == 2 * sizeof(void *));
  CHECK(sizeof(filedb_pinned_t) == 3 * sizeof(void *));
  CHECK(offsetof(filedb_put_options_t, struct_size) == 0);
  CHECK(offsetof(filedb_put_options_t, flags) == 4);
  CHECK(offsetof(filedb_put_options_t, ttl_ms) == 8);
  CHECK(sizeof(filedb_put_options_t) == 16);
  CHECK(offsetof(filedb_range_t, struct_size) == 0);
  CHECK(offsetof(filedb_range_t, flags) == 4);
  CHECK(offsetof(filedb_range_t, from) == 8);
  CHECK(offsetof(filedb_range_t, to) == 8 + sizeof(filedb_slice_t));
  CHECK(sizeof(filedb_range_t) == 8 + 2 * sizeof(filedb_slice_t));
  CHECK(offsetof(filedb_stats_t, struct_size) == 0);
  CHECK(offsetof(filedb_stats_t, merging) == 4);
  CHECK(offsetof(filedb_stats_t, keys) == 8);
  CHECK(offsetof(filedb_stats_t, expired_keys) == 96);
  CHECK(offsetof(filedb_stats_t, clock_ahead_ms) == 104);
  CHECK(sizeof(filedb_stats_t) == 112);
  CHECK(sizeof(filedb_change_t) == 64);
}

/* Programs were compiled with these numbers; they never change. */
static void statuses_keep_their_numbers(void) {
  CHECK(FILEDB_OK == 0 && FILEDB_NOT_FOUND == 1 && FILEDB_CONFLICT == 2 && FILEDB_DONE == 3);
  CHECK(FILEDB_GAP == 4 && FILEDB_TIMEOUT == 5);
  CHECK(FILEDB_CHANGE_PUT == 1u && FILEDB_CHANGE_DELETE == 2u && FILEDB_CHANGE_EXPIRY == 7u);
  CHECK(FILEDB_CHANGE_PUSH_BACK == 3u && FILEDB_CHANGE_PUSH_FRONT == 4u);
  CHECK(FILEDB_CHANGE_POP_BACK == 5u && FILEDB_CHANGE_POP_FRONT == 6u);
  CHECK(FILEDB_ERR_INVALID_ARGUMENT == -1 && FILEDB_ERR_IO == -2 && FILEDB_ERR_CORRUPT == -3);
  CHECK(FILEDB_ERR_LOCKED == -4 && FILEDB_ERR_NO_SPACE == -5 && FILEDB_ERR_READ_ONLY == -6);
  CHECK(FILEDB_ERR_TOO_LARGE == -7 && FILEDB_ERR_BUFFER_TOO_SMALL == -8);
  CHECK(FILEDB_ERR_UNSUPPORTED == -9 && FILEDB_ERR_POISONED == -10 && FILEDB_ERR_FORKED == -11);
  CHECK(FILEDB_ERR_PANIC == -12 && FILEDB_ERR_NO_MEMORY == -13 && FILEDB_ERR_EXISTS == -14);
  CHECK(FILEDB_ERR_CLOSED == -15 && FILEDB_ERR_WRONG_TYPE == -16 && FILEDB_ERR_CONNECTION == -17);
  CHECK(FILEDB_ERR_MISSING == -18);
  CHECK(FILEDB_PUT_IF_ABSENT == 1u && FILEDB_PUT_IF_PRESENT == 2u);
  CHECK(FILEDB_PUT_SYNC == 4u && FILEDB_PUT_KEEP_TTL == 8u);
  CHECK(FILEDB_RANGE_REVERSE == 1u && FILEDB_RANGE_FROM_EXCLUDED == 2u && FILEDB_RANGE_TO_INCLUDED == 4u);
  CHECK(FILEDB_LOG_ERROR == 1 && FILEDB_LOG_WARN == 2 && FILEDB_LOG_INFO == 3 && FILEDB_LOG_DEBUG == 4);
}

static void every_status_has_a_sentence_of_its_own(void) {
  const char *unknown = filedb_strerror(12345);
  int a, b;
  CHECK(unknown != NULL && unknown[0] != 0);
  CHECK(strcmp(filedb_strerror(INT32_MIN), unknown) == 0);
  CHECK(strcmp(filedb_strerror(FILEDB_OK), "ok") == 0);
  for (a = FILEDB_ERR_MISSING; a <= FILEDB_TIMEOUT; a++) {
    CHECK(filedb_strerror(a)[0] != 0 && strcmp(filedb_strerror(a), unknown) != 0);
    for (b = FILEDB_ERR_MISSING; b < a; b++) CHECK(strcmp(filedb_strerror(a), filedb_strerror(b)) != 0);
  }
}

static void the_library_is_of_the_version_of_its_header(void) {
  char text[64];
  snprintf(text, sizeof text, "%d.%d.%d", FILEDB_VERSION_MAJOR, FILEDB_VERSION_MINOR,
           FILEDB_VERSION_PATCH);
  CHECK(strcmp(filedb_version_string(), text) == 0);
  CHECK(filedb_version_number() == (uint32_t)((FILEDB_VERSION_MAJOR << 16) |
                                              (FILEDB_VERSION_MINOR << 8) | FILEDB_VERSION_PATCH));
}

/* The example of the opening chapter, word for word but for the path. */
static int example(const char *path) {
  filedb_error_t err = FILEDB_ERROR_INIT;
  filedb_t *db = NULL;
  void *value = NULL;
  size_t len = 0;

  if (filedb_open(path, NULL, &db, &err) != FILEDB_OK) {
    fprintf(stderr, "%s\n", err.message);
    return 1;
  }
  if (filedb_put(db, "hello", 5, "world", 5, &err) == FILEDB_OK &&
      filedb_get(db, "hello", 5, &value, &len, &err) == FILEDB_OK) {
    CHECK(len == 5 && memcmp(value, "world", 5) == 0);
    filedb_free(value);
  }
  return filedb_close(db, &err) == FILEDB_OK ? 0 : 1;
}

static void the_example_of_the_header_works(void) { CHECK(example(in_temp("greetings")) == 0); }

static void options_can_be_listed(void) {
  const char *name, *values, *help;
  filedb_options_t *options = filedb_options_new();
  char text[64];
  size_t i, len;
  NEED(options != NULL);
  for (i = 0;; i++) {
    filedb_status_t status = filedb_options_describe(i, &name, &values, &help);
    if (status == FILEDB_DONE) break;
    NEED(status == FILEDB_OK && i < 1000);
    CHECK(name[0] != 0 && values[0] != 0 && help[0] != 0);
    EXPECT(FILEDB_OK, filedb_options_get(options, name, text, sizeof text, &len, &err));
    /* No text is what stands for no user, no password and no certificate. */
    CHECK(len == strlen(text) && (len > 0 || strstr("user password tls_ca tls_cert tls_key", name) != NULL));
    EXPECT(FILEDB_OK, filedb_options_set(options, name, text, &err));
  }
  CHECK(i >= 12);
  CHECK(name == NULL && values == NULL && help == NULL);
  EXPECT(FILEDB_DONE, filedb_options_describe(SIZE_MAX, &name, &values, &help));
  filedb_options_free(options);
}

static void an_option_that_is_set_is_read_back(void) {
  filedb_options_t *options = filedb_options_new();
  char text[16] = "...............";
  size_t len = 99;
  NEED(options != NULL);
  EXPECT(FILEDB_OK, filedb_options_set(options, "max_file_size", "64MiB", &err));
  EXPECT_ERROR(FILEDB_ERR_BUFFER_TOO_SMALL, "9 bytes",
               filedb_options_get(options, "max_file_size", text, 8, &len, &err));
  CHECK(len == 8 && text[0] == '.' && text[7] == '.');
  len = 99;
  EXPECT(FILEDB_ERR_BUFFER_TOO_SMALL,
         filedb_options_get(options, "max_file_size", NULL, 0, &len, &err));
  CHECK(len == 8);
  EXPECT(FILEDB_OK, filedb_options_get(options, "max_file_size", text, 9, &len, &err));
  CHECK(len == 8 && strcmp(text, "67108864") == 0 && text[9] == '.');
  filedb_options_free(options);
}

int main(void) {
  RUN(structs_are_laid_out_as_documented);
  RUN(statuses_keep_their_numbers);
  RUN(every_status_has_a_sentence_of_its_own);
  RUN(the_library_is_of_the_version_of_its_header);
  RUN(the_example_of_the_header_works);
  RUN(options_can_be_listed);
  RUN(an_option_that_is_set_is_read_back);
  return finish();
}
