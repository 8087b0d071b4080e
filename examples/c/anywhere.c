/*
 * One program for every store: anywhere PATH-OR-URL
 *
 *   anywhere visits                          a directory
 *   anywhere memory://                       this process
 *   anywhere valkey://localhost              a Valkey server
 *   anywhere valkey-cluster://localhost      a Valkey Cluster
 *
 * It counts its visits, keeps the last three in a list, and says what the store can do.
 */
#include <filedb.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static filedb_error_t err = FILEDB_ERROR_INIT;

static int failed(const char *what) {
  fprintf(stderr, "%s: %s\n", what, err.message);
  return 1;
}

/* Puts this visit in front, and drops what is too many. */
static int visit(filedb_t *db) {
  char now[32];
  uint64_t length = 0;
  int64_t visits = 0;
  if (filedb_increment(db, "visits", 6, 1, &visits, &err) != FILEDB_OK) return failed("the count");
  snprintf(now, sizeof now, "visit %" PRId64 " at %ld", visits, (long)time(NULL));
  if (filedb_push_front(db, "last", 4, now, strlen(now), &length, &err) != FILEDB_OK) {
    return failed("the list");
  }
  while (length-- > 3) {
    void *old = NULL;
    size_t len = 0;
    if (filedb_pop_back(db, "last", 4, &old, &len, &err) < 0) return failed("the list");
    filedb_free(old);
  }
  return 0;
}

static int show(filedb_t *db) {
  filedb_slice_t *visits = NULL;
  size_t count = 0, i;
  uint64_t can = 0;
  if (filedb_list_range(db, "last", 4, 0, -1, &visits, &count, &err) != FILEDB_OK) return failed("the list");
  for (i = 0; i < count; i++) printf("%.*s\n", (int)visits[i].len, (const char *)visits[i].data);
  filedb_free(visits);
  if (filedb_capabilities(db, &can, &err) != FILEDB_OK) return failed("the store");
  printf("walks at one moment: %s, batches of any keys: %s, durable on request: %s\n",
         can & FILEDB_CAN_SNAPSHOT ? "yes" : "no", can & FILEDB_CAN_BATCH ? "yes" : "no",
         can & FILEDB_CAN_SYNC ? "yes" : "no");
  return 0;
}

int main(int count, char **arguments) {
  filedb_t *db = NULL;
  int status;
  if (count != 2) {
    fprintf(stderr, "usage: anywhere PATH-OR-URL\n");
    return 2;
  }
  if (filedb_open(arguments[1], NULL, &db, &err) != FILEDB_OK) return failed("the store");
  status = visit(db) || show(db);
  if (filedb_close(db, &err) != FILEDB_OK) return failed("closing the store");
  return status;
}
