/* The smallest program that needs the whole library: it stores, reads and says which version it runs with. */
#include <filedb.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  filedb_t *db;
  filedb_pinned_t value;
  filedb_error_t err = FILEDB_ERROR_INIT;
  int equal;
  if (argc != 2) return 2;
  if (filedb_open(argv[1], NULL, &db, &err) != FILEDB_OK || filedb_put(db, "key", 3, "value", 5, &err) != FILEDB_OK ||
      filedb_get_pinned(db, "key", 3, &value, &err) != FILEDB_OK) {
    fprintf(stderr, "%s\n", err.message);
    return 1;
  }
  equal = value.len == 5 && memcmp(value.data, "value", 5) == 0;
  filedb_unpin(&value);
  if (!equal || filedb_close(db, &err) != FILEDB_OK) return 1;
  printf("%s\n", filedb_version_string());
  return 0;
}
