/*
 * What every C test of filedb begins with: checks, temporary directories, and the final count.
 * One header and no library, so that each test is one file and one program.
 *
 *   static void a_sentence_about_what_holds(void) { CHECK(1 + 1 == 2); }
 *   int main(void) { RUN(a_sentence_about_what_holds); return finish(); }
 *
 * A failed check prints where and what, fails its test, and lets it go on; NEED leaves the test.
 * With ONLY=part in the environment, only tests whose name has that part run.
 * Include this first: it says which POSIX the test is written for.
 */
#ifndef FILEDB_TESTS_HARNESS_H
#define FILEDB_TESTS_HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filedb.h"

#if defined(__GNUC__)
#define MAYBE_UNUSED __attribute__((unused))
#else
#define MAYBE_UNUSED
#endif

/* ---- Counting ------------------------------------------------------------------------------ */

static int tests_passed, tests_failed, checks_failed_here;
/* What runs now, for messages: the option io of the stores that open_store() opens. */
static const char *io_mode = "mmap";

#define CHECK(condition)                                                                        \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      printf("  %s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
      checks_failed_here++;                                                                     \
    }                                                                                           \
  } while (0)

/* As CHECK, but what follows makes no sense without it. */
#define NEED(condition)                                                                         \
  do {                                                                                          \
    int checks_failed_before = checks_failed_here;                                              \
    CHECK(condition);                                                                           \
    if (checks_failed_here != checks_failed_before) return;                                     \
  } while (0)

static char temp_root[256];
static char temp_dir[300];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where) {
  (void)st;
  (void)kind;
  (void)where;
  return remove(path);
}

static void remove_tree(const char *path) {
  (void)chmod(path, 0700);
  nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static pid_t temp_owner;

static void remove_temp_root(void) {
  /* A forked child that ends by exit() must not take its parent's files away. */
  if (temp_root[0] != 0 && getpid() == temp_owner) remove_tree(temp_root);
}

static void run_test(const char *name, void (*test)(void)) {
  static int number;
  const char *only = getenv("ONLY");
  if (only != NULL && strstr(name, only) == NULL) return;
  if (temp_root[0] == 0) {
    const char *base = getenv("TMPDIR");
    snprintf(temp_root, sizeof temp_root, "%s/filedb-test-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(temp_root) == NULL) {
      perror("mkdtemp");
      exit(2);
    }
    temp_owner = getpid();
    atexit(remove_temp_root);
  }
  snprintf(temp_dir, sizeof temp_dir, "%s/%d", temp_root, ++number);
  if (mkdir(temp_dir, 0755) != 0) {
    perror("mkdir");
    exit(2);
  }
  checks_failed_here = 0;
  test();
  if (checks_failed_here == 0) tests_passed++;
  else tests_failed++;
  printf("%s %s\n", checks_failed_here == 0 ? "ok    " : "FAILED", name);
  fflush(stdout);
  remove_tree(temp_dir);
}

#define RUN(test) run_test(#test, test)

/* Runs a test on a store with mapped files, and on one without. */
#define RUN_BOTH(test)                                                                          \
  do {                                                                                          \
    io_mode = "mmap";                                                                           \
    run_test(#test " (io=mmap)", test);                                                         \
    io_mode = "pread";                                                                          \
    run_test(#test " (io=pread)", test);                                                        \
    io_mode = "mmap";                                                                           \
  } while (0)

static int finish(void) {
  printf("%d passed, %d failed\n", tests_passed, tests_failed);
  return tests_failed == 0 ? 0 : 1;
}

/* ---- Statuses and messages ----------------------------------------------------------------- */

static filedb_error_t err = FILEDB_ERROR_INIT;

static MAYBE_UNUSED int check_status(filedb_status_t got, filedb_status_t wanted, const char *call,
                                     const char *file, int line) {
  if (got == wanted) return 1;
  printf("  %s:%d: %s answered %d (%s), not %d (%s); the message is '%s'\n", file, line, call,
         (int)got, filedb_strerror(got), (int)wanted, filedb_strerror(wanted), err.message);
  checks_failed_here++;
  return 0;
}

/* The call answers that status. */
#define EXPECT(status, call) check_status((call), (status), #call, __FILE__, __LINE__)

static MAYBE_UNUSED void check_error(filedb_status_t got, filedb_status_t wanted, const char *part,
                                     const char *call, const char *file, int line) {
  check_status(got, wanted, call, file, line);
  if (err.code != got) {
    printf("  %s:%d: the error struct says %d\n", file, line, (int)err.code);
    checks_failed_here++;
  }
  if (strstr(err.message, part) == NULL) {
    printf("  %s:%d: the message should name '%s', but is '%s'\n", file, line, part, err.message);
    checks_failed_here++;
  }
}

/* The call, which is given &err, answers that status, and its message has `part` in it. */
#define EXPECT_ERROR(status, part, call) \
  check_error((call), (status), (part), #call, __FILE__, __LINE__)

/* ---- Stores -------------------------------------------------------------------------------- */

/* A path in the directory of this test. Good until the fourth call from here. */
static MAYBE_UNUSED const char *in_temp(const char *name) {
  static char paths[4][700];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", temp_dir, name);
  return path;
}

/* Opens with io as the test runs, and one more option unless `name` is NULL. */
static MAYBE_UNUSED filedb_status_t open_with(const char *path, const char *name, const char *value,
                                              filedb_t **db) {
  filedb_options_t *options = filedb_options_new();
  filedb_status_t status = filedb_options_set(options, "io", io_mode, &err);
  if (status == FILEDB_OK && name != NULL) status = filedb_options_set(options, name, value, &err);
  if (status == FILEDB_OK) status = filedb_open(path, options, db, &err);
  filedb_options_free(options);
  return status;
}

static MAYBE_UNUSED filedb_t *open_store(const char *path) {
  filedb_t *db = NULL;
  EXPECT(FILEDB_OK, open_with(path, NULL, NULL, &db));
  return db;
}

static MAYBE_UNUSED void close_store(filedb_t *db) { EXPECT(FILEDB_OK, filedb_close(db, &err)); }

static MAYBE_UNUSED filedb_status_t put_text(filedb_t *db, const char *key, const char *value) {
  return filedb_put(db, key, strlen(key), value, strlen(value), &err);
}

/* Whether the store has exactly this value for the key. */
static MAYBE_UNUSED int has_bytes(filedb_t *db, const void *key, size_t key_len, const void *value,
                                  size_t value_len) {
  void *got = NULL;
  size_t got_len = 0;
  int same;
  if (!EXPECT(FILEDB_OK, filedb_get(db, key, key_len, &got, &got_len, &err))) return 0;
  same = got != NULL && got_len == value_len && (value_len == 0 || memcmp(got, value, value_len) == 0);
  filedb_free(got);
  return same;
}

static MAYBE_UNUSED int has_text(filedb_t *db, const char *key, const char *value) {
  return has_bytes(db, key, strlen(key), value, strlen(value));
}

static MAYBE_UNUSED uint64_t count_of(filedb_t *db) {
  uint64_t count = UINT64_MAX;
  EXPECT(FILEDB_OK, filedb_count(db, &count, &err));
  return count;
}

/* ---- Processes ----------------------------------------------------------------------------- */

/*
 * Runs `body` in a forked child. Its failed checks count here, and so does its death; a child that hangs is ended. It
 * answers through a pipe and waits to be killed: at an exit of its own valgrind would look for leaks in it, and find what
 * belongs to threads of the parent's, which a child has the memory of but cannot join.
 */
static MAYBE_UNUSED void in_child(void (*body)(void *), void *argument) {
  int answers[2], status = 0;
  char answer = '?';
  pid_t child;
  NEED(pipe(answers) == 0);
  fflush(stdout);
  child = fork();
  if (child == 0) {
    alarm(120);
    checks_failed_here = 0;
    body(argument);
    fflush(stdout);
    answer = checks_failed_here == 0 ? 'y' : 'n';
    if (write(answers[1], &answer, 1) == 1) pause();
    _exit(1);
  }
  close(answers[1]);
  CHECK(child > 0 && read(answers[0], &answer, 1) == 1);
  CHECK(answer == 'y');
  CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
  if (answer == '?' && WIFSIGNALED(status)) printf("  the child was ended by signal %d\n", WTERMSIG(status));
  if (answer == '?' && WIFEXITED(status)) printf("  the child ended with %d\n", WEXITSTATUS(status));
  close(answers[0]);
}

#endif
