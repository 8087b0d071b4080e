/* Two Rust static libraries in one program, each with its own copy of the runtime: a panic is caught in each, twice and
 * in both orders, and neither unwinds through the other's tables. */
#include <filedb.h>
#include <stdint.h>
#include <stdio.h>

int32_t neighbour_catches_its_panic(void);
filedb_status_t filedb_testing_panic(filedb_error_t *); /* only with the cargo feature "testing" */

int main(void) {
  for (int i = 0; i < 2; i++) {
    filedb_error_t err = FILEDB_ERROR_INIT;
    if (filedb_testing_panic(&err) != FILEDB_ERR_PANIC) return 1;
    if (neighbour_catches_its_panic() != 1) return 2;
    printf("caught in both: %s\n", err.message);
  }
  return 0;
}
