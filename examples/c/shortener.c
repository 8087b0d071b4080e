/* Short names for long addresses: shortener STORE add NAME URL SECONDS | visit NAME TIMES | list
 * A name ends by itself. Four threads visit at once; a hit that was printed is never lost, whoever is killed. */
#include <filedb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static filedb_t *db;
static char url_key[256], hits_key[256]; /* of the name */
static int times;

static int failed(filedb_status_t status, const filedb_error_t *err) {
  const char *why = status < 0 ? err->message : filedb_strerror(status); /* no error: not found, or a conflict */
  if (status != FILEDB_OK) fprintf(stderr, "shortener: %s\n", why);
  return status != FILEDB_OK;
}

static int add(const char *url, const char *seconds) {
  filedb_error_t err = FILEDB_ERROR_INIT;
  filedb_put_options_t more = {sizeof more, FILEDB_PUT_IF_ABSENT, strtoull(seconds, NULL, 10) * 1000};
  return failed(filedb_put_with(db, url_key, strlen(url_key), url, strlen(url), &more, &err), &err);
}

static void *visit(void *failed_too) {
  filedb_error_t err = FILEDB_ERROR_INIT;
  for (int i = 0, *bad = failed_too; i < times && !*bad; i++) {
    filedb_pinned_t url; /* not a copy: the value where it lies */
    int64_t hits = 0;
    if ((*bad = failed(filedb_get_pinned(db, url_key, strlen(url_key), &url, &err), &err))) continue;
    *bad = failed(filedb_increment(db, hits_key, strlen(hits_key), 1, &hits, &err), &err);
    if (!*bad) printf("%.*s %lld\n", (int)url.len, (const char *)url.data, (long long)hits), fflush(stdout);
    filedb_unpin(&url);
  }
  return NULL;
}

static int list(void) {
  filedb_error_t err = FILEDB_ERROR_INIT;
  filedb_slice_t *keys = NULL;
  size_t count = 0;
  int bad = failed(filedb_list_sorted(db, "url/", 4, &keys, &count, &err), &err);
  for (size_t i = 0; i < count; i++) printf("%.*s\n", (int)keys[i].len - 4, (const char *)keys[i].data + 4);
  return filedb_free(keys), bad;
}

int main(int n, char **a) {
  filedb_error_t err = FILEDB_ERROR_INIT;
  pthread_t threads[4];
  if (n < 3 || failed(filedb_open(a[1], NULL, &db, &err), &err)) return 2;
  int bad = 0, failures[4] = {0}, visits = n == 5 && !strcmp(a[2], "visit");
  snprintf(url_key, sizeof url_key, "url/%.240s", n > 3 ? a[3] : "");
  snprintf(hits_key, sizeof hits_key, "hits/%.240s", n > 3 ? a[3] : "");
  if (!strcmp(a[2], "list")) bad = list();
  else if (n == 6 && !strcmp(a[2], "add")) bad = add(a[4], a[5]);
  if (visits) times = atoi(a[4]);
  for (int i = 0; i < 4 && visits; i++) if (pthread_create(&threads[i], NULL, visit, &failures[i]) != 0) abort();
  for (int i = 0; i < 4 && visits; i++) pthread_join(threads[i], NULL), bad |= failures[i];
  return failed(filedb_close(db, &err), &err) || bad;
}
