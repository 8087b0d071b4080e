/* Opening: what is refused, with which words, and that a refusal changes nothing. */
#include "harness.h"

#include <signal.h>
#include <sys/resource.h>

static int has_errno(int wanted) {
  if (err.os_errno == wanted) return 1;
  printf("  the error struct has errno %d (%s), not %d (%s)\n", (int)err.os_errno,
         strerror(err.os_errno), wanted, strerror(wanted));
  return 0;
}

static void a_path_that_is_a_file_is_refused(void) {
  filedb_t *db = NULL;
  const char *path = in_temp("file");
  FILE *file = fopen(path, "w");
  NEED(file != NULL && fputs("mine", file) >= 0 && fclose(file) == 0);
  EXPECT_ERROR(FILEDB_ERR_IO, path, open_with(path, NULL, NULL, &db));
  CHECK(db == NULL && has_errno(ENOTDIR));
  CHECK(strstr(err.message, strerror(ENOTDIR)) != NULL);
  file = fopen(path, "r");
  CHECK(file != NULL && fgetc(file) == 'm' && fclose(file) == 0);
}

static void a_path_below_a_file_is_refused(void) {
  filedb_t *db = NULL;
  FILE *file = fopen(in_temp("file"), "w");
  NEED(file != NULL && fclose(file) == 0);
  EXPECT_ERROR(FILEDB_ERR_IO, "file/store", open_with(in_temp("file/store"), NULL, NULL, &db));
  CHECK(db == NULL && has_errno(ENOTDIR));
}

static void a_missing_store_is_refused_where_none_may_be_created(void) {
  filedb_t *db = NULL;
  const char *path = in_temp("store");
  EXPECT_ERROR(FILEDB_ERR_MISSING, path, open_with(path, "create_if_missing", "false", &db));
  CHECK(strstr(err.message, "create_if_missing") != NULL);
  CHECK(db == NULL && has_errno(ENOENT));
  CHECK(access(path, F_OK) != 0);
  db = open_store(path);
  NEED(db != NULL);
  close_store(db);
  EXPECT(FILEDB_OK, open_with(path, "create_if_missing", "false", &db));
  close_store(db);
}

static void an_empty_directory_is_no_store_but_can_become_one(void) {
  filedb_t *db = NULL;
  const char *path = in_temp("empty");
  NEED(mkdir(path, 0755) == 0);
  EXPECT_ERROR(FILEDB_ERR_MISSING, path, open_with(path, "create_if_missing", "false", &db));
  CHECK(db == NULL && rmdir(path) == 0 && mkdir(path, 0755) == 0); /* no debris */
  EXPECT(FILEDB_OK, open_with(path, "error_if_exists", "true", &db));
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
}

static void an_existing_store_is_refused_where_a_new_one_was_asked_for(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
  EXPECT_ERROR(FILEDB_ERR_EXISTS, in_temp("store"),
               open_with(in_temp("store"), "error_if_exists", "true", &db));
  CHECK(db == NULL && strstr(err.message, "error_if_exists") != NULL);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "v"));
  close_store(db);
}

static void a_second_open_is_refused_until_the_first_is_closed(void) {
  filedb_t *first = open_store(in_temp("store"));
  filedb_t *second = NULL;
  NEED(first != NULL);
  EXPECT(FILEDB_OK, put_text(first, "k", "v"));
  EXPECT_ERROR(FILEDB_ERR_LOCKED, in_temp("store"), open_with(in_temp("store"), NULL, NULL, &second));
  CHECK(second == NULL);
  CHECK(has_text(first, "k", "v"));
  EXPECT(FILEDB_OK, put_text(first, "k", "w"));
  close_store(first);
  second = open_store(in_temp("store"));
  NEED(second != NULL);
  CHECK(has_text(second, "k", "w"));
  close_store(second);
}

static void another_name_of_an_open_store_is_refused_too(void) {
  filedb_t *first = open_store(in_temp("store"));
  filedb_t *second = NULL;
  NEED(first != NULL && symlink(in_temp("store"), in_temp("link")) == 0);
  EXPECT(FILEDB_ERR_LOCKED, open_with(in_temp("link"), NULL, NULL, &second));
  EXPECT(FILEDB_OK, put_text(first, "k", "v"));
  close_store(first);
  second = open_store(in_temp("link"));
  NEED(second != NULL);
  CHECK(has_text(second, "k", "v"));
  close_store(second);
}

/* The other process is killed without a chance to clean up. */
static void the_lock_of_another_process_ends_with_it(void) {
  int ready[2], status, i;
  char byte;
  pid_t child;
  filedb_t *db = NULL;
  NEED(pipe(ready) == 0);
  fflush(stdout);
  child = fork();
  if (child == 0) {
    alarm(60);
    db = open_store(in_temp("store"));
    for (i = 0; i < 100; i++) {
      char key[16];
      snprintf(key, sizeof key, "%d", i);
      put_text(db, key, "of the child");
    }
    if (write(ready[1], "x", 1) == 1) pause();
    _exit(1);
  }
  NEED(child > 0 && read(ready[0], &byte, 1) == 1);
  EXPECT_ERROR(FILEDB_ERR_LOCKED, in_temp("store"), open_with(in_temp("store"), NULL, NULL, &db));
  CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(count_of(db) == 100);
  CHECK(has_text(db, "0", "of the child") && has_text(db, "99", "of the child"));
  close_store(db);
  close(ready[0]);
  close(ready[1]);
}

static void a_store_that_is_read_only_takes_no_writes(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
  EXPECT(FILEDB_OK, open_with(in_temp("store"), "read_only", "true", &db));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "v") && count_of(db) == 1);
  EXPECT_ERROR(FILEDB_ERR_READ_ONLY, "read_only", put_text(db, "k", "w"));
  EXPECT_ERROR(FILEDB_ERR_READ_ONLY, "read_only", filedb_delete(db, "k", 1, &err));
  CHECK(has_text(db, "k", "v"));
  close_store(db);
}

/* A live reader of a store, which another handle may have open for writing. */
static filedb_status_t open_live(const char *path, filedb_t **db) {
  filedb_options_t *options = filedb_options_new();
  filedb_status_t status = filedb_options_set(options, "io", io_mode, &err);
  if (status == FILEDB_OK) status = filedb_options_set(options, "read_only", "true", &err);
  if (status == FILEDB_OK) status = filedb_options_set(options, "live", "true", &err);
  if (status == FILEDB_OK) status = filedb_open(path, options, db, &err);
  filedb_options_free(options);
  return status;
}

static void a_live_reader_is_right(const char *name, const char *engine) {
  filedb_t *writer = NULL, *reader = NULL;
  EXPECT_ERROR(FILEDB_ERR_MISSING, in_temp(name), open_live(in_temp(name), &reader));
  EXPECT_ERROR(FILEDB_ERR_UNSUPPORTED, "memory", open_live("memory://", &reader));
  EXPECT_ERROR(FILEDB_ERR_INVALID_ARGUMENT, "read_only", open_with(in_temp(name), "live", "true", &reader));
  EXPECT(FILEDB_OK, open_with(in_temp(name), "engine", engine, &writer));
  NEED(writer != NULL);
  EXPECT(FILEDB_OK, put_text(writer, "k", "v"));
  EXPECT(FILEDB_OK, open_live(in_temp(name), &reader));
  NEED(reader != NULL);
  CHECK(has_text(reader, "k", "v"));
  EXPECT(FILEDB_OK, put_text(writer, "k", "w"));
  CHECK(has_text(reader, "k", "w") && count_of(reader) == 1);
  EXPECT_ERROR(FILEDB_ERR_READ_ONLY, "read_only", put_text(reader, "k", "x"));
  close_store(writer);
  CHECK(has_text(reader, "k", "w"));
  writer = open_store(in_temp(name));
  NEED(writer != NULL);
  EXPECT(FILEDB_OK, filedb_delete(writer, "k", 1, &err));
  CHECK(count_of(reader) == 0);
  close_store(reader);
  close_store(writer);
}

static void a_live_reader_sees_what_is_written_beside_it_and_writes_nothing(void) {
  a_live_reader_is_right("store", "bitcask");
  a_live_reader_is_right("ordered", "lsm");
}

static void a_read_only_open_of_nothing_creates_nothing(void) {
  filedb_t *db = NULL;
  EXPECT_ERROR(FILEDB_ERR_MISSING, in_temp("store"), open_with(in_temp("store"), "read_only", "true", &db));
  CHECK(db == NULL && access(in_temp("store"), F_OK) != 0);
}

static void a_path_need_not_be_text(void) {
  filedb_t *db = open_store(in_temp("\xff\xfe store\n"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
  CHECK(access(in_temp("\xff\xfe store\n"), F_OK) == 0);
  db = open_store(in_temp("\xff\xfe store\n"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "v"));
  close_store(db);
}

static void a_path_that_is_too_long_is_an_error_that_still_fits(void) {
  static char path[6000];
  filedb_t *db = NULL;
  memset(path, 'x', sizeof path - 1);
  EXPECT_ERROR(FILEDB_ERR_IO, "xxx", open_with(path, NULL, NULL, &db));
  CHECK(db == NULL && has_errno(ENAMETOOLONG));
  CHECK(memchr(err.message, 0, sizeof err.message) != NULL);
}

static void a_directory_of_somebody_else_can_be_used_by_nobody(void *unused) {
  filedb_t *db = NULL;
  (void)unused;
  if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0) {
    printf("  SKIPPED: the permission test needs another user: %s\n", strerror(errno));
    return;
  }
  /* A new store below a directory that takes no files, and a store that cannot be looked into. */
  EXPECT_ERROR(FILEDB_ERR_IO, in_temp("closed/new"),
               open_with(in_temp("closed/new"), NULL, NULL, &db));
  CHECK(db == NULL && has_errno(EACCES));
  CHECK(strstr(err.message, strerror(EACCES)) != NULL);
  EXPECT_ERROR(FILEDB_ERR_IO, in_temp("closed"), open_with(in_temp("closed"), NULL, NULL, &db));
  CHECK(db == NULL && has_errno(EACCES));
  EXPECT_ERROR(FILEDB_ERR_IO, in_temp("secret"), open_with(in_temp("secret"), NULL, NULL, &db));
  CHECK(db == NULL && has_errno(EACCES));
}

static void a_directory_without_permission_is_refused(void) {
  filedb_t *db = open_store(in_temp("secret"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
  NEED(chmod(in_temp("secret"), 0) == 0 && mkdir(in_temp("closed"), 0555) == 0);
  NEED(chmod(temp_root, 0755) == 0);
  in_child(a_directory_of_somebody_else_can_be_used_by_nobody, NULL);
  NEED(chmod(in_temp("secret"), 0700) == 0);
  db = open_store(in_temp("secret"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "v"));
  close_store(db);
}

static void no_file_can_be_opened(void *unused) {
  struct rlimit limit;
  filedb_t *db = NULL;
  (void)unused;
  NEED(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = 64;
  NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  while (open("/dev/null", O_RDONLY) >= 0) { /* until there is none left */
  }
  EXPECT_ERROR(FILEDB_ERR_IO, in_temp("store"), open_with(in_temp("store"), NULL, NULL, &db));
  CHECK(db == NULL && has_errno(EMFILE));
}

static void an_open_without_file_descriptors_says_so_and_harms_nothing(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
  in_child(no_file_can_be_opened, NULL);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "v"));
  close_store(db);
}

static void failed_and_closed_opens_leave_no_file_descriptor(void) {
  filedb_t *db = NULL;
  int before, after, i;
  FILE *file = fopen(in_temp("file"), "w");
  NEED(file != NULL && fclose(file) == 0);
  close_store(open_store(in_temp("store")));
  before = open("/dev/null", O_RDONLY);
  for (i = 0; i < 20; i++) {
    EXPECT(FILEDB_ERR_IO, open_with(in_temp("file"), NULL, NULL, &db));
    EXPECT(FILEDB_ERR_EXISTS, open_with(in_temp("store"), "error_if_exists", "true", &db));
    close_store(open_store(in_temp("store")));
  }
  after = open("/dev/null", O_RDONLY);
  CHECK(before >= 0 && after == before + 1);
  close(before);
  close(after);
}

static void files_that_are_not_ours_are_left_alone(void) {
  filedb_t *db = open_store(in_temp("store"));
  FILE *file = fopen(in_temp("store/README"), "w");
  NEED(db != NULL && file != NULL && fputs("mine", file) >= 0 && fclose(file) == 0);
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
  db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(has_text(db, "k", "v"));
  close_store(db);
  file = fopen(in_temp("store/README"), "r");
  CHECK(file != NULL && fgetc(file) == 'm' && fclose(file) == 0);
}

int main(void) {
  RUN_BOTH(a_path_that_is_a_file_is_refused);
  RUN_BOTH(a_path_below_a_file_is_refused);
  RUN_BOTH(a_missing_store_is_refused_where_none_may_be_created);
  RUN_BOTH(an_empty_directory_is_no_store_but_can_become_one);
  RUN_BOTH(an_existing_store_is_refused_where_a_new_one_was_asked_for);
  RUN_BOTH(a_second_open_is_refused_until_the_first_is_closed);
  RUN_BOTH(another_name_of_an_open_store_is_refused_too);
  RUN_BOTH(the_lock_of_another_process_ends_with_it);
  RUN_BOTH(a_store_that_is_read_only_takes_no_writes);
  RUN_BOTH(a_live_reader_sees_what_is_written_beside_it_and_writes_nothing);
  RUN_BOTH(a_read_only_open_of_nothing_creates_nothing);
  RUN_BOTH(a_path_need_not_be_text);
  RUN_BOTH(a_path_that_is_too_long_is_an_error_that_still_fits);
  RUN_BOTH(a_directory_without_permission_is_refused);
  RUN_BOTH(an_open_without_file_descriptors_says_so_and_harms_nothing);
  RUN_BOTH(failed_and_closed_opens_leave_no_file_descriptor);
  RUN_BOTH(files_that_are_not_ours_are_left_alone);
  return finish();
}
