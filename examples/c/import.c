/* filedb-import: keeps a directory tree in a filedb store, one value per file, and proves that it is all there.
 *
 * The key of a file is its path relative to the directory, the value its content; permissions, times, symbolic links
 * and empty directories are not kept. A file that the store holds already is compared and not written again, so an
 * import that was killed is finished by starting it once more, and repeating a finished one writes nothing. */
#include <errno.h>
#include <filedb.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "tree.h"

static const char usage[] =
    "usage: filedb-import [options] DIR STORE            store every regular file below DIR\n"
    "       filedb-import [options] --verify DIR STORE   compare every byte, both ways\n"
    "\n"
    "  --io mmap|pread              how the store reads and writes its files\n"
    "  --sync none|interval|always  when a stored file is safe from a power cut\n"
    "  -v, --verbose                print the name of each file once it is stored\n"
    "\n"
    "Exit code: 0 all is well; 1 some files could not be read or differ; 2 the store could not be used.\n";

/* Where each call of the library says what went wrong. */
static filedb_error_t error = FILEDB_ERROR_INIT;

typedef struct totals {
  size_t files, stored, present, failed, differences;
  uint64_t bytes;
} totals_t;

/* Whether the store has this very content for the key. Nothing is copied: the value is looked at where it lies. */
static filedb_status_t compare(filedb_t *db, const char *path, const content_t *content, bool *equal) {
  filedb_pinned_t value;
  *equal = false;
  filedb_status_t status = filedb_get_pinned(db, path, strlen(path), &value, &error);
  if (status != FILEDB_OK) return status;
  *equal = value.len == content->len && (value.len == 0 || memcmp(value.data, content->data, value.len) == 0);
  filedb_unpin(&value);
  return FILEDB_OK;
}

static void import_file(filedb_t *db, const char *path, const content_t *content, totals_t *totals, bool verbose) {
  bool equal;
  filedb_status_t status = compare(db, path, content, &equal);
  if (status >= 0 && !equal) status = filedb_put(db, path, strlen(path), content->data, content->len, &error);
  if (status < 0) {
    report(path, strlen(path), "%s", error.message);
    if (status != FILEDB_ERR_TOO_LARGE) exit(2); /* too large is a matter of this file, all else of the store */
    totals->failed++;
    return;
  }

  totals->files++;
  totals->bytes += content->len;
  if (equal) {
    totals->present++;
  } else {
    totals->stored++;
    if (verbose) {
      progress_hide();
      print_name(stdout, path, strlen(path));
      putchar('\n');
      fflush(stdout);
    }
  }
}

static void import_tree(filedb_t *db, const tree_t *tree, totals_t *totals, bool verbose) {
  content_t content = {0};
  for (size_t i = 0; i < tree->count; i++) {
    const char *path = tree->paths[i];
    if (tree_read(tree, path, &content)) {
      import_file(db, path, &content, totals, verbose);
    } else {
      report(path, strlen(path), "cannot be read: %s", strerror(errno));
      totals->failed++;
    }
    progress_file_done(content.len);
  }
  free(content.data);
  if (filedb_sync(db, &error) < 0) die("cannot sync: %s", error.message);
}

static void verify_file(filedb_t *db, const tree_t *tree, const char *path, content_t *content, totals_t *totals) {
  bool equal;
  if (!tree_read(tree, path, content)) {
    report(path, strlen(path), "cannot be read: %s", strerror(errno));
    totals->failed++;
  } else if (compare(db, path, content, &equal) < 0) {
    report(path, strlen(path), "%s", error.message);
    totals->failed++;
  } else {
    totals->files++;
    totals->bytes += content->len;
    if (!equal) {
      report(path, strlen(path), "differs from the store");
      totals->differences++;
    }
  }
}

/* Two slices in the order of their bytes, the shorter first: strcmp's order, for keys that may hold any byte. */
static int compare_keys(const void *one, const void *other) {
  const filedb_slice_t *a = one, *b = other;
  int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
  return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Walks the sorted files and the sorted keys side by side, as a merge does. */
static void verify_tree(filedb_t *db, const tree_t *tree, totals_t *totals) {
  filedb_slice_t *keys;
  size_t key_count;
  if (filedb_list(db, NULL, 0, &keys, &key_count, &error) < 0) die("cannot list the keys: %s", error.message);
  if (key_count) qsort(keys, key_count, sizeof *keys, compare_keys);

  content_t content = {0};
  size_t file = 0, key = 0;
  while (file < tree->count || key < key_count) {
    filedb_slice_t path = {0};
    if (file < tree->count) path = (filedb_slice_t){tree->paths[file], strlen(tree->paths[file])};
    int order = file == tree->count ? 1 : key == key_count ? -1 : compare_keys(&path, &keys[key]);
    if (order == 0) {
      verify_file(db, tree, path.data, &content, totals);
      progress_file_done(content.len);
    } else if (order < 0) {
      report(path.data, path.len, "is missing from the store");
      totals->differences++;
    } else {
      report(keys[key].data, keys[key].len, "is in the store but not in the directory");
      totals->differences++;
    }
    file += order <= 0;
    key += order >= 0;
  }
  free(content.data);
  filedb_free(keys);
}

int main(int argc, char **argv) {
  static const struct option long_options[] = {
      {"io", required_argument, NULL, 'i'}, {"sync", required_argument, NULL, 's'}, {"verify", no_argument, NULL, 'c'},
      {"verbose", no_argument, NULL, 'v'},  {"help", no_argument, NULL, 'h'},       {0},
  };
  bool verify = false, verbose = false;
  filedb_options_t *options = filedb_options_new();
  for (int option; (option = getopt_long(argc, argv, "vh", long_options, NULL)) != -1;) {
    const char *name = option == 'i' ? "io" : "sync";
    switch (option) {
      case 'i':
      case 's':
        if (filedb_options_set(options, name, optarg, &error) < 0) die("%s", error.message);
        break;
      case 'c': verify = true; break;
      case 'v': verbose = true; break;
      case 'h': fputs(usage, stdout); return 0;
      default: fputs(usage, stderr); return 2;
    }
  }
  if (argc - optind != 2) {
    fputs(usage, stderr);
    return 2;
  }
  const char *directory = argv[optind], *store = argv[optind + 1];

  if (verify && filedb_options_set(options, "create_if_missing", "false", &error) < 0) die("%s", error.message);
  filedb_t *db;
  if (filedb_open(store, options, &db, &error) < 0) die("cannot open the store %s: %s", store, error.message);
  filedb_options_free(options);

  tree_t tree;
  if (!tree_open(&tree, directory, store)) die("cannot open the directory %s: %s", directory, strerror(errno));
  totals_t totals = {.failed = tree.unread};
  progress_begin(tree.count);
  if (verify) {
    verify_tree(db, &tree, &totals);
  } else {
    import_tree(db, &tree, &totals, verbose);
  }
  progress_hide();
  double rate = progress_rate();
  tree_close(&tree);
  if (filedb_close(db, &error) < 0) die("cannot close the store %s: %s", store, error.message);

  printf("%zu files, %" PRIu64 " bytes, %.0f files/s: ", totals.files, totals.bytes, rate);
  if (verify) {
    printf("%zu differences", totals.differences);
  } else {
    printf("%zu stored, %zu already there", totals.stored, totals.present);
  }
  printf(", %zu failed\n", totals.failed);
  return totals.failed || totals.differences ? 1 : 0;
}
