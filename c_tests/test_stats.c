/* What a store says about itself: numbers, and the events that it reports. */
#include "harness.h"

#include <pthread.h>

/* ---- Numbers ------------------------------------------------------------------------------- */

static void the_numbers_follow_what_happens(void) {
  filedb_t *db = NULL;
  filedb_stats_t stats = FILEDB_STATS_INIT;
  filedb_iter_t *iter = NULL;
  static char value[1000];
  char key[32];
  int i;
  EXPECT(FILEDB_OK, open_with(in_temp("store"), "merge", "manual", &db));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, filedb_stats(db, &stats, &err));
  CHECK(stats.struct_size == sizeof stats);
  CHECK(stats.keys == 0 && stats.files == 1 && stats.live_bytes == 0 && stats.appended_bytes == 0);
  for (i = 0; i < 200; i++) {
    snprintf(key, sizeof key, "key %d", i % 100);
    EXPECT(FILEDB_OK, filedb_put(db, key, strlen(key), value, sizeof value, &err));
  }
  EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &iter, &err));
  EXPECT(FILEDB_OK, filedb_sync(db, &err));
  EXPECT(FILEDB_OK, filedb_stats(db, &stats, &err));
  CHECK(stats.keys == 100 && stats.iterators == 1 && stats.merging == 0 && stats.merges == 0);
  CHECK(stats.data_bytes > 200 * 1000 && stats.appended_bytes > 200 * 1000);
  CHECK(stats.live_bytes > 80 * 1000 && stats.live_bytes < 150 * 1000);
  CHECK(stats.index_bytes > 0 && stats.syncs > 0 && stats.clock_ahead_ms == 0);
  filedb_iter_free(iter);
  EXPECT(FILEDB_OK, filedb_merge(db, &err));
  EXPECT(FILEDB_OK, filedb_stats(db, &stats, &err));
  CHECK(stats.keys == 100 && stats.iterators == 0 && stats.merges > 0 && stats.merged_bytes > 0);
  CHECK(stats.data_bytes < 150 * 1000);
  close_store(db);
  stats.keys = 99;
  EXPECT(FILEDB_ERR_CLOSED, filedb_stats(db, &stats, &err));
  CHECK(stats.keys == 0 && stats.struct_size == sizeof stats);
}

static void numbers_of_another_size_are_written_within_their_bounds(void) {
  filedb_t *db = open_store(in_temp("store"));
  union {
    filedb_stats_t stats;
    unsigned char bytes[sizeof(filedb_stats_t) + 64];
  } memory;
  uint32_t size;
  size_t i;
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  for (size = 0; size <= sizeof memory; size++) {
    filedb_status_t status;
    memset(&memory, 0xee, sizeof memory);
    memory.stats.struct_size = size;
    status = filedb_stats(db, &memory.stats, &err);
    CHECK(memory.stats.struct_size == size);
    if (size > 0 && size < 16) {
      CHECK(status == FILEDB_ERR_INVALID_ARGUMENT && strstr(err.message, "struct_size") != NULL);
      for (i = 4; i < sizeof memory; i++) NEED(memory.bytes[i] == 0xee);
    } else {
      CHECK(status == FILEDB_OK && memory.stats.keys == 1);
      for (i = size == 0 ? 104 : size; i < sizeof memory; i++) NEED(memory.bytes[i] == 0xee);
      for (i = sizeof memory.stats; i < size; i++) NEED(memory.bytes[i] == 0);
    }
  }
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "'out' is NULL", filedb_stats(db, NULL, &err));
  memory.stats.struct_size = sizeof(filedb_stats_t);
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "handle is NULL", filedb_stats(NULL, &memory.stats, &err));
  CHECK(memory.stats.keys == 0);
  close_store(db);
}

/* ---- Events -------------------------------------------------------------------------------- */

struct events {
  pthread_mutex_t lock;
  int count, of_level[6];
  char last[512];
};

static void note_event(void *ctx, int32_t level, const char *message, size_t len) {
  struct events *events = ctx;
  pthread_mutex_lock(&events->lock);
  events->count++;
  events->of_level[level >= 1 && level <= 4 ? level : 5]++;
  if (len >= sizeof events->last) len = sizeof events->last - 1;
  memcpy(events->last, message, len);
  events->last[len] = 0;
  pthread_mutex_unlock(&events->lock);
}

/* Opens, overwrites, merges and closes; the store reports what it likes of it to `events`. */
static void work(struct events *events, const char *level) {
  filedb_options_t *options = filedb_options_new();
  filedb_t *db = NULL;
  int i;
  EXPECT(FILEDB_OK, filedb_options_set(options, "io", io_mode, &err));
  EXPECT(FILEDB_OK, filedb_options_set(options, "merge", "manual", &err));
  EXPECT(FILEDB_OK, filedb_options_set(options, "max_file_size", "4KiB", &err));
  EXPECT(FILEDB_OK, filedb_options_set(options, "log_level", level, &err));
  EXPECT(FILEDB_OK, filedb_options_set_log(options, events != NULL ? note_event : NULL, events, &err));
  EXPECT(FILEDB_OK, filedb_open(in_temp("store"), options, &db, &err));
  filedb_options_free(options);
  NEED(db != NULL);
  for (i = 0; i < 500; i++) EXPECT(FILEDB_OK, put_text(db, "k", "a value that is overwritten again and again"));
  EXPECT(FILEDB_OK, filedb_merge(db, &err));
  close_store(db);
}

static void events_go_to_the_function_that_was_named(void) {
  struct events events = {PTHREAD_MUTEX_INITIALIZER, 0, {0}, ""};
  int info;
  work(&events, "info");
  CHECK(events.count > 0 && events.of_level[FILEDB_LOG_INFO] > 0);
  CHECK(events.of_level[FILEDB_LOG_DEBUG] == 0 && events.of_level[FILEDB_LOG_ERROR] == 0);
  CHECK(events.of_level[5] == 0 && events.last[0] != 0);
  info = events.count;
  work(&events, "debug");
  CHECK(events.of_level[FILEDB_LOG_DEBUG] > 0 && events.count > 2 * info);
  info = events.count;
  work(&events, "error");
  work(NULL, "debug");
  CHECK(events.count == info);
}

static void options_that_are_none_take_no_function(void) {
  filedb_options_t *options = filedb_options_new();
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT, filedb_options_set_log(NULL, note_event, NULL, &err));
  EXPECT(FILEDB_OK, filedb_options_set_log(options, note_event, NULL, &err));
  EXPECT(FILEDB_OK, filedb_options_set_log(options, NULL, NULL, &err));
  filedb_options_free(options);
  EXPECT(FILEDB_ERR_CLOSED, filedb_options_set_log(options, note_event, NULL, &err));
}

int main(void) {
  RUN_BOTH(the_numbers_follow_what_happens);
  RUN_BOTH(numbers_of_another_size_are_written_within_their_bounds);
  RUN_BOTH(events_go_to_the_function_that_was_named);
  RUN(options_that_are_none_take_no_function);
  return finish();
}
