/* A directory tree as filedb-import sees it: the paths of its regular files, and the content of one at a time. */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tree {
  int root;      /* the open directory that the paths are relative to */
  char **paths;  /* in byte order */
  size_t count;
  size_t capacity;
  size_t unread; /* directories and entries that could not be read; each was reported */
} tree_t;

typedef struct content {
  unsigned char *data;
  size_t len;
  size_t capacity;
} content_t;

/* Lists the regular files below `directory`. Symbolic links are not followed, and the directory `except` is left out:
 * a store may lie in the tree that it stores. False, with errno, when `directory` itself cannot be opened. */
bool tree_open(tree_t *tree, const char *directory, const char *except);
void tree_close(tree_t *tree);

/* Reads the file `path` of the tree into `content`, whose memory is used again. False, with errno, when it fails. */
bool tree_read(const tree_t *tree, const char *path, content_t *content);

#endif
