/* A disk for tests, put before the C library's: while the file that FILEDB_TEST_HOLD names is there no sync ends, while the one that
   FILEDB_TEST_FAIL names is there each sync fails, and while the one that FILEDB_TEST_REFUSE names is there each write and each request for room. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_there(const char *variable) {
  const char *path = getenv(variable);
  return path != NULL && access(path, F_OK) == 0;
}

int fdatasync(int file) {
  while (is_there("FILEDB_TEST_HOLD"))
    usleep(1000);
  if (is_there("FILEDB_TEST_FAIL")) {
    errno = EIO;
    return -1;
  }
  return (int)syscall(SYS_fdatasync, file);
}

static int is_refused(void) {
  if (!is_there("FILEDB_TEST_REFUSE"))
    return 0;
  errno = EIO;
  return 1;
}

int fallocate64(int file, int mode, off64_t from, off64_t size) {
  return is_refused() ? -1 : (int)syscall(SYS_fallocate, file, mode, from, size);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t to) {
  return is_refused() ? -1 : (ssize_t)syscall(SYS_pwrite64, file, bytes, count, to);
}
