/* The largest that fits, the smallest that does not, and lengths that no memory has. */
#include "harness.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MAX_KEY 65536u

static unsigned char big_key[MAX_KEY + 1];
static filedb_pinned_t pinned;
static filedb_status_t status;
static void *value;
static size_t len;
static filedb_slice_t *keys;

static void the_longest_key_is_a_key(void) {
  filedb_t *db = open_store(in_temp("store"));
  size_t i;
  NEED(db != NULL);
  for (i = 0; i < sizeof big_key; i++) big_key[i] = (unsigned char)(i * 7);
  EXPECT(FILEDB_OK, filedb_put(db, big_key, MAX_KEY, "longest", 7, &err));
  EXPECT(FILEDB_OK, filedb_put(db, big_key, MAX_KEY - 1, "shorter", 7, &err));
  EXPECT(FILEDB_OK, filedb_put(db, big_key, 1, "shortest", 8, &err));
  CHECK(has_bytes(db, big_key, MAX_KEY, "longest", 7));
  close_store(db);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_bytes(db, big_key, MAX_KEY, "longest", 7));
  CHECK(has_bytes(db, big_key, MAX_KEY - 1, "shorter", 7));
  CHECK(has_bytes(db, big_key, 1, "shortest", 8));
  EXPECT(FILEDB_OK, filedb_list(db, big_key, MAX_KEY, &keys, &len, &err));
  CHECK(len == 1 && keys[0].len == MAX_KEY && memcmp(keys[0].data, big_key, MAX_KEY) == 0);
  filedb_free(keys);
  EXPECT(FILEDB_OK, filedb_delete(db, big_key, MAX_KEY, &err));
  CHECK(count_of(db) == 2);
  close_store(db);
}

static void refuse_key(filedb_t *db, const void *key, size_t key_len, const char *number) {
  filedb_slice_t slice;
  slice.data = key;
  slice.len = key_len;
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, number, filedb_put(db, key, key_len, "v", 1, &err));
  CHECK(strstr(err.message, "65536") != NULL);
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, number, filedb_delete(db, key, key_len, &err));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, number, filedb_exists(db, key, key_len, &err));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, number, filedb_get(db, key, key_len, &value, &len, &err));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, number, filedb_get_into(db, key, key_len, NULL, 0, &len, &err));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, number, filedb_get_pinned(db, key, key_len, &pinned, &err));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, number,
               filedb_get_many(db, &slice, 1, &pinned, &status, &err));
  CHECK(status == FILEDB_ERR_TOO_LARGE);
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, number, filedb_list(db, key, key_len, &keys, &len, &err));
}

/* Only the first byte of these keys is memory: the length alone has to be enough to refuse them. */
static void a_key_that_is_too_long_is_refused_by_every_verb(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  refuse_key(db, big_key, MAX_KEY + 1, "65537");
  refuse_key(db, "k", (size_t)1 << 32, "4294967296");
  refuse_key(db, "k", SIZE_MAX / 2, "9223372036854775807");
  refuse_key(db, "k", SIZE_MAX / 2 + 1, "9223372036854775808");
  refuse_key(db, "k", SIZE_MAX, "18446744073709551615");
  CHECK(count_of(db) == 0);
  close_store(db);
}

static void a_value_that_is_too_long_is_refused_before_its_memory_is_read(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "old"));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, "4294967296",
               filedb_put(db, "k", 1, "x", (size_t)1 << 32, &err));
  CHECK(strstr(err.message, "4294967295") != NULL);
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, "value", filedb_put(db, "k", 1, "x", SIZE_MAX / 2 + 1, &err));
  EXPECT_ERROR(FILEDB_ERR_TOO_LARGE, "value", filedb_put(db, "k", 1, "x", SIZE_MAX, &err));
  CHECK(has_text(db, "k", "old") && count_of(db) == 1);
  close_store(db);
}

static void more_keys_than_memory_has_room_for_are_refused(void) {
  filedb_t *db = open_store(in_temp("store"));
  filedb_slice_t key = {"k", 1};
  NEED(db != NULL);
  status = 99;
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "18446744073709551615",
               filedb_get_many(db, &key, SIZE_MAX, &pinned, &status, &err));
  EXPECT(FILEDB_ERR_INVALID_ARGUMENT,
         filedb_get_many(db, &key, SIZE_MAX / sizeof key, &pinned, &status, &err));
  CHECK(status == 99);
  close_store(db);
}

static void a_value_larger_than_a_file_gets_a_file_of_its_own(void) {
  enum { SIZE = 300000 };
  static char large[SIZE];
  filedb_t *db = NULL;
  int i;
  for (i = 0; i < SIZE; i++) large[i] = (char)(i % 251);
  EXPECT(FILEDB_OK, open_with(in_temp("store"), "max_file_size", "4KiB", &db));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "before", "1"));
  EXPECT(FILEDB_OK, filedb_put(db, "large", 5, large, SIZE, &err));
  EXPECT(FILEDB_OK, put_text(db, "after", "2"));
  CHECK(has_bytes(db, "large", 5, large, SIZE));
  close_store(db);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_bytes(db, "large", 5, large, SIZE));
  CHECK(has_text(db, "before", "1") && has_text(db, "after", "2"));
  close_store(db);
}

static void a_value_of_many_megabytes_is_a_value(void) {
  const size_t size = 40u << 20;
  filedb_t *db = open_store(in_temp("store"));
  unsigned char *large = malloc(size);
  size_t i;
  NEED(db != NULL && large != NULL);
  for (i = 0; i < size; i++) large[i] = (unsigned char)(i ^ (i >> 8) ^ (i >> 16));
  EXPECT(FILEDB_OK, filedb_put(db, "large", 5, large, size, &err));
  CHECK(has_bytes(db, "large", 5, large, size));
  EXPECT(FILEDB_OK, filedb_get_pinned(db, "large", 5, &pinned, &err));
  CHECK(pinned.len == size && memcmp(pinned.data, large, size) == 0);
  filedb_unpin(&pinned);
  close_store(db);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_bytes(db, "large", 5, large, size));
  close_store(db);
  free(large);
}

/* The addresses that are taken, in bytes. */
static rlim_t memory_in_use(void) {
  long pages = 0;
  FILE *statm = fopen("/proc/self/statm", "r");
  CHECK(statm != NULL && fscanf(statm, "%ld", &pages) == 1 && fclose(statm) == 0);
  return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void read_without_memory(void *unused) {
  const filedb_slice_t name_of_large = {"large", 5};
  const size_t size = 64u << 20;
  filedb_t *db = open_store(in_temp("store"));
  unsigned char *large = calloc(1, size);
  struct rlimit limit;
  char small[4];
  (void)unused;
  NEED(db != NULL && large != NULL);
  EXPECT(FILEDB_OK, put_text(db, "small", "abc"));
  EXPECT(FILEDB_OK, filedb_put(db, "large", 5, large, size, &err));
  free(large);
  limit.rlim_cur = limit.rlim_max = memory_in_use() + (16u << 20);
  NEED(setrlimit(RLIMIT_AS, &limit) == 0);
  EXPECT_ERROR(FILEDB_ERR_NO_MEMORY, "memory", filedb_get(db, "large", 5, &value, &len, &err));
  CHECK(value == NULL && len == 0);
  /* Without mapped files a pinned value is a copy too. */
  EXPECT(strcmp(io_mode, "mmap") == 0 ? FILEDB_OK : FILEDB_ERR_NO_MEMORY,
         filedb_get_pinned(db, "large", 5, &pinned, &err));
  filedb_unpin(&pinned);
  EXPECT(strcmp(io_mode, "mmap") == 0 ? FILEDB_OK : FILEDB_ERR_NO_MEMORY,
         filedb_get_many(db, &name_of_large, 1, &pinned, &status, &err));
  filedb_unpin(&pinned);
  EXPECT(strcmp(io_mode, "mmap") == 0 ? FILEDB_OK : FILEDB_ERR_NO_MEMORY,
         filedb_expire(db, "large", 5, 1000000, &err));
  EXPECT(FILEDB_OK, filedb_get_into(db, "small", 5, small, 4, &len, &err));
  CHECK(len == 3 && memcmp(small, "abc", 3) == 0);
  EXPECT(FILEDB_OK, put_text(db, "small", "def"));
  CHECK(has_text(db, "small", "def"));
  close_store(db);
}

static void write_without_memory(void *unused) {
  const rlim_t step = 1u << 20;
  const size_t count = 300000;
  filedb_t *db = open_store(in_temp("store"));
  filedb_batch_t *batch = filedb_batch_new();
  filedb_status_t written = FILEDB_ERR_NO_MEMORY;
  struct rlimit limit;
  size_t i, refused;
  (void)unused;
  NEED(db != NULL && batch != NULL);
  for (i = 0; i < count; i++) {
    NEED(filedb_batch_put(batch, i % 2 ? "odd" : "even", i % 2 ? 3 : 4, &i, sizeof i, &err) == FILEDB_OK);
  }
  NEED(getrlimit(RLIMIT_AS, &limit) == 0);
  for (refused = 0; written == FILEDB_ERR_NO_MEMORY; refused++) {
    /* Above what is in use now: a thread of the store may have given memory back since the last attempt. */
    limit.rlim_cur = memory_in_use() + (refused + 1) * step;
    NEED(setrlimit(RLIMIT_AS, &limit) == 0);
    written = filedb_write(db, batch, &err);
    CHECK(written == FILEDB_OK || filedb_exists(db, "odd", 3, &err) == FILEDB_NOT_FOUND);
  }
  EXPECT(FILEDB_OK, written);
  /* Records, hashes twice, places, headers and frames: 20 steps and more. */
  CHECK(refused > 20);
  i = count - 1;
  CHECK(has_bytes(db, "odd", 3, &i, sizeof i));
  i = count - 2;
  CHECK(has_bytes(db, "even", 4, &i, sizeof i));
  filedb_batch_free(batch);
  close_store(db);
}

static void without_memory(void (*body)(void *)) {
  const char *preload = getenv("LD_PRELOAD");
  if (preload != NULL && strstr(preload, "vgpreload") != NULL) {
    printf("  SKIPPED: valgrind needs the memory itself that this test takes away\n");
    return;
  }
  in_child(body, NULL);
}

static void a_batch_that_memory_has_no_room_for_is_an_error_and_not_the_end(void) {
  without_memory(write_without_memory);
}

static void a_value_that_memory_has_no_room_for_is_an_error_and_not_the_end(void) {
  without_memory(read_without_memory);
}

struct limited {
  const char *path;
  rlim_t bytes;
};

static unsigned char kilobyte[1000];

static void write_until_a_file_may_not_grow(void *argument) {
  const struct limited *limited = argument;
  struct rlimit limit;
  filedb_t *db = NULL;
  filedb_status_t answer;
  unsigned n;
  NEED(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  limit.rlim_cur = limited->bytes;
  NEED(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  answer = open_with(limited->path, NULL, NULL, &db);
  for (n = 0; answer == FILEDB_OK && n < 100000; n++) {
    answer = filedb_put(db, &n, sizeof n, kilobyte, sizeof kilobyte, &err);
  }
  EXPECT(FILEDB_ERR_NO_SPACE, answer);
  if (db == NULL) return;
  while (--n > 0) {
    const unsigned before = n - 1;
    CHECK(has_bytes(db, &before, sizeof before, kilobyte, sizeof kilobyte));
  }
  /* There may be no room for what an opening is quick by, either. */
  answer = filedb_close(db, &err);
  CHECK(answer == FILEDB_OK || answer == FILEDB_ERR_NO_SPACE);
}

static void a_limit_on_the_size_of_files_is_an_error_and_not_the_end_in(const char *directory) {
  static const rlim_t limits[] = {0, 1, 4096, 70000, 300000, 2000000};
  struct limited limited;
  unsigned i, n;
  for (i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    char path[700];
    filedb_t *db;
    uint64_t count;
    snprintf(path, sizeof path, "%s/store %u", directory, i);
    limited.path = path;
    limited.bytes = limits[i];
    in_child(write_until_a_file_may_not_grow, &limited);
    NEED((db = open_store(path)) != NULL);
    count = count_of(db);
    CHECK(count * 1000 <= limits[i] && (limits[i] < 300000 || count > 0));
    for (n = 0; n < count; n++) CHECK(has_bytes(db, &n, sizeof n, kilobyte, sizeof kilobyte));
    close_store(db);
  }
}

/* The kernel ends most programs that write behind such a limit, and on file systems in memory those that only reserve. */
static void a_limit_on_the_size_of_files_is_an_error_and_not_the_end(void) {
  char in_memory[64];
  a_limit_on_the_size_of_files_is_an_error_and_not_the_end_in(temp_dir);
  snprintf(in_memory, sizeof in_memory, "/dev/shm/filedb-test-%ld", (long)getpid());
  if (mkdir(in_memory, 0777) != 0) {
    printf("  NOT RUN on a file system in memory: %s cannot be made\n", in_memory);
    return;
  }
  a_limit_on_the_size_of_files_is_an_error_and_not_the_end_in(in_memory);
  remove_tree(in_memory);
}

/* So much a thread needs that calls the library; musl gives a new thread twice that. */
#define SMALL_STACK (64 * 1024)

static void *do_everything(void *unused) {
  filedb_batch_t *batch = filedb_batch_new();
  filedb_iter_t *iter = NULL;
  filedb_slice_t key, found;
  filedb_t *db = NULL;
  char name[16], byte[900];
  int round, i;
  (void)unused;
  memset(byte, 'x', sizeof byte);
  for (round = 0; round < 2; round++) {
    EXPECT(FILEDB_OK, open_with(in_temp("store"), "max_file_size", "64KiB", &db));
    if (db == NULL) return NULL;
    for (i = 0; i < 400; i++) {
      snprintf(name, sizeof name, "%d", i % 100);
      EXPECT(FILEDB_OK, filedb_put(db, name, strlen(name), byte, sizeof byte, &err));
    }
    EXPECT(FILEDB_OK, filedb_batch_put(batch, "batch", 5, "v", 1, &err));
    EXPECT(FILEDB_OK, filedb_batch_put(batch, "other", 5, "v", 1, &err));
    EXPECT(FILEDB_OK, filedb_write(db, batch, &err));
    EXPECT(FILEDB_OK, filedb_get_pinned(db, "1", 1, &pinned, &err));
    filedb_unpin(&pinned);
    EXPECT(FILEDB_OK, filedb_iter_new(db, NULL, 0, &iter, &err));
    while (filedb_iter_next(iter, &key, &found, &err) == FILEDB_OK) {
    }
    filedb_iter_free(iter);
    for (i = 0; i < 50; i++) {
      snprintf(name, sizeof name, "%d", i);
      EXPECT(FILEDB_OK, filedb_delete(db, name, strlen(name), &err));
    }
    EXPECT(FILEDB_OK, filedb_merge(db, &err));
    EXPECT(FILEDB_OK, filedb_sync(db, &err));
    close_store(db);
  }
  filedb_batch_free(batch);
  return NULL;
}

static void a_thread_gets_by_with_64_kib_of_stack(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  NEED(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, SMALL_STACK) == 0);
  NEED(pthread_create(&thread, &attributes, do_everything, NULL) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  pthread_attr_destroy(&attributes);
}

int main(void) {
  RUN_BOTH(the_longest_key_is_a_key);
  RUN_BOTH(a_key_that_is_too_long_is_refused_by_every_verb);
  RUN_BOTH(a_value_that_is_too_long_is_refused_before_its_memory_is_read);
  RUN_BOTH(more_keys_than_memory_has_room_for_are_refused);
  RUN_BOTH(a_value_larger_than_a_file_gets_a_file_of_its_own);
  RUN_BOTH(a_value_of_many_megabytes_is_a_value);
  RUN_BOTH(a_value_that_memory_has_no_room_for_is_an_error_and_not_the_end);
  RUN_BOTH(a_batch_that_memory_has_no_room_for_is_an_error_and_not_the_end);
  RUN_BOTH(a_limit_on_the_size_of_files_is_an_error_and_not_the_end);
  RUN_BOTH(a_thread_gets_by_with_64_kib_of_stack);
  return finish();
}
