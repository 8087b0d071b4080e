/* A process that is forked while its threads are in the library: the child opens stores of its own. */
#include "harness.h"

#include <poll.h>
#include <pthread.h>

enum { BUSY = 7, CHILDREN = 200, KEYS = 40 };

static filedb_t *db;
static volatile sig_atomic_t stop;

/* Small files: so the threads meet at all locks, those of files, of merges and of the log. */
static filedb_t *open_small(const char *path) {
  filedb_t *opened = NULL;
  EXPECT(FILEDB_OK, open_with(path, "max_file_size", "4KiB", &opened));
  return opened;
}

static void *write_and_merge(void *argument) {
  int thread = *(int *)argument, n = 0;
  char key[32], value[100];
  memset(value, 'v', sizeof value);
  while (!stop) {
    snprintf(key, sizeof key, "%d-%d", thread, n % KEYS);
    if (filedb_put(db, key, strlen(key), value, sizeof value, NULL) != FILEDB_OK) break;
    if (n % 7 == 6) filedb_delete(db, key, strlen(key), NULL);
    if (++n % 500 == 0 && thread == 0) filedb_merge(db, NULL);
  }
  return NULL;
}

/* All that a program does with a store, in a child; 'y', or which step went wrong. */
static char use_a_store_of_its_own(const char *path) {
  filedb_t *own = open_small(path);
  char key[32];
  int n;
  if (own == NULL) return 'o';
  for (n = 0; n < KEYS; n++) {
    snprintf(key, sizeof key, "%d", n);
    if (put_text(own, key, "a value of a child, which is long enough to fill some files") != FILEDB_OK) return 'p';
  }
  if (filedb_merge(own, &err) != FILEDB_OK) return 'm';
  if (!has_text(own, "0", "a value of a child, which is long enough to fill some files")) return 'g';
  if (filedb_close(own, &err) != FILEDB_OK) return 'c';
  return 'y';
}

/* Waits for the answer of a child for a minute; 'h' for one that hangs, and 'd' for one that died. */
static char answer_of(int from) {
  struct pollfd waiting = {0};
  char answer = 'd';
  waiting.fd = from;
  waiting.events = POLLIN;
  if (poll(&waiting, 1, 60 * 1000) != 1) return 'h';
  return read(from, &answer, 1) == 1 ? answer : 'd';
}

static void children_of_busy_parents_open_stores_of_their_own(void) {
  const char *preload = getenv("LD_PRELOAD");
  int children = preload != NULL && strstr(preload, "vgpreload") != NULL ? 5 : CHILDREN;
  pthread_t threads[BUSY];
  int numbers[BUSY], i, wrong = 0;
  db = open_small(in_temp("store"));
  NEED(db != NULL);
  stop = 0;
  for (i = 0; i < BUSY; i++) {
    numbers[i] = i;
    CHECK(pthread_create(&threads[i], NULL, write_and_merge, &numbers[i]) == 0);
  }
  for (i = 0; i < children && wrong < 3; i++) {
    int answers[2], status;
    char name[32], answer;
    pid_t child;
    NEED(pipe(answers) == 0);
    snprintf(name, sizeof name, "child-%d", i);
    fflush(stdout);
    child = fork();
    if (child == 0) {
      answer = use_a_store_of_its_own(in_temp(name));
      fflush(stdout);
      /* Waits to be killed: see in_child(). */
      if (write(answers[1], &answer, 1) == 1) pause();
      _exit(1);
    }
    close(answers[1]);
    answer = child > 0 ? answer_of(answers[0]) : 'f';
    if (answer != 'y') {
      printf("  child %d: %c\n", i, answer);
      wrong++;
    }
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
    close(answers[0]);
    remove_tree(in_temp(name));
  }
  CHECK(wrong == 0);
  stop = 1;
  for (i = 0; i < BUSY; i++) pthread_join(threads[i], NULL);
  close_store(db);
}

int main(void) {
  RUN_BOTH(children_of_busy_parents_open_stores_of_their_own);
  return finish();
}
