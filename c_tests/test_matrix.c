/*
 * The misuse matrix: every function of the header x every mistake. Each test here is a column; it ends with the list of
 * functions that filedb.h declares, and fails for each that it neither tried nor gave a reason for leaving out. So a new
 * function needs a line in every column. (The column of panics is in src/capi/tests/panics.rs: C cannot cause one.)
 */
#include "harness.h"

#include <pthread.h>

/* ---- What was tried ------------------------------------------------------------------------ */

static char tried[16384];

static void note(const char *function) {
  strcat(tried, " ");
  strcat(tried, function);
  strcat(tried, " ");
}

/* The call answers that status. */
#define TRY(status, function, ...) (note(#function), EXPECT((status), function(__VA_ARGS__)))
/* The call comes back, and then this holds. */
#define TRY_CALL(function, condition, ...) \
  do {                                     \
    note(#function);                       \
    function(__VA_ARGS__);                 \
    CHECK(condition);                      \
  } while (0)
/* There is nothing to try, for this reason. */
#define NOTHING(function, why) ((void)(why), (void)&function, note(#function))

static void every_function_of_the_header_was_tried(void) {
  char line[512], name[64], wanted[80];
  int functions = 0, in_comment = 0;
  FILE *header = fopen(FILEDB_HEADER, "r");
  NEED(header != NULL);
  while (fgets(line, sizeof line, header) != NULL) {
    char *open = strchr(line, '('), *start;
    if (strstr(line, "/*") != NULL) in_comment = 1;
    if (!in_comment && open != NULL && line[0] != ' ' && line[0] != '#' && strncmp(line, "typedef", 7) != 0) {
      for (start = open; start > line && start[-1] != ' ' && start[-1] != '*';) start--;
      snprintf(name, sizeof name, "%.*s", (int)(open - start), start);
      snprintf(wanted, sizeof wanted, " %s ", name);
      functions++;
      if (strstr(tried, wanted) == NULL) {
        printf("  %s is declared in filedb.h, and this column has no line for it\n", name);
        checks_failed_here++;
      }
    }
    if (strstr(line, "*/") != NULL) in_comment = 0;
  }
  fclose(header);
  CHECK(functions >= 40);
  tried[0] = 0;
}

/* Those that are the same in every column: they take nothing, or a number that may be anything. */
static void without_arguments(void) {
  note("filedb_version_number");
  note("filedb_version_string");
  note("filedb_strerror");
  CHECK(filedb_version_number() != 0 && filedb_version_string()[0] != 0);
  CHECK(strcmp(filedb_strerror(0), "ok") == 0);
}

static void constructors(void) {
  filedb_options_t *new_options;
  filedb_batch_t *new_batch;
  note("filedb_options_new");
  note("filedb_batch_new");
  new_options = filedb_options_new();
  new_batch = filedb_batch_new();
  CHECK(new_options != NULL && new_batch != NULL);
  filedb_options_free(new_options);
  filedb_batch_free(new_batch);
}

/* ---- What the columns work on -------------------------------------------------------------- */

static filedb_t *db, *other;
static filedb_options_t *options;
static filedb_batch_t *batch;
static filedb_iter_t *iter, *new_iter;
static filedb_changes_t *feed, *new_feed;
static filedb_change_t change = FILEDB_CHANGE_INIT;
static filedb_pinned_t pinned, pins[2];
static filedb_slice_t slice_of_k = {"k", 1}, found_key, found_value, rows[2], row_values[2];
static filedb_slice_t *list;
static filedb_status_t statuses[2];
static filedb_stats_t stats = FILEDB_STATS_INIT;
static filedb_check_report_t report;
static void *value;
static size_t len, count;
static uint64_t number;
static int64_t ms;
static char buffer[64];
static const char *name, *values, *help;

static int go_on(void *ctx, const void *k, size_t k_len, const void *v, size_t v_len) {
  (void)ctx;
  CHECK(k != NULL && k_len > 0 && (v != NULL || v_len == 0));
  return 0;
}

static int see(void *ctx, const filedb_finding_t *finding) {
  (void)ctx;
  CHECK(finding->file != NULL && finding->message != NULL && finding->severity >= FILEDB_FINDING_NOTE);
  return 0;
}

static void hear(void *ctx, int32_t level, const char *message, size_t size) {
  (void)ctx;
  (void)level;
  (void)message;
  (void)size;
}

/* All that takes a key and has to do with lists, or changes a value in one step: each answers `wanted`. */
static void lists_answer(filedb_status_t wanted, filedb_t *store, const void *key, size_t key_len) {
  filedb_slice_t v = {"v", 1}, *elements;
  filedb_type_t type;
  void *taken;
  size_t size, many;
  uint64_t length;
  int64_t sum;
  TRY(wanted, filedb_type, store, key, key_len, &type, &err);
  TRY(wanted, filedb_push_back, store, key, key_len, "v", 1, &length, &err);
  TRY(wanted, filedb_push_front, store, key, key_len, "v", 1, NULL, &err);
  TRY(wanted, filedb_pop_back, store, key, key_len, &taken, &size, &err);
  TRY(wanted, filedb_pop_front, store, key, key_len, &taken, &size, &err);
  TRY(wanted, filedb_list_move, store, key, key_len, key, key_len, 0, &taken, &size, &err);
  TRY(wanted, filedb_list_length, store, key, key_len, &length, &err);
  TRY(wanted, filedb_list_get, store, key, key_len, 0, &taken, &size, &err);
  TRY(wanted, filedb_list_set, store, key, key_len, 0, "v", 1, &err);
  TRY(wanted, filedb_list_range, store, key, key_len, 0, -1, &elements, &many, &err);
  TRY(wanted, filedb_get_delete, store, key, key_len, &taken, &size, &err);
  TRY(wanted, filedb_compare_and_swap, store, key, key_len, &v, NULL, &err);
  TRY(wanted, filedb_increment, store, key, key_len, 1, &sum, &err);
}

/* All that takes a range answers `wanted`; the store of this test keeps no order among its keys. */
static const filedb_range_t all_keys = FILEDB_RANGE_INIT;
static void ranges_answer(filedb_status_t wanted, filedb_t *store, const filedb_range_t *range) {
  filedb_iter_t *made = (filedb_iter_t *)&made;
  TRY(wanted, filedb_range_new, store, range, &made, &err);
  CHECK(made == NULL);
  TRY(wanted, filedb_delete_range, store, range, &err);
}

/* The same, of a list that is there: each does what it says. */
static void lists_work(void) {
  filedb_slice_t one = {"1", 1}, *elements;
  filedb_type_t type;
  void *taken;
  size_t size, many;
  uint64_t length;
  int64_t sum;
  TRY(FILEDB_OK, filedb_push_back, db, "jobs", 4, "b", 1, &length, &err);
  TRY(FILEDB_OK, filedb_push_front, db, "jobs", 4, "a", 1, &length, &err);
  CHECK(length == 2);
  TRY(FILEDB_OK, filedb_type, db, "jobs", 4, &type, &err);
  CHECK(type == FILEDB_TYPE_LIST);
  TRY(FILEDB_OK, filedb_list_length, db, "jobs", 4, &length, &err);
  TRY(FILEDB_OK, filedb_list_set, db, "jobs", 4, -1, "c", 1, &err);
  TRY(FILEDB_OK, filedb_list_get, db, "jobs", 4, 1, &taken, &size, &err);
  CHECK(size == 1 && memcmp(taken, "c", 1) == 0);
  filedb_free(taken);
  TRY(FILEDB_OK, filedb_list_range, db, "jobs", 4, 0, -1, &elements, &many, &err);
  CHECK(many == 2 && elements[0].len == 1);
  filedb_free(elements);
  TRY(FILEDB_OK, filedb_list_move, db, "jobs", 4, "moved", 5, 0, &taken, &size, &err);
  CHECK(size == 1 && memcmp(taken, "a", 1) == 0);
  filedb_free(taken);
  TRY(FILEDB_OK, filedb_list_move, db, "moved", 5, "jobs", 4, FILEDB_MOVE_TO_FRONT, &taken, &size, &err);
  filedb_free(taken);
  TRY(FILEDB_NOT_FOUND, filedb_list_move, db, "moved", 5, "jobs", 4, 0, &taken, &size, &err);
  TRY(FILEDB_ERR_UNSUPPORTED, filedb_list_move, db, "jobs", 4, "moved", 5, 4, &taken, &size, &err);
  TRY(FILEDB_OK, filedb_pop_back, db, "jobs", 4, &taken, &size, &err);
  filedb_free(taken);
  TRY(FILEDB_OK, filedb_pop_front, db, "jobs", 4, &taken, &size, &err);
  filedb_free(taken);
  EXPECT(FILEDB_NOT_FOUND, filedb_type(db, "jobs", 4, &type, &err));
  TRY(FILEDB_OK, filedb_compare_and_swap, db, "n", 1, NULL, &one, &err);
  TRY(FILEDB_OK, filedb_increment, db, "n", 1, 2, &sum, &err);
  CHECK(sum == 3);
  TRY(FILEDB_OK, filedb_get_delete, db, "n", 1, &taken, &size, &err);
  filedb_free(taken);
  TRY(FILEDB_OK, filedb_capabilities, db, &length, &err);
  CHECK((length & FILEDB_CAN_SYNC) != 0);
}

static void set_up(void) {
  tried[0] = 0;
  db = open_store(in_temp("store"));
  options = filedb_options_new();
  batch = filedb_batch_new();
  NEED(db != NULL && options != NULL && batch != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  EXPECT(FILEDB_OK, put_text(db, "l", "w"));
  EXPECT(FILEDB_OK, filedb_batch_put(batch, "b", 1, "v", 1, &err));
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &iter, &err));
  EXPECT(FILEDB_OK, filedb_changes_new(db, 0, &feed, &err));
  EXPECT(FILEDB_OK, filedb_get_pinned(db, "k", 1, &pinned, &err));
}

static void tear_down(void) {
  filedb_unpin(&pinned);
  filedb_iter_free(iter);
  filedb_changes_free(feed);
  filedb_batch_free(batch);
  filedb_options_free(options);
  if (db != NULL) close_store(db);
  db = NULL;
}

#define INVALID FILEDB_ERR_INVALID_ARGUMENT

/* ---- NULL ---------------------------------------------------------------------------------- */

static void null_is_refused_or_means_nothing(void) {
  set_up();
  without_arguments();
  constructors();
  TRY(INVALID, filedb_options_set, NULL, "sync", "none", &err);
  TRY(INVALID, filedb_options_set, options, NULL, "none", &err);
  TRY(INVALID, filedb_options_set, options, "sync", NULL, &err);
  TRY(INVALID, filedb_options_get, NULL, "sync", buffer, 64, &len, &err);
  TRY(INVALID, filedb_options_get, options, NULL, buffer, 64, &len, &err);
  TRY(INVALID, filedb_options_get, options, "sync", NULL, 64, &len, &err);
  TRY(INVALID, filedb_options_get, options, "sync", buffer, 64, NULL, &err);
  TRY(INVALID, filedb_options_describe, 0, NULL, &values, &help);
  TRY(INVALID, filedb_options_describe, 0, &name, NULL, &help);
  TRY(INVALID, filedb_options_describe, 0, &name, &values, NULL);
  TRY(INVALID, filedb_options_set_log, NULL, hear, NULL, &err);
  TRY(FILEDB_OK, filedb_options_set_log, options, NULL, NULL, &err);
  TRY_CALL(filedb_options_free, 1, NULL);
  TRY(INVALID, filedb_open, NULL, NULL, &other, &err);
  TRY(INVALID, filedb_open, in_temp("other"), NULL, NULL, &err);
  TRY(INVALID, filedb_close, NULL, &err);
  TRY(INVALID, filedb_put, NULL, "k", 1, "v", 1, &err);
  TRY(INVALID, filedb_put, db, NULL, 1, "v", 1, &err);
  TRY(INVALID, filedb_put, db, "k", 1, NULL, 1, &err);
  TRY(FILEDB_OK, filedb_put, db, "k", 1, "v", 1, NULL);
  TRY(INVALID, filedb_put_with, NULL, "k", 1, "v", 1, NULL, &err);
  TRY(INVALID, filedb_put_with, db, NULL, 1, "v", 1, NULL, &err);
  TRY(INVALID, filedb_put_with, db, "k", 1, NULL, 1, NULL, &err);
  TRY(FILEDB_OK, filedb_put_with, db, "k", 1, "v", 1, NULL, &err);
  TRY(INVALID, filedb_delete, NULL, "k", 1, &err);
  TRY(INVALID, filedb_delete, db, NULL, 1, &err);
  TRY(INVALID, filedb_get, NULL, "k", 1, &value, &len, &err);
  TRY(INVALID, filedb_get, db, NULL, 1, &value, &len, &err);
  TRY(INVALID, filedb_get, db, "k", 1, NULL, &len, &err);
  TRY(INVALID, filedb_get, db, "k", 1, &value, NULL, &err);
  TRY(INVALID, filedb_get_into, NULL, "k", 1, buffer, 64, &len, &err);
  TRY(INVALID, filedb_get_into, db, NULL, 1, buffer, 64, &len, &err);
  TRY(INVALID, filedb_get_into, db, "k", 1, NULL, 64, &len, &err);
  TRY(INVALID, filedb_get_into, db, "k", 1, buffer, 64, NULL, &err);
  TRY(INVALID, filedb_get_pinned, NULL, "k", 1, pins, &err);
  TRY(INVALID, filedb_get_pinned, db, NULL, 1, pins, &err);
  TRY(INVALID, filedb_get_pinned, db, "k", 1, NULL, &err);
  TRY(INVALID, filedb_get_many, NULL, &slice_of_k, 1, pins, statuses, &err);
  TRY(INVALID, filedb_get_many, db, NULL, 1, pins, statuses, &err);
  TRY(INVALID, filedb_get_many, db, &slice_of_k, 1, NULL, statuses, &err);
  TRY(INVALID, filedb_get_many, db, &slice_of_k, 1, pins, NULL, &err);
  TRY_CALL(filedb_unpin, 1, NULL);
  TRY(INVALID, filedb_exists, NULL, "k", 1, &err);
  TRY(INVALID, filedb_exists, db, NULL, 1, &err);
  TRY(INVALID, filedb_list, NULL, NULL, 0, &list, &count, &err);
  TRY(INVALID, filedb_list, db, NULL, 1, &list, &count, &err);
  TRY(INVALID, filedb_list, db, NULL, 0, NULL, &count, &err);
  TRY(INVALID, filedb_list, db, NULL, 0, &list, NULL, &err);
  TRY(INVALID, filedb_list_sorted, NULL, NULL, 0, &list, &count, &err);
  TRY(INVALID, filedb_list_sorted, db, NULL, 1, &list, &count, &err);
  TRY(INVALID, filedb_list_sorted, db, NULL, 0, NULL, &count, &err);
  TRY(INVALID, filedb_list_sorted, db, NULL, 0, &list, NULL, &err);
  lists_answer(INVALID, NULL, "k", 1);
  lists_answer(INVALID, db, NULL, 1);
  TRY(INVALID, filedb_push_back, db, "k", 1, NULL, 1, &number, &err);
  TRY(INVALID, filedb_pop_back, db, "k", 1, NULL, &len, &err);
  TRY(INVALID, filedb_list_range, db, "k", 1, 0, -1, NULL, &count, &err);
  TRY(INVALID, filedb_capabilities, NULL, &number, &err);
  TRY(INVALID, filedb_capabilities, db, NULL, &err);
  TRY(INVALID, filedb_iter_type, NULL, NULL, &err);
  TRY(INVALID, filedb_iter_seek, NULL, "k", 1, &err);
  TRY(INVALID, filedb_iter_seek, iter, NULL, 1, &err);
  ranges_answer(INVALID, NULL, &all_keys);
  ranges_answer(INVALID, db, NULL);
  TRY(INVALID, filedb_range_new, db, &all_keys, NULL, &err);
  {
    filedb_range_t range = FILEDB_RANGE_INIT;
    range.from.len = 1;
    ranges_answer(INVALID, db, &range);
  }
  TRY(INVALID, filedb_batch_push_back, NULL, "k", 1, "v", 1, &err);
  TRY(INVALID, filedb_batch_push_front, batch, NULL, 1, "v", 1, &err);
  TRY(INVALID, filedb_count, NULL, &number, &err);
  TRY(INVALID, filedb_count, db, NULL, &err);
  TRY(INVALID, filedb_sync, NULL, &err);
  TRY(INVALID, filedb_merge, NULL, &err);
  TRY(INVALID, filedb_last_seq, NULL, &number, &err);
  TRY(INVALID, filedb_last_seq, db, NULL, &err);
  TRY(INVALID, filedb_changes_new, NULL, 0, &new_feed, &err);
  TRY(INVALID, filedb_changes_new, db, 0, NULL, &err);
  TRY(INVALID, filedb_changes_next, NULL, 0, &change, &err);
  TRY(INVALID, filedb_changes_next, feed, 0, NULL, &err);
  TRY_CALL(filedb_changes_free, 1, NULL);
  TRY(INVALID, filedb_backup, NULL, "backup", 0, &err);
  TRY(INVALID, filedb_backup, db, NULL, 0, &err);
  TRY(INVALID, filedb_stats, NULL, &stats, &err);
  TRY(INVALID, filedb_stats, db, NULL, &err);
  TRY(INVALID, filedb_ttl, NULL, "k", 1, &ms, &err);
  TRY(INVALID, filedb_ttl, db, NULL, 1, &ms, &err);
  TRY(INVALID, filedb_ttl, db, "k", 1, NULL, &err);
  TRY(INVALID, filedb_expire, NULL, "k", 1, 1, &err);
  TRY(INVALID, filedb_expire, db, NULL, 1, 1, &err);
  TRY(INVALID, filedb_persist, NULL, "k", 1, &err);
  TRY(INVALID, filedb_persist, db, NULL, 1, &err);
  TRY(INVALID, filedb_batch_put, NULL, "k", 1, "v", 1, &err);
  TRY(INVALID, filedb_batch_put, batch, NULL, 1, "v", 1, &err);
  TRY(INVALID, filedb_batch_put, batch, "k", 1, NULL, 1, &err);
  TRY(INVALID, filedb_batch_put_with, NULL, "k", 1, "v", 1, NULL, &err);
  TRY(INVALID, filedb_batch_put_with, batch, NULL, 1, "v", 1, NULL, &err);
  TRY(INVALID, filedb_batch_put_with, batch, "k", 1, NULL, 1, NULL, &err);
  TRY(INVALID, filedb_batch_delete, NULL, "k", 1, &err);
  TRY(INVALID, filedb_batch_delete, batch, NULL, 1, &err);
  TRY_CALL(filedb_batch_clear, 1, NULL);
  TRY_CALL(filedb_batch_free, 1, NULL);
  TRY(INVALID, filedb_write, NULL, batch, &err);
  TRY(INVALID, filedb_write, db, NULL, &err);
  TRY(INVALID, filedb_iter_new, NULL, NULL, 0, &new_iter, &err);
  TRY(INVALID, filedb_iter_new, db, NULL, 1, &new_iter, &err);
  TRY(INVALID, filedb_iter_new, db, NULL, 0, NULL, &err);
  TRY(INVALID, filedb_iter_next, NULL, &found_key, &found_value, &err);
  TRY(INVALID, filedb_iter_next, iter, NULL, &found_value, &err);
  TRY(INVALID, filedb_iter_next, iter, &found_key, NULL, &err);
  TRY_CALL(filedb_iter_next_batch, statuses[0] == INVALID, NULL, rows, row_values, 2, statuses, &err);
  TRY_CALL(filedb_iter_next_batch, statuses[0] == INVALID, iter, NULL, row_values, 2, statuses, &err);
  TRY_CALL(filedb_iter_next_batch, statuses[0] == INVALID, iter, rows, NULL, 2, statuses, &err);
  TRY_CALL(filedb_iter_next_batch, err.code == INVALID, iter, rows, row_values, 2, NULL, &err);
  TRY_CALL(filedb_iter_free, 1, NULL);
  TRY(INVALID, filedb_check, NULL, see, NULL, &report, &err);
  TRY(INVALID, filedb_check, in_temp("store"), see, NULL, NULL, &err);
  TRY(FILEDB_OK, filedb_check, in_temp("store"), NULL, NULL, &report, NULL);
  TRY(INVALID, filedb_salvage, NULL, "saved", see, NULL, &report, &err);
  TRY(INVALID, filedb_salvage, in_temp("store"), NULL, see, NULL, &report, &err);
  TRY(INVALID, filedb_salvage, in_temp("store"), "saved", see, NULL, NULL, &err);
  TRY(INVALID, filedb_fold, NULL, go_on, NULL, &err);
  TRY(INVALID, filedb_fold, db, NULL, NULL, &err);
  TRY_CALL(filedb_free, 1, NULL);
  CHECK(count_of(db) == 2 && has_text(db, "k", "v"));
  every_function_of_the_header_was_tried();
  tear_down();
}

/* ---- Zero ---------------------------------------------------------------------------------- */

static void zero_is_a_length_like_any_other(void) {
  filedb_put_options_t no_size;
  filedb_stats_t no_size_either;
  filedb_change_t no_size_at_all;
  filedb_check_report_t no_size_here;
  filedb_pinned_t nothing;
  memset(&no_size, 0, sizeof no_size);
  memset(&no_size_either, 0, sizeof no_size_either);
  memset(&no_size_at_all, 0, sizeof no_size_at_all);
  memset(&no_size_here, 0, sizeof no_size_here);
  no_size.struct_size = no_size_either.struct_size = no_size_here.struct_size = 8; /* 0 is the size of the first version */
  memset(&nothing, 0, sizeof nothing);
  set_up();
  without_arguments();
  constructors();
  TRY(INVALID, filedb_options_set, options, "", "", &err);
  TRY(INVALID, filedb_options_get, options, "", buffer, 64, &len, &err);
  TRY(FILEDB_ERR_BUFFER_TOO_SMALL, filedb_options_get, options, "sync", NULL, 0, &len, &err);
  TRY(FILEDB_ERR_BUFFER_TOO_SMALL, filedb_options_get, options, "sync", buffer, 0, &len, &err);
  TRY(FILEDB_OK, filedb_options_describe, 0, &name, &values, &help);
  NOTHING(filedb_options_set_log, "takes no number");
  NOTHING(filedb_options_free, "takes no number");
  TRY(INVALID, filedb_open, "", NULL, &other, &err);
  NOTHING(filedb_close, "takes no number");
  TRY(INVALID, filedb_put, db, "k", 0, "v", 1, &err);
  TRY(FILEDB_OK, filedb_put, db, "empty", 5, "v", 0, &err);
  TRY(FILEDB_OK, filedb_put, db, "empty", 5, NULL, 0, &err);
  TRY(INVALID, filedb_put_with, db, "k", 0, "v", 1, NULL, &err);
  TRY(INVALID, filedb_put_with, db, "k", 1, "v", 1, &no_size, &err);
  TRY(FILEDB_OK, filedb_put_with, db, "empty", 5, NULL, 0, NULL, &err);
  TRY(INVALID, filedb_delete, db, "k", 0, &err);
  TRY(INVALID, filedb_get, db, "k", 0, &value, &len, &err);
  TRY(FILEDB_OK, filedb_get, db, "empty", 5, &value, &len, &err);
  CHECK(value != NULL && len == 0);
  filedb_free(value);
  TRY(INVALID, filedb_get_into, db, "k", 0, buffer, 64, &len, &err);
  TRY(FILEDB_ERR_BUFFER_TOO_SMALL, filedb_get_into, db, "k", 1, NULL, 0, &len, &err);
  TRY(FILEDB_OK, filedb_get_into, db, "empty", 5, NULL, 0, &len, &err);
  TRY(INVALID, filedb_get_pinned, db, "k", 0, pins, &err);
  TRY(FILEDB_OK, filedb_get_pinned, db, "empty", 5, pins, &err);
  CHECK(pins[0].len == 0);
  TRY_CALL(filedb_unpin, pins[0].pin == NULL, &pins[0]);
  TRY_CALL(filedb_unpin, nothing.pin == NULL, &nothing);
  TRY(FILEDB_OK, filedb_get_many, db, NULL, 0, NULL, NULL, &err);
  TRY(INVALID, filedb_exists, db, "k", 0, &err);
  TRY(FILEDB_OK, filedb_list, db, "k", 0, &list, &count, &err);
  CHECK(count == 3);
  TRY_CALL(filedb_free, 1, list);
  TRY(FILEDB_OK, filedb_list_sorted, db, "k", 0, &list, &count, &err);
  lists_answer(INVALID, db, "k", 0);
  NOTHING(filedb_capabilities, "takes no length");
  NOTHING(filedb_iter_type, "takes no length");
  TRY(FILEDB_ERR_UNSUPPORTED, filedb_iter_seek, iter, "k", 0, &err);
  {
    filedb_range_t range = FILEDB_RANGE_INIT;
    range.struct_size = 0;
    ranges_answer(FILEDB_ERR_UNSUPPORTED, db, &range);
    range.struct_size = 7;
    ranges_answer(INVALID, db, &range);
  }
  TRY(INVALID, filedb_batch_push_back, batch, "k", 0, "v", 1, &err);
  TRY(INVALID, filedb_batch_push_front, batch, "k", 0, "v", 1, &err);
  CHECK(count == 3);
  filedb_free(list);
  NOTHING(filedb_count, "takes no number");
  NOTHING(filedb_sync, "takes no number");
  NOTHING(filedb_merge, "takes no number");
  NOTHING(filedb_last_seq, "takes no number");
  TRY(FILEDB_OK, filedb_changes_new, db, 0, &new_feed, &err);
  TRY(FILEDB_OK, filedb_changes_next, new_feed, 0, &no_size_at_all, &err);
  CHECK(no_size_at_all.kind == FILEDB_CHANGE_PUT && no_size_at_all.seq == 1 && no_size_at_all.struct_size == 0);
  CHECK(no_size_at_all.key.len == 1 && no_size_at_all.value.len == 1 && no_size_at_all.expiry_ms == 0);
  TRY_CALL(filedb_changes_free, 1, new_feed);
  TRY(INVALID, filedb_backup, db, "", 0, &err);
  TRY(INVALID, filedb_stats, db, &no_size_either, &err);
  TRY(INVALID, filedb_ttl, db, "k", 0, &ms, &err);
  TRY(INVALID, filedb_expire, db, "k", 0, 1, &err);
  TRY(FILEDB_OK, filedb_expire, db, "empty", 5, 0, &err);
  EXPECT(FILEDB_NOT_FOUND, filedb_exists(db, "empty", 5, &err));
  TRY(INVALID, filedb_persist, db, "k", 0, &err);
  TRY(INVALID, filedb_batch_put, batch, "k", 0, "v", 1, &err);
  TRY(FILEDB_OK, filedb_batch_put, batch, "b", 1, NULL, 0, &err);
  TRY(INVALID, filedb_batch_put_with, batch, "k", 0, "v", 1, NULL, &err);
  TRY(FILEDB_OK, filedb_batch_put_with, batch, "b", 1, NULL, 0, NULL, &err);
  TRY(INVALID, filedb_batch_delete, batch, "k", 0, &err);
  TRY_CALL(filedb_batch_clear, 1, batch);
  NOTHING(filedb_batch_free, "takes no number");
  TRY(FILEDB_OK, filedb_write, db, batch, &err); /* an empty batch */
  TRY(FILEDB_OK, filedb_iter_new, db, "k", 0, &new_iter, &err);
  TRY_CALL(filedb_iter_next_batch, statuses[0] == FILEDB_OK, new_iter, NULL, NULL, 0, statuses, &err);
  TRY_CALL(filedb_iter_free, 1, new_iter);
  NOTHING(filedb_iter_next, "takes no number");
  TRY(INVALID, filedb_check, "", see, NULL, &report, &err);
  TRY(INVALID, filedb_check, in_temp("store"), see, NULL, &no_size_here, &err);
  TRY(INVALID, filedb_salvage, "", "saved", see, NULL, &report, &err);
  TRY(INVALID, filedb_salvage, in_temp("store"), "", see, NULL, &report, &err);
  NOTHING(filedb_fold, "takes no number");
  CHECK(count_of(db) == 2 && has_text(db, "k", "v"));
  every_function_of_the_header_was_tried();
  tear_down();
}

/* ---- Huge ---------------------------------------------------------------------------------- */

/* Of these keys and values only one byte is memory, so a length must be refused before it is believed. */
static void what_is_huge_is_refused_before_it_is_read(void) {
  const size_t huge[] = {(size_t)1 << 33, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX};
  const filedb_status_t too_large = FILEDB_ERR_TOO_LARGE;
  filedb_slice_t key = {"k", 0};
  static char long_text[100000];
  size_t i;
  memset(long_text, 'x', sizeof long_text - 1);
  set_up();
  without_arguments();
  constructors();
  CHECK(filedb_strerror(INT32_MAX) == filedb_strerror(INT32_MIN));
  for (i = 0; i < sizeof huge / sizeof huge[0]; i++) {
    size_t size = huge[i];
    key.len = size;
    TRY(FILEDB_DONE, filedb_options_describe, size, &name, &values, &help);
    TRY(FILEDB_OK, filedb_options_get, options, "sync", buffer, size, &len, &err);
    TRY(too_large, filedb_put, db, "k", size, "v", 1, &err);
    TRY(too_large, filedb_put, db, "k", 1, "v", size, &err);
    TRY(too_large, filedb_put_with, db, "k", size, "v", 1, NULL, &err);
    TRY(too_large, filedb_put_with, db, "k", 1, "v", size, NULL, &err);
    TRY(too_large, filedb_delete, db, "k", size, &err);
    TRY(too_large, filedb_get, db, "k", size, &value, &len, &err);
    TRY(too_large, filedb_get_into, db, "k", size, buffer, 64, &len, &err);
    TRY(FILEDB_OK, filedb_get_into, db, "k", 1, buffer, size, &len, &err);
    TRY(too_large, filedb_get_pinned, db, "k", size, pins, &err);
    TRY(too_large, filedb_get_many, db, &key, 1, pins, statuses, &err);
    CHECK(statuses[0] == too_large);
    TRY(INVALID, filedb_get_many, db, &slice_of_k, SIZE_MAX - i, pins, statuses, &err);
    TRY(too_large, filedb_exists, db, "k", size, &err);
    TRY(too_large, filedb_list, db, "k", size, &list, &count, &err);
    TRY(too_large, filedb_list_sorted, db, "k", size, &list, &count, &err);
    lists_answer(too_large, db, "k", size);
    TRY(too_large, filedb_batch_push_back, batch, "k", size, "v", 1, &err);
    TRY(too_large, filedb_batch_push_front, batch, "k", 1, "v", size, &err);
    NOTHING(filedb_capabilities, "takes no length");
    NOTHING(filedb_iter_type, "takes no length");
    TRY(too_large, filedb_iter_seek, iter, "k", size, &err);
    {
      filedb_range_t range = FILEDB_RANGE_INIT;
      range.to.data = "k";
      range.to.len = size;
      ranges_answer(too_large, db, &range);
    }
    TRY(too_large, filedb_ttl, db, "k", size, &ms, &err);
    TRY(too_large, filedb_expire, db, "k", size, 1, &err);
    TRY(too_large, filedb_persist, db, "k", size, &err);
    TRY(too_large, filedb_batch_put, batch, "k", size, "v", 1, &err);
    TRY(too_large, filedb_batch_put, batch, "k", 1, "v", size, &err);
    TRY(too_large, filedb_batch_put_with, batch, "k", size, "v", 1, NULL, &err);
    TRY(too_large, filedb_batch_put_with, batch, "k", 1, "v", size, NULL, &err);
    TRY(too_large, filedb_batch_delete, batch, "k", size, &err);
    TRY(too_large, filedb_iter_new, db, "k", size, &new_iter, &err);
    TRY_CALL(filedb_iter_next_batch, statuses[0] == INVALID, iter, rows, row_values, SIZE_MAX - i, statuses, &err);
    stats.struct_size = UINT32_MAX - (uint32_t)i;
    TRY(INVALID, filedb_stats, db, &stats, &err);
    TRY(FILEDB_OK, filedb_changes_new, db, UINT64_MAX - i, &new_feed, &err);
    TRY(FILEDB_GAP, filedb_changes_next, new_feed, INT64_MAX, &change, &err);
    TRY(FILEDB_GAP, filedb_changes_next, new_feed, INT64_MIN, &change, &err);
    change.struct_size = UINT32_MAX - (uint32_t)i;
    TRY(INVALID, filedb_changes_next, new_feed, 0, &change, &err);
    change.struct_size = sizeof change;
    TRY_CALL(filedb_changes_free, 1, new_feed);
  }
  NOTHING(filedb_last_seq, "takes no number");
  stats.struct_size = sizeof stats;
  TRY(FILEDB_OK, filedb_expire, db, "l", 1, UINT64_MAX, &err);
  EXPECT(FILEDB_OK, filedb_ttl(db, "l", 1, &ms, &err));
  CHECK(ms > 0);
  TRY(INVALID, filedb_options_set, options, long_text, "x", &err);
  TRY(INVALID, filedb_options_set, options, "sync", long_text, &err);
  TRY(INVALID, filedb_options_set, options, "max_file_size", "99999999999999999999999999", &err);
  TRY(FILEDB_ERR_IO, filedb_open, long_text, NULL, &other, &err);
  NOTHING(filedb_options_set_log, "takes no number");
  NOTHING(filedb_options_free, "takes no number");
  NOTHING(filedb_close, "takes no number");
  NOTHING(filedb_unpin, "takes what the library filled in");
  NOTHING(filedb_free, "takes what the library handed out");
  NOTHING(filedb_count, "takes no number");
  NOTHING(filedb_sync, "takes no number");
  NOTHING(filedb_merge, "takes no number");
  TRY(INVALID, filedb_backup, db, in_temp("backup"), 2, &err);
  TRY(FILEDB_ERR_IO, filedb_backup, db, long_text, 0, &err);
  NOTHING(filedb_batch_clear, "takes no number");
  NOTHING(filedb_batch_free, "takes no number");
  NOTHING(filedb_write, "takes no number; c_tests/test_batch.c writes one larger than a file");
  NOTHING(filedb_iter_next, "takes no number");
  NOTHING(filedb_iter_free, "takes no number");
  TRY(FILEDB_ERR_IO, filedb_check, long_text, see, NULL, &report, &err);
  TRY(FILEDB_ERR_IO, filedb_salvage, long_text, "saved", see, NULL, &report, &err);
  NOTHING(filedb_fold, "takes no number");
  CHECK(count_of(db) == 2 && has_text(db, "k", "v"));
  every_function_of_the_header_was_tried();
  tear_down();
}

/* ---- After the end, and in a child --------------------------------------------------------- */

/* Every function that takes a handle of a store answers `wanted`. */
static void with_the_store(filedb_status_t wanted, filedb_batch_t *good_batch) {
  TRY(wanted, filedb_put, db, "k", 1, "x", 1, &err);
  TRY(wanted, filedb_put_with, db, "k", 1, "x", 1, NULL, &err);
  TRY(wanted, filedb_delete, db, "k", 1, &err);
  TRY(wanted, filedb_get, db, "k", 1, &value, &len, &err);
  CHECK(value == NULL && len == 0);
  TRY(wanted, filedb_get_into, db, "k", 1, buffer, 64, &len, &err);
  TRY(wanted, filedb_get_pinned, db, "k", 1, pins, &err);
  TRY(wanted, filedb_get_many, db, &slice_of_k, 1, pins, statuses, &err);
  CHECK(statuses[0] == wanted && pins[0].pin == NULL);
  TRY(wanted, filedb_exists, db, "k", 1, &err);
  TRY(wanted, filedb_list, db, NULL, 0, &list, &count, &err);
  CHECK(list == NULL && count == 0);
  TRY(wanted, filedb_list_sorted, db, NULL, 0, &list, &count, &err);
  lists_answer(wanted, db, "k", 1);
  TRY(wanted, filedb_capabilities, db, &number, &err);
  CHECK(list == NULL && count == 0);
  TRY(wanted, filedb_count, db, &number, &err);
  TRY(wanted, filedb_sync, db, &err);
  TRY(wanted, filedb_merge, db, &err);
  TRY(wanted, filedb_last_seq, db, &number, &err);
  TRY(wanted, filedb_changes_new, db, 0, &new_feed, &err);
  CHECK(new_feed == NULL);
  change.seq = 7;
  TRY(wanted, filedb_changes_next, feed, -1, &change, &err);
  CHECK(change.seq == 0 && change.key.data == NULL);
  TRY(wanted, filedb_backup, db, in_temp("backup"), 0, &err);
  TRY(wanted, filedb_stats, db, &stats, &err);
  TRY(wanted, filedb_ttl, db, "k", 1, &ms, &err);
  TRY(wanted, filedb_expire, db, "k", 1, 1, &err);
  TRY(wanted, filedb_persist, db, "k", 1, &err);
  TRY(wanted, filedb_write, db, good_batch, &err);
  TRY(wanted, filedb_iter_new, db, NULL, 0, &new_iter, &err);
  { filedb_type_t type; note("filedb_iter_type"); filedb_iter_type(iter, &type, &err); CHECK(err.code != FILEDB_OK); }
  TRY(wanted, filedb_iter_seek, iter, "k", 1, &err);
  ranges_answer(wanted, db, &all_keys);
  TRY(wanted, filedb_iter_next, iter, &found_key, &found_value, &err);
  CHECK(found_key.data == NULL && found_value.data == NULL);
  TRY_CALL(filedb_iter_next_batch, statuses[0] == wanted, iter, rows, row_values, 2, statuses, &err);
  TRY(wanted, filedb_fold, db, go_on, NULL, &err);
}

static void what_is_used_after_its_end_answers_closed(void) {
  filedb_batch_t *freed_batch = filedb_batch_new();
  filedb_t *open_one;
  set_up();
  without_arguments();
  constructors();
  close_store(db);
  with_the_store(FILEDB_ERR_CLOSED, batch);
  TRY(FILEDB_ERR_CLOSED, filedb_close, db, &err);
  db = NULL;
  TRY_CALL(filedb_unpin, pinned.pin == NULL, &pinned); /* outlives its store */
  TRY_CALL(filedb_iter_free, 1, iter);
  TRY_CALL(filedb_iter_free, 1, iter);
  EXPECT(FILEDB_ERR_CLOSED, filedb_iter_next(iter, &found_key, &found_value, &err));
  TRY_CALL(filedb_changes_free, 1, feed);
  TRY_CALL(filedb_changes_free, 1, feed);
  EXPECT(FILEDB_ERR_CLOSED, filedb_changes_next(feed, 0, &change, &err));

  TRY_CALL(filedb_batch_free, 1, freed_batch);
  TRY_CALL(filedb_batch_free, 1, freed_batch);
  TRY(FILEDB_ERR_CLOSED, filedb_batch_put, freed_batch, "k", 1, "v", 1, &err);
  TRY(FILEDB_ERR_CLOSED, filedb_batch_put_with, freed_batch, "k", 1, "v", 1, NULL, &err);
  TRY(FILEDB_ERR_CLOSED, filedb_batch_push_back, freed_batch, "k", 1, "v", 1, &err);
  TRY(FILEDB_ERR_CLOSED, filedb_batch_push_front, freed_batch, "k", 1, "v", 1, &err);
  TRY(FILEDB_ERR_CLOSED, filedb_batch_delete, freed_batch, "k", 1, &err);
  TRY_CALL(filedb_batch_clear, 1, freed_batch);
  open_one = open_store(in_temp("store"));
  TRY(FILEDB_ERR_CLOSED, filedb_write, open_one, freed_batch, &err);
  CHECK(count_of(open_one) == 2 && has_text(open_one, "k", "v"));
  close_store(open_one);

  TRY_CALL(filedb_options_free, 1, options);
  TRY_CALL(filedb_options_free, 1, options);
  TRY(FILEDB_ERR_CLOSED, filedb_options_set, options, "sync", "none", &err);
  TRY(FILEDB_ERR_CLOSED, filedb_options_get, options, "sync", buffer, 64, &len, &err);
  TRY(FILEDB_ERR_CLOSED, filedb_options_set_log, options, hear, NULL, &err);
  TRY(FILEDB_ERR_CLOSED, filedb_open, in_temp("store"), options, &other, &err);
  NOTHING(filedb_options_describe, "takes no handle");
  NOTHING(filedb_check, "takes no handle");
  NOTHING(filedb_salvage, "takes no handle");
  NOTHING(filedb_free, "memory that was freed is the allocator's, as with free()");
  every_function_of_the_header_was_tried();
  tear_down();
}

static void in_the_child(void *unused) {
  filedb_batch_t *own_batch = filedb_batch_new();
  filedb_options_t *own_options = filedb_options_new();
  (void)unused;
  tried[0] = 0;
  without_arguments();
  constructors();
  /* What belongs to no store works in a child too, that of the parent and that of the child. */
  TRY(FILEDB_OK, filedb_options_set, options, "sync", "none", &err);
  TRY(FILEDB_OK, filedb_options_get, options, "sync", buffer, 64, &len, &err);
  TRY(FILEDB_OK, filedb_options_describe, 0, &name, &values, &help);
  TRY(FILEDB_OK, filedb_options_set_log, own_options, hear, NULL, &err);
  TRY(FILEDB_OK, filedb_batch_put, batch, "c", 1, "v", 1, &err);
  TRY(FILEDB_OK, filedb_batch_put_with, batch, "c", 1, "v", 1, NULL, &err);
  TRY(FILEDB_OK, filedb_batch_push_back, batch, "jobs", 4, "v", 1, &err);
  TRY(FILEDB_OK, filedb_batch_push_front, batch, "jobs", 4, "v", 1, &err);
  TRY(FILEDB_OK, filedb_batch_delete, own_batch, "c", 1, &err);
  with_the_store(FILEDB_ERR_FORKED, batch);
  TRY(FILEDB_ERR_LOCKED, filedb_open, in_temp("store"), NULL, &other, &err);
  TRY(FILEDB_OK, filedb_check, in_temp("store"), see, NULL, &report, &err);
  TRY(FILEDB_ERR_LOCKED, filedb_salvage, in_temp("store"), "saved", see, NULL, &report, &err);
  TRY_CALL(filedb_unpin, pinned.pin == NULL, &pinned);
  TRY_CALL(filedb_iter_free, 1, iter);
  TRY_CALL(filedb_changes_free, 1, feed);
  TRY_CALL(filedb_free, 1, value);
  TRY_CALL(filedb_batch_clear, 1, batch);
  TRY_CALL(filedb_batch_free, 1, batch);
  TRY_CALL(filedb_batch_free, 1, own_batch);
  TRY_CALL(filedb_options_free, 1, own_options);
  TRY(FILEDB_ERR_FORKED, filedb_close, db, &err);
  every_function_of_the_header_was_tried();
}

static void a_forked_child_is_told_so_and_harms_nothing(void) {
  set_up();
  in_child(in_the_child, NULL);
  CHECK(count_of(db) == 2 && has_text(db, "k", "v"));
  EXPECT(FILEDB_OK, filedb_iter_next(iter, &found_key, &found_value, &err));
  EXPECT(FILEDB_OK, filedb_changes_next(feed, 0, &change, &err));
  EXPECT(FILEDB_OK, filedb_write(db, batch, &err));
  tear_down();
}

/* ---- Another thread ------------------------------------------------------------------------ */

/* All that this thread uses was made by another one, and what it leaves is freed by another one. */
static void *use_in_another_thread(void *unused) {
  (void)unused;
  without_arguments();
  constructors();
  TRY(FILEDB_OK, filedb_options_set, options, "io", io_mode, &err);
  TRY(FILEDB_OK, filedb_options_get, options, "io", buffer, 64, &len, &err);
  TRY(FILEDB_OK, filedb_options_describe, 0, &name, &values, &help);
  TRY(FILEDB_OK, filedb_options_set_log, options, hear, NULL, &err);
  TRY(FILEDB_OK, filedb_open, in_temp("other"), options, &other, &err);
  TRY(FILEDB_OK, filedb_put, db, "k", 1, "x", 1, &err);
  TRY(FILEDB_OK, filedb_put_with, db, "m", 1, "x", 1, NULL, &err);
  TRY(FILEDB_OK, filedb_get_into, db, "k", 1, buffer, 64, &len, &err);
  TRY(FILEDB_OK, filedb_get, db, "k", 1, &value, &len, &err);
  TRY_CALL(filedb_unpin, pinned.pin == NULL, &pinned);
  TRY(FILEDB_OK, filedb_get_pinned, db, "k", 1, &pinned, &err);
  TRY(FILEDB_OK, filedb_get_many, db, &slice_of_k, 1, pins, statuses, &err);
  TRY(FILEDB_OK, filedb_exists, db, "k", 1, &err);
  TRY(FILEDB_OK, filedb_delete, db, "m", 1, &err);
  TRY(FILEDB_OK, filedb_list, db, NULL, 0, &list, &count, &err);
  filedb_free(list);
  TRY(FILEDB_OK, filedb_list_sorted, db, NULL, 0, &list, &count, &err);
  lists_work();
  TRY(FILEDB_OK, filedb_batch_push_back, batch, "many", 4, "v", 1, &err);
  TRY(FILEDB_OK, filedb_batch_push_front, batch, "many", 4, "v", 1, &err);
  TRY(FILEDB_OK, filedb_count, db, &number, &err);
  TRY(FILEDB_OK, filedb_changes_next, feed, 0, &change, &err);
  CHECK(change.seq == 1 && change.key.len == 1);
  TRY_CALL(filedb_changes_free, 1, feed);
  {
    uint64_t last;
    TRY(FILEDB_OK, filedb_last_seq, db, &last, &err);
    TRY(FILEDB_OK, filedb_changes_new, db, last, &feed, &err);
    EXPECT(FILEDB_TIMEOUT, filedb_changes_next(feed, 1, &change, &err));
  }
  TRY(FILEDB_OK, filedb_sync, db, &err);
  TRY(FILEDB_OK, filedb_merge, db, &err);
  TRY(FILEDB_OK, filedb_backup, db, in_temp("backup"), 0, &err);
  TRY(FILEDB_OK, filedb_stats, db, &stats, &err);
  TRY(FILEDB_OK, filedb_expire, db, "k", 1, 1000000, &err);
  TRY(FILEDB_OK, filedb_ttl, db, "k", 1, &ms, &err);
  TRY(FILEDB_OK, filedb_persist, db, "k", 1, &err);
  TRY(FILEDB_OK, filedb_batch_put, batch, "b", 1, "w", 1, &err);
  TRY(FILEDB_OK, filedb_batch_put_with, batch, "b", 1, "w", 1, NULL, &err);
  TRY(FILEDB_OK, filedb_batch_delete, batch, "m", 1, &err);
  TRY(FILEDB_OK, filedb_write, db, batch, &err);
  TRY_CALL(filedb_batch_clear, 1, batch);
  TRY_CALL(filedb_batch_free, 1, batch);
  TRY(FILEDB_OK, filedb_iter_next, iter, &found_key, &found_value, &err);
  { filedb_type_t type; TRY(FILEDB_OK, filedb_iter_type, iter, &type, &err); }
  TRY(FILEDB_ERR_UNSUPPORTED, filedb_iter_seek, iter, "k", 1, &err);
  ranges_answer(FILEDB_ERR_UNSUPPORTED, db, &all_keys);
  TRY_CALL(filedb_iter_next_batch, statuses[0] == FILEDB_DONE, iter, rows, row_values, 2, statuses, &err);
  TRY_CALL(filedb_iter_free, 1, iter);
  TRY(FILEDB_OK, filedb_iter_new, db, NULL, 0, &iter, &err);
  TRY(FILEDB_OK, filedb_fold, db, go_on, NULL, &err);
  TRY_CALL(filedb_options_free, 1, options);
  TRY(FILEDB_OK, filedb_close, db, &err);
  TRY(FILEDB_OK, filedb_check, in_temp("store"), see, NULL, &report, &err);
  CHECK(report.files > 0 && report.damaged_places == 0);
  {
    char from[4096];
    snprintf(from, sizeof from, "%s", in_temp("store"));
    TRY(FILEDB_OK, filedb_salvage, from, in_temp("saved"), see, NULL, &report, &err);
    EXPECT(FILEDB_ERR_EXISTS, filedb_salvage(from, in_temp("saved"), see, NULL, &report, &err));
  }
  NOTHING(filedb_free, "the first thread frees what this one got");
  return NULL;
}

static void it_does_not_matter_which_thread_calls(void) {
  pthread_t thread;
  set_up();
  NEED(pthread_create(&thread, NULL, use_in_another_thread, NULL) == 0);
  NEED(pthread_join(thread, NULL) == 0);
  every_function_of_the_header_was_tried();
  CHECK(len == 1 && value != NULL && memcmp(value, "x", 1) == 0 && number == 2);
  filedb_free(value);
  filedb_free(list);
  filedb_unpin(&pins[0]);
  close_store(other);
  db = NULL;
  batch = NULL;
  options = NULL;
  tear_down();
}

/* One thread at a time is the rule for iterators and batches; breaking it may mix things up, and no more. */
static void *step_and_add(void *steps) {
  filedb_error_t own = FILEDB_ERROR_INIT;
  filedb_slice_t key, found;
  int i;
  for (i = 0; i < 300; i++) {
    if (filedb_iter_next(iter, &key, &found, &own) == FILEDB_OK) ++*(int *)steps;
    filedb_batch_put(batch, &i, sizeof i, "v", 1, &own);
  }
  return NULL;
}

static void threads_that_share_an_iterator_or_a_batch_do_not_break_it(void) {
  pthread_t threads[4];
  int i, steps[4] = {0, 0, 0, 0};
  set_up();
  for (i = 0; i < 200; i++) EXPECT(FILEDB_OK, filedb_put(db, &i, sizeof i, "v", 1, &err));
  filedb_iter_free(iter);
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &iter, &err));
  for (i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, step_and_add, &steps[i]) == 0);
  for (i = 0; i < 4; i++) NEED(pthread_join(threads[i], NULL) == 0);
  CHECK(steps[0] + steps[1] + steps[2] + steps[3] == 202);
  EXPECT(FILEDB_OK, filedb_write(db, batch, &err));
  CHECK(count_of(db) == 303);
  tear_down();
}

/* ---- Memory that is not there -------------------------------------------------------------- */

/*
 * These stand in front of those of the C library, for the shared libfiledb too. While a thread has set a limit, it gets no
 * memory of that size or more. What does not grow with what a caller asks for is smaller and not refused: for that the
 * Rust runtime ends the process.
 */
__extension__ static __thread size_t refuse_from;
__extension__ static __thread int refused;

static int is_refused(size_t size) {
  if (refuse_from == 0 || size < refuse_from) return 0;
  refused++;
  errno = ENOMEM;
  return 1;
}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) { return is_refused(size) ? NULL : __libc_malloc(size); }
void *calloc(size_t n, size_t size) {
  return size != 0 && is_refused(n > SIZE_MAX / size ? SIZE_MAX : n * size) ? NULL : __libc_calloc(n, size);
}
void *realloc(void *memory, size_t size) { return is_refused(size) ? NULL : __libc_realloc(memory, size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
  if (is_refused(size)) return ENOMEM;
  *out = __libc_memalign(alignment, size);
  return *out == NULL ? ENOMEM : 0;
}
void *aligned_alloc(size_t alignment, size_t size) {
  return is_refused(size) ? NULL : __libc_memalign(alignment, size);
}

#define LARGE (1u << 20)
#define FROM 600000u

/* Answers `status`, or FILEDB_OK where it went without a piece of that size. */
static void without_memory(filedb_status_t got, const char *call) {
  int was_refused = refused;
  refuse_from = 0;
  refused = 0;
  if (got == FILEDB_OK && !was_refused) return;
  if (got == FILEDB_ERR_NO_MEMORY && was_refused) return;
  printf("  %s answered %d (%s) after %d refusals\n", call, (int)got, err.message, was_refused);
  checks_failed_here++;
}

#define STARVE(function, ...)                      \
  do {                                             \
    filedb_status_t got;                           \
    note(#function);                               \
    refused = 0;                                   \
    refuse_from = FROM;                            \
    got = function(__VA_ARGS__);                   \
    without_memory(got, #function);                \
  } while (0)

static int find_refusal(int *refusals, filedb_status_t got) {
  *refusals += refused;
  refused = 0;
  refuse_from = 0;
  return got == FILEDB_ERR_NO_MEMORY;
}

static void a_refused_allocation_is_a_status(void) {
  static char large[LARGE], large_copy[LARGE];
  const char *preload = getenv("LD_PRELOAD");
  char key[1000];
  filedb_slice_t large_key = {"large", 5};
  int i, refusals = 0;
  if (preload != NULL && strstr(preload, "vgpreload") != NULL) {
    printf("  SKIPPED: valgrind has a malloc of its own\n");
    return;
  }
  set_up();
  without_arguments();
  EXPECT(FILEDB_OK, filedb_put(db, "large", 5, large, LARGE, &err));
  memset(key, 'k', sizeof key);
  for (i = 0; i < 800; i++) { /* 800,000 bytes of keys */
    memcpy(key, &i, sizeof i);
    EXPECT(FILEDB_OK, filedb_put(db, key, sizeof key, "v", 1, &err));
  }

  note("filedb_options_new");
  note("filedb_batch_new");
  refuse_from = 1; /* these two need one small piece each, for which the library has memory of its own */
  {
    filedb_options_t *own_options = filedb_options_new();
    filedb_batch_t *own_batch = filedb_batch_new();
    refuse_from = 0;
    CHECK(refused >= 2 && own_options != NULL && own_batch != NULL);
    filedb_options_free(own_options);
    filedb_batch_free(own_batch);
  }

  STARVE(filedb_put, db, "large", 5, large, LARGE, &err);
  STARVE(filedb_put_with, db, "large", 5, large, LARGE, NULL, &err);
  STARVE(filedb_get, db, "large", 5, &value, &len, &err);
  CHECK(value == NULL && len == 0);
  STARVE(filedb_get_into, db, "large", 5, large_copy, LARGE, &len, &err);
  STARVE(filedb_get_pinned, db, "large", 5, pins, &err);
  TRY_CALL(filedb_unpin, pins[0].pin == NULL, &pins[0]);
  STARVE(filedb_get_many, db, &large_key, 1, pins, statuses, &err);
  filedb_unpin(&pins[0]);
  STARVE(filedb_exists, db, "large", 5, &err);
  STARVE(filedb_ttl, db, "large", 5, &ms, &err);
  STARVE(filedb_expire, db, "large", 5, 1000000, &err);
  STARVE(filedb_persist, db, "large", 5, &err);
  STARVE(filedb_list, db, NULL, 0, &list, &count, &err);
  CHECK(list == NULL && count == 0);
  STARVE(filedb_list_sorted, db, NULL, 0, &list, &count, &err);
  CHECK(list == NULL && count == 0);
  {
    filedb_slice_t whole = {large, LARGE}, *elements;
    filedb_type_t type;
    EXPECT(FILEDB_OK, filedb_push_back(db, "jobs", 4, large, LARGE, NULL, &err));
    EXPECT(FILEDB_OK, filedb_push_back(db, "jobs", 4, large, LARGE, NULL, &err));
    STARVE(filedb_type, db, "large", 5, &type, &err);
    STARVE(filedb_push_back, db, "jobs", 4, large, LARGE, &number, &err);
    STARVE(filedb_push_front, db, "jobs", 4, large, LARGE, &number, &err);
    STARVE(filedb_list_length, db, "jobs", 4, &number, &err);
    CHECK(number >= 2);
    STARVE(filedb_list_get, db, "jobs", 4, 0, &value, &len, &err);
    CHECK(value == NULL && len == 0);
    STARVE(filedb_list_set, db, "jobs", 4, 0, large, LARGE, &err);
    STARVE(filedb_list_range, db, "jobs", 4, 0, -1, &elements, &count, &err);
    CHECK(elements == NULL && count == 0);
    STARVE(filedb_list_move, db, "jobs", 4, "jobs", 4, FILEDB_MOVE_FROM_BACK | FILEDB_MOVE_TO_FRONT, &value, &len, &err);
    CHECK(value == NULL && len == 0);
    STARVE(filedb_pop_back, db, "jobs", 4, &value, &len, &err);
    CHECK(value == NULL && len == 0);
    STARVE(filedb_pop_front, db, "jobs", 4, &value, &len, &err);
    CHECK(value == NULL && len == 0);
    STARVE(filedb_get_delete, db, "large", 5, &value, &len, &err);
    CHECK(value == NULL && len == 0);
    /* Nothing was taken out for an answer that there was no memory for. */
    EXPECT(FILEDB_OK, filedb_list_length(db, "jobs", 4, &number, &err));
    CHECK(number >= 2);
    EXPECT(FILEDB_OK, filedb_exists(db, "large", 5, &err));
    STARVE(filedb_compare_and_swap, db, "large", 5, &whole, &whole, &err);
    STARVE(filedb_increment, db, "hits", 4, 1, &ms, &err);
    STARVE(filedb_capabilities, db, &number, &err);
    EXPECT(FILEDB_OK, filedb_delete(db, "jobs", 4, &err));
    EXPECT(FILEDB_OK, filedb_delete(db, "hits", 4, &err));
  }
  STARVE(filedb_batch_push_back, batch, "jobs", 4, large, LARGE, &err);
  STARVE(filedb_batch_push_front, batch, "jobs", 4, large, LARGE, &err);
  filedb_batch_clear(batch);
  NOTHING(filedb_iter_type, "allocates nothing");
  NOTHING(filedb_iter_seek, "needs key order, which this store has not");
  NOTHING(filedb_range_new, "needs key order, which this store has not");
  NOTHING(filedb_delete_range, "needs key order, which this store has not");
  STARVE(filedb_batch_put, batch, "large", 5, large, LARGE, &err);
  filedb_batch_clear(batch);
  STARVE(filedb_batch_put_with, batch, "large", 5, large, LARGE, NULL, &err);
  STARVE(filedb_batch_delete, batch, key, sizeof key, &err);
  STARVE(filedb_fold, db, go_on, NULL, &err);
  STARVE(filedb_iter_new, db, NULL, 0, &new_iter, &err);
  filedb_iter_free(iter);
  iter = new_iter;
  NEED(iter != NULL);
  note("filedb_iter_next");
  note("filedb_iter_next_batch");
  for (i = 0; i < 1000; i++) { /* the store has 803 rows, of which one is large */
    filedb_status_t got;
    refuse_from = refusals == 0 ? FROM : 0; /* a row that there was no memory for is shown by the next call */
    got = filedb_iter_next(iter, &found_key, &found_value, &err);
    if (find_refusal(&refusals, got)) continue;
    if (got == FILEDB_DONE) break;
    CHECK(got == FILEDB_OK);
  }
  CHECK(i == 803 + refusals && refusals == (strcmp(io_mode, "mmap") == 0 ? 0 : 1));
  refuse_from = FROM;
  CHECK(filedb_iter_next_batch(iter, rows, row_values, 2, statuses, &err) == 0 && statuses[0] == FILEDB_DONE);
  refuse_from = 0;
  EXPECT(FILEDB_OK, filedb_batch_put(batch, "large", 5, large, LARGE, &err));
  STARVE(filedb_write, db, batch, &err);
  STARVE(filedb_last_seq, db, &number, &err);
  STARVE(filedb_changes_new, db, 0, &new_feed, &err);
  filedb_changes_free(feed);
  feed = new_feed;
  note("filedb_changes_next");
  {
    uint64_t before = 0;
    refusals = 0;
    for (i = 0; i < 5000; i++) { /* what there was no memory for is shown later, and nothing is left out */
      filedb_status_t got;
      refuse_from = refusals == 0 ? FROM : 0;
      got = filedb_changes_next(feed, 0, &change, &err);
      if (find_refusal(&refusals, got)) continue;
      if (got == FILEDB_TIMEOUT) break;
      CHECK(got == FILEDB_OK && change.seq >= before);
      before = change.seq;
    }
    CHECK(i < 5000 && before == number && refusals > 0);
  }
  STARVE(filedb_merge, db, &err);
  STARVE(filedb_backup, db, in_temp("backup"), FILEDB_BACKUP_COPY, &err);
  STARVE(filedb_delete, db, "large", 5, &err);
  STARVE(filedb_sync, db, &err);
  STARVE(filedb_count, db, &number, &err);
  STARVE(filedb_stats, db, &stats, &err);
  STARVE(filedb_close, db, &err);
  STARVE(filedb_check, in_temp("store"), see, NULL, &report, &err);
  {
    char from[4096];
    snprintf(from, sizeof from, "%s", in_temp("store"));
    STARVE(filedb_salvage, from, in_temp("saved"), see, NULL, &report, &err);
  }
  STARVE(filedb_open, in_temp("store"), NULL, &db, &err);
  if (db == NULL) db = open_store(in_temp("store"));
  CHECK(has_bytes(db, key, sizeof key, "v", 1) && has_text(db, "k", "v"));
  NOTHING(filedb_options_set, "needs no memory of a size that a caller chooses");
  NOTHING(filedb_options_get, "needs no memory of a size that a caller chooses");
  NOTHING(filedb_options_describe, "needs no memory of a size that a caller chooses");
  NOTHING(filedb_options_set_log, "needs no memory of a size that a caller chooses");
  NOTHING(filedb_options_free, "allocates nothing");
  NOTHING(filedb_batch_clear, "allocates nothing");
  NOTHING(filedb_batch_free, "allocates nothing");
  NOTHING(filedb_iter_free, "allocates nothing");
  NOTHING(filedb_changes_free, "allocates nothing");
  NOTHING(filedb_free, "allocates nothing");
  every_function_of_the_header_was_tried();
  tear_down();
}

int main(void) {
  RUN_BOTH(null_is_refused_or_means_nothing);
  RUN_BOTH(zero_is_a_length_like_any_other);
  RUN_BOTH(what_is_huge_is_refused_before_it_is_read);
  RUN_BOTH(what_is_used_after_its_end_answers_closed);
  RUN_BOTH(a_forked_child_is_told_so_and_harms_nothing);
  RUN_BOTH(it_does_not_matter_which_thread_calls);
  RUN_BOTH(threads_that_share_an_iterator_or_a_batch_do_not_break_it);
  RUN_BOTH(a_refused_allocation_is_a_status);
  return finish();
}
