/*
 * What stands between cgo and filedb.h: functions that take and return plain values.
 *
 * A Go variable whose address is given to C is moved to the heap, and checked, on every call. So answers come back by
 * value here, and an error, which is rare, as a copy on C's heap that Go frees. Bytes are `char *` here, for cgo checks what
 * is behind a `void *`, and allocates to do so. shim_x() calls filedb_x().
 */
#ifndef FILEDB_GO_SHIM_H
#define FILEDB_GO_SHIM_H

#include <filedb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  filedb_status_t status;
  filedb_error_t *error; /* with a negative status; NULL where there was no memory for it */
} shim_answer;

typedef struct {
  shim_answer answer;
  void *data;
  uint64_t number; /* a length, a count, a time */
} shim_value;

typedef struct {
  shim_answer answer;
  filedb_pinned_t pinned;
} shim_pin;

static inline filedb_error_t shim_no_error(void) {
  filedb_error_t err; /* not FILEDB_ERROR_INIT, which zeroes the message for each call */
  err.struct_size = sizeof err;
  return err;
}

static inline shim_answer shim_done(filedb_status_t status, const filedb_error_t *err) {
  shim_answer answer = {status, NULL};
  if (status < 0 && (answer.error = malloc(sizeof *err)) != NULL) *answer.error = *err;
  return answer;
}

/* ---- Options ---- */

static inline shim_answer shim_options_set(filedb_options_t *options, const char *name, const char *value) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_options_set(options, name, value, &err);
  return shim_done(status, &err);
}

extern void filedbGoLog(uintptr_t log, int32_t level, void *message, size_t len);

static void shim_log(void *log, int32_t level, const char *message, size_t len) {
  filedbGoLog((uintptr_t)log, level, (void *)message, len);
}

static inline shim_answer shim_options_set_log(filedb_options_t *options, uintptr_t log) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_options_set_log(options, shim_log, (void *)log, &err);
  return shim_done(status, &err);
}

static inline shim_value shim_options_get(const filedb_options_t *options, const char *name, char *buffer, size_t capacity) {
  filedb_error_t err = shim_no_error();
  size_t len = 0;
  filedb_status_t status = filedb_options_get(options, name, buffer, capacity, &len, &err);
  return (shim_value){shim_done(status, &err), NULL, len};
}

typedef struct {
  filedb_status_t status;
  const char *name, *values, *help;
} shim_option;

static inline shim_option shim_options_describe(size_t i) {
  shim_option option = {0, NULL, NULL, NULL};
  option.status = filedb_options_describe(i, &option.name, &option.values, &option.help);
  return option;
}

/* ---- A store ---- */

static inline shim_value shim_open(const char *path, const filedb_options_t *options) {
  filedb_error_t err = shim_no_error();
  filedb_t *db = NULL;
  filedb_status_t status = filedb_open(path, options, &db, &err);
  return (shim_value){shim_done(status, &err), db, 0};
}

static inline shim_answer shim_close(filedb_t *db) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_close(db, &err);
  return shim_done(status, &err);
}

static inline shim_answer shim_put(filedb_t *db, const char *key, size_t key_len, const char *value, size_t value_len) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_put(db, key, key_len, value, value_len, &err);
  return shim_done(status, &err);
}

static inline shim_answer shim_put_with(filedb_t *db, const char *key, size_t key_len, const char *value, size_t value_len,
                                        uint32_t flags, uint64_t ttl_ms) {
  filedb_error_t err = shim_no_error();
  filedb_put_options_t more = FILEDB_PUT_OPTIONS_INIT;
  more.flags = flags;
  more.ttl_ms = ttl_ms;
  filedb_status_t status = filedb_put_with(db, key, key_len, value, value_len, &more, &err);
  return shim_done(status, &err);
}

static inline shim_answer shim_delete(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_delete(db, key, key_len, &err);
  return shim_done(status, &err);
}

static inline shim_value shim_get(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  void *value = NULL;
  size_t len = 0;
  filedb_status_t status = filedb_get(db, key, key_len, &value, &len, &err);
  return (shim_value){shim_done(status, &err), value, len};
}

/* FILEDB_ERR_BUFFER_TOO_SMALL comes without its error: it is an answer, not a failure. */
static inline shim_value shim_get_into(filedb_t *db, const char *key, size_t key_len, char *buffer, size_t capacity) {
  filedb_error_t err = shim_no_error();
  size_t len = 0;
  filedb_status_t status = filedb_get_into(db, key, key_len, buffer, capacity, &len, &err);
  if (status == FILEDB_ERR_BUFFER_TOO_SMALL) return (shim_value){{status, NULL}, NULL, len};
  return (shim_value){shim_done(status, &err), NULL, len};
}

static inline shim_pin shim_get_pinned(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  filedb_pinned_t pinned = {NULL, 0, NULL};
  filedb_status_t status = filedb_get_pinned(db, key, key_len, &pinned, &err);
  return (shim_pin){shim_done(status, &err), pinned};
}

static inline void shim_unpin(filedb_pinned_t pinned) { filedb_unpin(&pinned); }

/* The answers of one filedb_get_many, in one block. */
typedef struct {
  filedb_pinned_t *values;
  filedb_status_t *statuses;
  size_t count;
} shim_many;

typedef struct {
  shim_answer answer;
  shim_many *many;
} shim_many_answer;

/* The keys lie one after the other in `keys`; Go must not hand out an array of pointers to its memory. */
static inline shim_many_answer shim_get_many(filedb_t *db, const char *keys, const size_t *lengths, size_t count) {
  filedb_error_t err = shim_no_error();
  size_t each = sizeof(filedb_pinned_t) + sizeof(filedb_slice_t) + sizeof(filedb_status_t);
  shim_many *many = malloc(sizeof *many + count * each);
  if (many == NULL) return (shim_many_answer){{FILEDB_ERR_NO_MEMORY, NULL}, NULL};
  filedb_slice_t *slices = (filedb_slice_t *)(many + 1);
  many->values = (filedb_pinned_t *)(slices + count);
  many->statuses = (filedb_status_t *)(many->values + count);
  many->count = count;
  for (size_t i = 0; i < count; i++) {
    slices[i] = (filedb_slice_t){keys, lengths[i]};
    keys += lengths[i];
  }
  filedb_status_t status = filedb_get_many(db, slices, count, many->values, many->statuses, &err);
  return (shim_many_answer){shim_done(status, &err), many};
}

static inline void shim_many_free(shim_many *many) {
  for (size_t i = 0; i < many->count; i++) filedb_unpin(&many->values[i]);
  free(many);
}

static inline shim_answer shim_exists(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_exists(db, key, key_len, &err);
  return shim_done(status, &err);
}

static inline shim_value shim_list(filedb_t *db, const char *prefix, size_t prefix_len) {
  filedb_error_t err = shim_no_error();
  filedb_slice_t *keys = NULL;
  size_t count = 0;
  filedb_status_t status = filedb_list(db, prefix, prefix_len, &keys, &count, &err);
  return (shim_value){shim_done(status, &err), keys, count};
}

static inline shim_value shim_list_sorted(filedb_t *db, const char *prefix, size_t prefix_len) {
  filedb_error_t err = shim_no_error();
  filedb_slice_t *keys = NULL;
  size_t count = 0;
  filedb_status_t status = filedb_list_sorted(db, prefix, prefix_len, &keys, &count, &err);
  return (shim_value){shim_done(status, &err), keys, count};
}

static inline shim_value shim_count(filedb_t *db) {
  filedb_error_t err = shim_no_error();
  uint64_t count = 0;
  filedb_status_t status = filedb_count(db, &count, &err);
  return (shim_value){shim_done(status, &err), NULL, count};
}

typedef struct {
  shim_answer answer;
  filedb_stats_t stats;
} shim_stats_answer;

static inline shim_stats_answer shim_stats(filedb_t *db) {
  filedb_error_t err = shim_no_error();
  filedb_stats_t stats = FILEDB_STATS_INIT;
  filedb_status_t status = filedb_stats(db, &stats, &err);
  return (shim_stats_answer){shim_done(status, &err), stats};
}

static inline shim_answer shim_sync(filedb_t *db) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_sync(db, &err);
  return shim_done(status, &err);
}

static inline shim_answer shim_merge(filedb_t *db) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_merge(db, &err);
  return shim_done(status, &err);
}

static inline shim_value shim_last_seq(filedb_t *db) {
  filedb_error_t err = shim_no_error();
  uint64_t seq = 0;
  filedb_status_t status = filedb_last_seq(db, &seq, &err);
  return (shim_value){shim_done(status, &err), NULL, seq};
}

static inline shim_value shim_changes_new(filedb_t *db, uint64_t after_seq) {
  filedb_error_t err = shim_no_error();
  filedb_changes_t *changes = NULL;
  filedb_status_t status = filedb_changes_new(db, after_seq, &changes, &err);
  return (shim_value){shim_done(status, &err), changes, 0};
}

typedef struct {
  shim_answer answer;
  filedb_change_t change;
} shim_change;

static inline shim_change shim_changes_next(filedb_changes_t *changes, int64_t timeout_ms) {
  filedb_error_t err = shim_no_error();
  filedb_change_t change = FILEDB_CHANGE_INIT;
  filedb_status_t status = filedb_changes_next(changes, timeout_ms, &change, &err);
  return (shim_change){shim_done(status, &err), change};
}

static inline void shim_changes_free(filedb_changes_t *changes) {
  filedb_changes_free(changes);
}

static inline shim_answer shim_backup(filedb_t *db, const char *directory, uint32_t flags) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_backup(db, directory, flags, &err);
  return shim_done(status, &err);
}

static inline shim_value shim_ttl(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  int64_t ms = 0;
  filedb_status_t status = filedb_ttl(db, key, key_len, &ms, &err);
  return (shim_value){shim_done(status, &err), NULL, (uint64_t)ms};
}

static inline shim_answer shim_expire(filedb_t *db, const char *key, size_t key_len, uint64_t ttl_ms) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_expire(db, key, key_len, ttl_ms, &err);
  return shim_done(status, &err);
}

static inline shim_answer shim_persist(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_persist(db, key, key_len, &err);
  return shim_done(status, &err);
}

/* ---- Lists, and changes in one step ---- */

static inline shim_value shim_capabilities(filedb_t *db) {
  filedb_error_t err = shim_no_error();
  uint64_t can = 0;
  filedb_status_t status = filedb_capabilities(db, &can, &err);
  return (shim_value){shim_done(status, &err), NULL, can};
}

static inline shim_value shim_type(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  filedb_type_t type = 0;
  filedb_status_t status = filedb_type(db, key, key_len, &type, &err);
  return (shim_value){shim_done(status, &err), NULL, (uint64_t)type};
}

static inline shim_value shim_push_back(filedb_t *db, const char *key, size_t key_len, const char *value,
                                         size_t value_len) {
  filedb_error_t err = shim_no_error();
  uint64_t length = 0;
  filedb_status_t status = filedb_push_back(db, key, key_len, value, value_len, &length, &err);
  return (shim_value){shim_done(status, &err), NULL, length};
}

static inline shim_value shim_pop_back(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  void *value = NULL;
  size_t len = 0;
  filedb_status_t status = filedb_pop_back(db, key, key_len, &value, &len, &err);
  return (shim_value){shim_done(status, &err), value, len};
}

static inline shim_value shim_push_front(filedb_t *db, const char *key, size_t key_len, const char *value,
                                         size_t value_len) {
  filedb_error_t err = shim_no_error();
  uint64_t length = 0;
  filedb_status_t status = filedb_push_front(db, key, key_len, value, value_len, &length, &err);
  return (shim_value){shim_done(status, &err), NULL, length};
}

static inline shim_value shim_pop_front(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  void *value = NULL;
  size_t len = 0;
  filedb_status_t status = filedb_pop_front(db, key, key_len, &value, &len, &err);
  return (shim_value){shim_done(status, &err), value, len};
}

static inline shim_value shim_list_move(filedb_t *db, const char *from, size_t from_len, const char *to, size_t to_len,
                                        uint32_t flags) {
  filedb_error_t err = shim_no_error();
  void *value = NULL;
  size_t len = 0;
  filedb_status_t status = filedb_list_move(db, from, from_len, to, to_len, flags, &value, &len, &err);
  return (shim_value){shim_done(status, &err), value, len};
}

static inline shim_value shim_list_length(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  uint64_t length = 0;
  filedb_status_t status = filedb_list_length(db, key, key_len, &length, &err);
  return (shim_value){shim_done(status, &err), NULL, length};
}

static inline shim_value shim_list_get(filedb_t *db, const char *key, size_t key_len, int64_t index) {
  filedb_error_t err = shim_no_error();
  void *value = NULL;
  size_t len = 0;
  filedb_status_t status = filedb_list_get(db, key, key_len, index, &value, &len, &err);
  return (shim_value){shim_done(status, &err), value, len};
}

static inline shim_answer shim_list_set(filedb_t *db, const char *key, size_t key_len, int64_t index, const char *value,
                                        size_t value_len) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_list_set(db, key, key_len, index, value, value_len, &err);
  return shim_done(status, &err);
}

static inline shim_value shim_list_range(filedb_t *db, const char *key, size_t key_len, int64_t first, int64_t last) {
  filedb_error_t err = shim_no_error();
  filedb_slice_t *values = NULL;
  size_t count = 0;
  filedb_status_t status = filedb_list_range(db, key, key_len, first, last, &values, &count, &err);
  return (shim_value){shim_done(status, &err), values, count};
}

static inline shim_value shim_get_delete(filedb_t *db, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  void *value = NULL;
  size_t len = 0;
  filedb_status_t status = filedb_get_delete(db, key, key_len, &value, &len, &err);
  return (shim_value){shim_done(status, &err), value, len};
}

static inline shim_answer shim_compare_and_swap(filedb_t *db, const char *key, size_t key_len, int has_expected,
                                                const char *expected, size_t expected_len, int has_desired,
                                                const char *desired, size_t desired_len) {
  filedb_error_t err = shim_no_error();
  filedb_slice_t before = {expected, expected_len}, after = {desired, desired_len};
  filedb_status_t status = filedb_compare_and_swap(db, key, key_len, has_expected ? &before : NULL,
                                                   has_desired ? &after : NULL, &err);
  return shim_done(status, &err);
}

static inline shim_value shim_increment(filedb_t *db, const char *key, size_t key_len, int64_t by) {
  filedb_error_t err = shim_no_error();
  int64_t sum = 0;
  filedb_status_t status = filedb_increment(db, key, key_len, by, &sum, &err);
  return (shim_value){shim_done(status, &err), NULL, (uint64_t)sum};
}

/* ---- A batch ---- */

static inline shim_answer shim_batch_put(filedb_batch_t *batch, const char *key, size_t key_len, const char *value,
                                         size_t value_len) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_batch_put(batch, key, key_len, value, value_len, &err);
  return shim_done(status, &err);
}

static inline shim_answer shim_batch_put_with(filedb_batch_t *batch, const char *key, size_t key_len, const char *value,
                                              size_t value_len, uint32_t flags, uint64_t ttl_ms) {
  filedb_error_t err = shim_no_error();
  filedb_put_options_t more = FILEDB_PUT_OPTIONS_INIT;
  more.flags = flags;
  more.ttl_ms = ttl_ms;
  filedb_status_t status = filedb_batch_put_with(batch, key, key_len, value, value_len, &more, &err);
  return shim_done(status, &err);
}

static inline shim_answer shim_batch_delete(filedb_batch_t *batch, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_batch_delete(batch, key, key_len, &err);
  return shim_done(status, &err);
}

static inline shim_answer shim_batch_push_back(filedb_batch_t *batch, const char *key, size_t key_len, const char *value,
                                               size_t value_len) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_batch_push_back(batch, key, key_len, value, value_len, &err);
  return shim_done(status, &err);
}

static inline shim_answer shim_batch_push_front(filedb_batch_t *batch, const char *key, size_t key_len, const char *value,
                                               size_t value_len) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_batch_push_front(batch, key, key_len, value, value_len, &err);
  return shim_done(status, &err);
}

static inline shim_answer shim_write(filedb_t *db, const filedb_batch_t *batch) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_write(db, batch, &err);
  return shim_done(status, &err);
}

/* ---- A walk ---- */

/* The most rows that one call of the library fetches. */
#define SHIM_ROWS 512

/* An iterator, and the rows that it fetched and that Go did not take yet. */
typedef struct {
  filedb_iter_t *iter;
  size_t next, count, capacity;
  shim_answer answer; /* what comes after these rows */
  filedb_slice_t keys[SHIM_ROWS], values[SHIM_ROWS];
} shim_iter;

static inline shim_value shim_iter_new(filedb_t *db, const char *prefix, size_t prefix_len) {
  filedb_error_t err = shim_no_error();
  shim_iter *walk = malloc(sizeof *walk);
  if (walk == NULL) return (shim_value){{FILEDB_ERR_NO_MEMORY, NULL}, NULL, 0};
  walk->next = walk->count = 0;
  walk->capacity = 1;
  walk->answer = (shim_answer){FILEDB_OK, NULL};
  filedb_status_t status = filedb_iter_new(db, prefix, prefix_len, &walk->iter, &err);
  if (status != FILEDB_OK) {
    free(walk);
    walk = NULL;
  }
  return (shim_value){shim_done(status, &err), walk, 0};
}

static inline void shim_iter_free(shim_iter *walk) {
  filedb_iter_free(walk->iter);
  free(walk->answer.error);
  free(walk);
}

/* Fetches rows where there are none left. Fewer at first, and fewer where they are large: they may all be in memory. */
static inline void shim_iter_next_batch(shim_iter *walk, size_t enough_bytes) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = FILEDB_OK;
  size_t bytes = 0;
  walk->next = 0;
  walk->count = filedb_iter_next_batch(walk->iter, walk->keys, walk->values, walk->capacity, &status, &err);
  walk->answer = shim_done(status, &err);
  for (size_t i = 0; i < walk->count; i++) bytes += walk->keys[i].len + walk->values[i].len;
  if (bytes > enough_bytes && walk->capacity > 1) walk->capacity /= 2;
  else if (bytes < enough_bytes / 2 && walk->capacity < SHIM_ROWS) walk->capacity *= 2;
}

static inline void shim_iter_next(shim_iter *walk) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_iter_next(walk->iter, walk->keys, walk->values, &err);
  walk->next = 0;
  walk->count = status == FILEDB_OK;
  walk->answer = shim_done(status, &err);
}

/* A bound is one where `flags` has its bit, SHIM_FROM or SHIM_TO, which are not the library's. */
enum { SHIM_FROM = 1 << 30, SHIM_TO = 1 << 29 };
static inline filedb_range_t shim_range(const char *from, size_t from_len, const char *to, size_t to_len, uint32_t flags) {
  filedb_range_t range = FILEDB_RANGE_INIT;
  range.flags = flags & ~(uint32_t)(SHIM_FROM | SHIM_TO);
  if (flags & SHIM_FROM) range.from = (filedb_slice_t){from_len ? from : "", from_len};
  if (flags & SHIM_TO) range.to = (filedb_slice_t){to_len ? to : "", to_len};
  return range;
}

static inline shim_value shim_range_new(filedb_t *db, const char *from, size_t from_len, const char *to, size_t to_len,
                                        uint32_t flags) {
  filedb_error_t err = shim_no_error();
  filedb_range_t range = shim_range(from, from_len, to, to_len, flags);
  shim_iter *walk = malloc(sizeof *walk);
  if (walk == NULL) return (shim_value){{FILEDB_ERR_NO_MEMORY, NULL}, NULL, 0};
  walk->next = walk->count = 0;
  walk->capacity = 1;
  walk->answer = (shim_answer){FILEDB_OK, NULL};
  filedb_status_t status = filedb_range_new(db, &range, &walk->iter, &err);
  if (status != FILEDB_OK) {
    free(walk);
    walk = NULL;
  }
  return (shim_value){shim_done(status, &err), walk, 0};
}

static inline shim_answer shim_delete_range(filedb_t *db, const char *from, size_t from_len, const char *to,
                                            size_t to_len, uint32_t flags) {
  filedb_error_t err = shim_no_error();
  filedb_range_t range = shim_range(from, from_len, to, to_len, flags);
  filedb_status_t status = filedb_delete_range(db, &range, &err);
  return shim_done(status, &err);
}

/* Rows that were read ahead are dropped where the walk moves. */
static inline shim_answer shim_iter_seek(shim_iter *walk, const char *key, size_t key_len) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_iter_seek(walk->iter, key, key_len, &err);
  if (status == FILEDB_OK) {
    free(walk->answer.error);
    walk->next = walk->count = 0;
    walk->answer = (shim_answer){FILEDB_OK, NULL};
  }
  return shim_done(status, &err);
}

/* What the key of the row that the library gave last holds. */
static inline shim_value shim_iter_type(shim_iter *walk) {
  filedb_error_t err = shim_no_error();
  filedb_type_t type = 0;
  filedb_status_t status = filedb_iter_type(walk->iter, &type, &err);
  return (shim_value){shim_done(status, &err), NULL, (uint64_t)type};
}

typedef struct {
  shim_answer answer;
  size_t rows;   /* how many were copied */
  size_t needed; /* where none was: the size of the buffer that takes the next one; 0 where there is none */
} shim_rows;

/* Copies rows, key and value one after the other, to Go's `buffer`, and their sizes to `sizes`, a pair for each row. One
 * call for as many rows as there is room for, or with `most` = 1 for one. The answer is for when Go has used these rows. */
static inline shim_rows shim_iter_copy(shim_iter *walk, char *buffer, size_t capacity, size_t *sizes, size_t most) {
  shim_rows rows = {{FILEDB_OK, NULL}, 0, 0};
  size_t used = 0;
  while (rows.rows < most) {
    if (walk->next == walk->count) {
      if (walk->answer.status != FILEDB_OK) {
        rows.answer = walk->answer;
        walk->answer.error = NULL; /* Go's now */
        if (walk->answer.status < 0) walk->answer.status = FILEDB_OK;
        return rows;
      }
      if (most == 1) shim_iter_next(walk);
      else shim_iter_next_batch(walk, capacity);
      if (walk->count == 0) continue;
    }
    filedb_slice_t key = walk->keys[walk->next], value = walk->values[walk->next];
    if (key.len + value.len > capacity - used) {
      if (rows.rows == 0) rows.needed = key.len + value.len;
      return rows;
    }
    memcpy(buffer + used, key.data, key.len);
    if (value.len != 0) memcpy(buffer + used + key.len, value.data, value.len);
    sizes[2 * rows.rows] = key.len;
    sizes[2 * rows.rows + 1] = value.len;
    used += key.len + value.len;
    rows.rows++;
    walk->next++;
  }
  return rows;
}

extern int filedbGoVisit(uintptr_t visit, void *key, size_t key_len, void *value, size_t value_len);

static int shim_visit(void *visit, const void *key, size_t key_len, const void *value, size_t value_len) {
  return filedbGoVisit((uintptr_t)visit, (void *)key, key_len, (void *)value, value_len);
}

static inline shim_answer shim_fold(filedb_t *db, uintptr_t visit) {
  filedb_error_t err = shim_no_error();
  filedb_status_t status = filedb_fold(db, shim_visit, (void *)visit, &err);
  return shim_done(status, &err);
}

/* ---- Damage ---- */

typedef struct {
  shim_answer answer;
  filedb_check_report_t report;
} shim_check_answer;

extern int filedbGoFinding(uintptr_t pointer, filedb_finding_t *finding);

static int shim_finding(void *ctx, const filedb_finding_t *finding) {
  return filedbGoFinding((uintptr_t)ctx, (filedb_finding_t *)finding);
}

static inline shim_check_answer shim_check(const char *path, uintptr_t visit) {
  filedb_error_t err = shim_no_error();
  filedb_check_report_t report = {0};
  report.struct_size = sizeof report;
  filedb_status_t status = filedb_check(path, shim_finding, (void *)visit, &report, &err);
  return (shim_check_answer){shim_done(status, &err), report};
}

static inline shim_check_answer shim_salvage(const char *path, const char *to, uintptr_t visit) {
  filedb_error_t err = shim_no_error();
  filedb_check_report_t report = {0};
  report.struct_size = sizeof report;
  filedb_status_t status = filedb_salvage(path, to, shim_finding, (void *)visit, &report, &err);
  return (shim_check_answer){shim_done(status, &err), report};
}

#endif
