/* The stores that are Rust crates, as the driver sees them: a table of functions for each. Implemented in ../peers.
 *
 * A function that can fail returns 0 on success, 1 where there is no such key, and -1 on an error, whose text
 * race_peer_error() returns in the same thread. */
#ifndef RACE_PEER_ABI_H
#define RACE_PEER_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct race_peer_config {
  const char *directory;
  uint64_t cache_bytes;
  uint32_t threads;
  uint32_t durable;
  uint64_t value_size;
} race_peer_config;

typedef struct race_peer_pair {
  const void *key;
  size_t key_len;
  const void *value;
  size_t value_len;
} race_peer_pair;

typedef void (*race_peer_visit)(void *context, const void *key, size_t key_len, const void *value, size_t value_len);

typedef struct race_peer {
  /* NULL on an error. */
  void *(*open)(const race_peer_config *config);
  void (*close)(void *store);
  int32_t (*put)(void *store, const void *key, size_t key_len, const void *value, size_t value_len);
  int32_t (*put_many)(void *store, const race_peer_pair *pairs, size_t count);
  /* Copies the value to `buffer`; a value that does not fit is an error. */
  int32_t (*get)(void *store, const void *key, size_t key_len, void *buffer, size_t capacity, size_t *value_len);
  int32_t (*erase)(void *store, const void *key, size_t key_len);
  int32_t (*scan)(void *store, race_peer_visit visit, void *context);
  /* At most `most` keys from `from` on, or backwards; from the first, or backwards from the last, where `from_len` is 0. */
  int32_t (*walk)(void *store, const void *from, size_t from_len, int32_t backwards, uint64_t most, race_peer_visit visit,
                  void *context);
  /* Lines of "name<tab>value", for a store that was opened with this configuration. */
  const char *(*settings)(const race_peer_config *config);
} race_peer;

const race_peer *race_peer_redb(void);
const race_peer *race_peer_fjall(void);
const race_peer *race_peer_sled(void);
const race_peer *race_peer_candystore(void);

const char *race_peer_error(void);

#ifdef __cplusplus
}
#endif

#endif
