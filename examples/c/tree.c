#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static void add_path(tree_t *tree, const char *path) {
  if (tree->count == tree->capacity) {
    tree->capacity = tree->capacity ? 2 * tree->capacity : 1024;
    tree->paths = realloc(tree->paths, tree->capacity * sizeof *tree->paths);
    if (!tree->paths) die("no memory for the names of %zu files", tree->capacity);
  }
  if (!(tree->paths[tree->count++] = strdup(path))) die("no memory for the name of a file");
}

static void unread(tree_t *tree, const char *path) {
  report(path, strlen(path), "cannot be read: %s", strerror(errno));
  tree->unread++;
}

/* Lists what is below the open directory `fd`, which it closes; `path` leads there and is empty for the root. */
static void walk(tree_t *tree, int fd, const char *path, const struct stat *except) {
  DIR *directory = fdopendir(fd);
  if (!directory) {
    unread(tree, path);
    close(fd);
    return;
  }
  struct dirent *entry;
  while ((errno = 0, entry = readdir(directory))) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;

    char *below = malloc(strlen(path) + 1 + strlen(name) + 1);
    if (!below) die("no memory for the name of a file");
    stpcpy(stpcpy(stpcpy(below, path), *path ? "/" : ""), name);

    struct stat status;
    if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      unread(tree, below);
    } else if (S_ISREG(status.st_mode)) {
      add_path(tree, below);
    } else if (S_ISDIR(status.st_mode) && !same_file(&status, except)) {
      int child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (child < 0) {
        unread(tree, below);
      } else {
        walk(tree, child, below, except);
      }
    }
    free(below);
  }
  if (errno != 0) unread(tree, path);
  closedir(directory);
}

static int compare_paths(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

bool tree_open(tree_t *tree, const char *directory, const char *except) {
  *tree = (tree_t){.root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (tree->root < 0) return false;

  struct stat except_status = {0}; /* no file is like that */
  if (stat(except, &except_status) != 0) except_status = (struct stat){0};
  int fd = openat(tree->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  walk(tree, fd, "", &except_status);
  if (tree->count) qsort(tree->paths, tree->count, sizeof *tree->paths, compare_paths);
  return true;
}

void tree_close(tree_t *tree) {
  for (size_t i = 0; i < tree->count; i++) free(tree->paths[i]);
  free(tree->paths);
  close(tree->root);
}

/* Room for `capacity` bytes; false, with errno, when there is none. */
static bool reserve(content_t *content, size_t capacity) {
  if (capacity <= content->capacity) return true;
  unsigned char *data = realloc(content->data, capacity);
  if (!data) return false;
  content->data = data;
  content->capacity = capacity;
  return true;
}

bool tree_read(const tree_t *tree, const char *path, content_t *content) {
  content->len = 0;
  int fd = openat(tree->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;

  /* The size is a hint: the file may grow or shrink meanwhile. One byte more than it lets the last read see the end. */
  struct stat status;
  bool ok = fstat(fd, &status) == 0 && reserve(content, (size_t)status.st_size + 1);
  while (ok) {
    ssize_t n = read(fd, content->data + content->len, content->capacity - content->len);
    if (n == 0) break;
    if (n < 0) {
      ok = errno == EINTR;
      continue;
    }
    content->len += (size_t)n;
    if (content->len == content->capacity) ok = reserve(content, 2 * content->capacity);
  }
  int failure = errno;
  close(fd);
  errno = failure;
  return ok;
}
