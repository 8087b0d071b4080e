/* Signals of the program: its own threads get them, and never those of the library. */
#include "harness.h"

#include <dirent.h>
#include <time.h>

/* As many threads as a store can have. */
static filedb_t *open_with_all_threads(const char *path) {
  filedb_t *db = NULL;
  EXPECT(FILEDB_OK, open_with(path, "sync", "interval", &db));
  return db;
}

/* Runs in a child: where a thread of the library takes a signal, the process ends. */
static void wait_for_all_signals(void *argument) {
  /* Blocked after the open: threads that are there by then do not inherit it. */
  static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGALRM, SIGTERM,  SIGUSR1, SIGUSR2, SIGCHLD,
                                SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG,  SIGXCPU, SIGXFSZ, SIGPROF, SIGWINCH};
  const struct timespec longest = {10, 0};
  filedb_t *db = open_with_all_threads(argument);
  sigset_t wanted;
  size_t i, round;
  NEED(db != NULL);
  sigemptyset(&wanted);
  for (i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaddset(&wanted, signals[i]);
  NEED(sigprocmask(SIG_SETMASK, &wanted, NULL) == 0);
  for (round = 0; round < 20; round++) {
    for (i = 0; i < sizeof signals / sizeof signals[0]; i++) {
      CHECK(kill(getpid(), signals[i]) == 0);
      CHECK(sigtimedwait(&wanted, NULL, &longest) == signals[i]);
    }
  }
  EXPECT(FILEDB_OK, put_text(db, "k", "v"));
  close_store(db);
}

static void a_program_that_waits_for_signals_gets_them(void) {
  static char path[700];
  snprintf(path, sizeof path, "%s", in_temp("store"));
  in_child(wait_for_all_signals, path);
}

/* The kernel's list of the signals that a thread blocks, a hexadecimal number. */
static unsigned long blocked_by(const char *thread) {
  char path[300], line[256];
  unsigned long blocked = 0;
  FILE *status;
  snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
  status = fopen(path, "r");
  if (status == NULL) return ~0ul; /* it has just ended */
  while (fgets(line, sizeof line, status) != NULL) {
    if (strncmp(line, "SigBlk:", 7) == 0) blocked = strtoul(line + 7, NULL, 16);
  }
  fclose(status);
  return blocked;
}

static void threads_of_the_library_block_all_signals_of_the_process(void) {
  /* What a thread gets that does something wrong, and what nobody can block. */
  static const int caused[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGKILL, SIGSTOP};
  unsigned long wanted = 0x7fffffff;
  filedb_t *db = open_with_all_threads(in_temp("store"));
  DIR *threads = opendir("/proc/self/task");
  struct dirent *entry;
  char self[32];
  size_t i;
  int others = 0;
  if (threads == NULL) {
    printf("  SKIPPED: the system does not list threads\n");
    close_store(db);
    return;
  }
  NEED(db != NULL);
  snprintf(self, sizeof self, "%d", (int)getpid());
  for (i = 0; i < sizeof caused / sizeof caused[0]; i++) wanted &= ~(1ul << (caused[i] - 1));
  while ((entry = readdir(threads)) != NULL) {
    if (entry->d_name[0] == '.' || strcmp(entry->d_name, self) == 0) continue;
    others++;
    /* While it starts a thread blocks all the others, too. */
    CHECK((blocked_by(entry->d_name) & wanted) == wanted);
  }
  closedir(threads);
  CHECK(others >= 3);
  close_store(db);
}

int main(void) {
  RUN(a_program_that_waits_for_signals_gets_them);
  RUN(threads_of_the_library_block_all_signals_of_the_process);
  return finish();
}
