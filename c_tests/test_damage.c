/*
 * Damaged files: what was written is returned, or an error that names file and offset; never something else, and never a
 * crash. The files are damaged here the way disks do it: bits, lost ends, lost files.
 */
#include "harness.h"

#include <dirent.h>

static const char marker[] = "this value will be damaged on the disk";

/* A file read into memory, to be changed and written back. */
struct image {
  unsigned char *bytes;
  size_t len;
};

static struct image load(const char *path) {
  struct image image = {NULL, 0};
  struct stat st;
  FILE *file = fopen(path, "rb");
  if (file != NULL && fstat(fileno(file), &st) == 0 && (image.bytes = malloc((size_t)st.st_size + 1)) != NULL) {
    image.len = fread(image.bytes, 1, (size_t)st.st_size, file);
  }
  if (file != NULL) fclose(file);
  CHECK(image.bytes != NULL);
  return image;
}

/* Writes the first `len` bytes of the image to the path. */
static void save(const char *path, struct image image, size_t len) {
  FILE *file = fopen(path, "wb");
  CHECK(file != NULL && fwrite(image.bytes, 1, len, file) == len && fclose(file) == 0);
}

static size_t find(struct image image, const char *text) {
  size_t len = strlen(text), i;
  for (i = 0; i + len <= image.len; i++) {
    if (memcmp(image.bytes + i, text, len) == 0) return i;
  }
  CHECK(!"the text is in the file");
  return 0;
}

/* Takes away what spares the next open the reading of the data files. */
static void remove_hints(void) {
  char path[1400];
  const char *store = in_temp("store");
  struct dirent *entry;
  DIR *dir = opendir(store);
  NEED(dir != NULL);
  while ((entry = readdir(dir)) != NULL) {
    const char *suffix = strrchr(entry->d_name, '.');
    if (strcmp(entry->d_name, "CHECKPOINT") == 0 || (suffix != NULL && strcmp(suffix, ".hint") == 0)) {
      snprintf(path, sizeof path, "%s/%s", store, entry->d_name);
      CHECK(unlink(path) == 0);
    }
  }
  closedir(dir);
}

/* A closed store with three keys; the value of the second is the marker. */
static void make_store(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  EXPECT(FILEDB_OK, put_text(db, "first", "1"));
  EXPECT(FILEDB_OK, put_text(db, "second", marker));
  EXPECT(FILEDB_OK, put_text(db, "third", "3"));
  close_store(db);
}

static void store_is_whole(void) {
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  CHECK(count_of(db) == 3 && has_text(db, "first", "1"));
  CHECK(has_text(db, "second", marker) && has_text(db, "third", "3"));
  close_store(db);
}

static const char *data_file(void) { return in_temp("store/0000000001.data"); }

/* The error is about a frame of the first data file that the byte `place` lies in. */
static void error_is_near(size_t place) {
  CHECK(err.code == FILEDB_ERR_CORRUPT && err.file_id == 1);
  CHECK(err.offset <= place && place < err.offset + 200);
  CHECK(strstr(err.message, "0000000001.data") != NULL);
}

static void a_flipped_bit_in_a_value_is_an_error_of_its_key_alone(void) {
  struct image image;
  size_t place, len = 99;
  void *value = NULL;
  filedb_t *db = NULL;
  filedb_pinned_t values[3];
  filedb_status_t statuses[3];
  filedb_slice_t keys[3] = {{"first", 5}, {"second", 6}, {"third", 5}};
  char buffer[64] = ".";
  int i;
  make_store();
  image = load(data_file());
  place = find(image, marker) + 10;
  image.bytes[place] ^= 0x10;
  save(data_file(), image, image.len);

  if (open_with(in_temp("store"), NULL, NULL, &db) == FILEDB_OK) {
    EXPECT_ERROR(FILEDB_ERR_CORRUPT, "offset", filedb_get(db, "second", 6, &value, &len, &err));
    error_is_near(place);
    CHECK(value == NULL && len == 0);
    EXPECT_ERROR(FILEDB_ERR_CORRUPT, "offset", filedb_get_into(db, "second", 6, buffer, 64, &len, &err));
    error_is_near(place);
    CHECK(len == 0 && buffer[0] == '.');
    EXPECT_ERROR(FILEDB_ERR_CORRUPT, "offset", filedb_get_pinned(db, "second", 6, &values[0], &err));
    error_is_near(place);
    CHECK(values[0].data == NULL && values[0].pin == NULL);
    EXPECT_ERROR(FILEDB_ERR_CORRUPT, "offset", filedb_get_many(db, keys, 3, values, statuses, &err));
    error_is_near(place);
    CHECK(statuses[0] == FILEDB_OK && statuses[1] == FILEDB_ERR_CORRUPT && statuses[2] == FILEDB_OK);
    CHECK(values[1].pin == NULL && values[2].len == 1 && memcmp(values[2].data, "3", 1) == 0);
    for (i = 0; i < 3; i++) filedb_unpin(&values[i]);
    CHECK(has_text(db, "first", "1") && has_text(db, "third", "3"));
    EXPECT(FILEDB_OK, put_text(db, "second", "written anew"));
    CHECK(has_text(db, "second", "written anew"));
    filedb_close(db, &err);
  } else {
    error_is_near(place);
  }
  free(image.bytes);
}

static void a_flipped_bit_in_a_large_value_is_an_error_and_no_answer(void) {
  static char large[20000], buffer[sizeof large];
  struct image image;
  size_t place, len = 99;
  void *value = NULL;
  filedb_t *db = open_store(in_temp("store"));
  NEED(db != NULL);
  memset(large, 'x', sizeof large);
  memcpy(large + 15000, marker, strlen(marker));
  EXPECT(FILEDB_OK, filedb_put(db, "large", 5, large, sizeof large, &err));
  EXPECT(FILEDB_OK, put_text(db, "small", "1"));
  close_store(db);
  image = load(data_file());
  place = find(image, marker) + 10;
  image.bytes[place] ^= 0x10;
  save(data_file(), image, image.len);

  if (open_with(in_temp("store"), NULL, NULL, &db) == FILEDB_OK) {
    EXPECT_ERROR(FILEDB_ERR_CORRUPT, "offset", filedb_get(db, "large", 5, &value, &len, &err));
    CHECK(value == NULL && len == 0 && err.file_id == 1 && err.offset <= place);
    EXPECT_ERROR(FILEDB_ERR_CORRUPT, "offset",
                 filedb_get_into(db, "large", 5, buffer, sizeof buffer, &len, &err));
    CHECK(len == 0);
    EXPECT_ERROR(FILEDB_ERR_CORRUPT, "offset", filedb_get_into(db, "large", 5, buffer, 7, &len, &err));
    CHECK(len == 0 && has_text(db, "small", "1"));
    filedb_close(db, &err);
  } else {
    CHECK(err.code == FILEDB_ERR_CORRUPT && err.file_id == 1 && err.offset <= place);
  }
  free(image.bytes);
}

static void a_flipped_bit_that_an_open_reads_past_is_refused_there(void) {
  struct image image;
  size_t place;
  filedb_t *db = NULL;
  make_store();
  remove_hints();
  image = load(data_file());
  place = find(image, marker) + 10;
  image.bytes[place] ^= 0x10;
  save(data_file(), image, image.len);
  EXPECT_ERROR(FILEDB_ERR_CORRUPT, "0000000001.data", open_with(in_temp("store"), NULL, NULL, &db));
  error_is_near(place);
  CHECK(db == NULL);
  EXPECT(FILEDB_ERR_CORRUPT, open_with(in_temp("store"), NULL, NULL, &db)); /* it stays refused */
  image.bytes[place] ^= 0x10;
  save(data_file(), image, image.len);
  store_is_whole(); /* and nothing was changed */
  free(image.bytes);
}

static void a_damaged_beginning_of_a_data_file_is_refused(void) {
  struct image image;
  filedb_t *db = NULL;
  make_store();
  remove_hints();
  image = load(data_file());
  image.bytes[3] ^= 1;
  save(data_file(), image, image.len);
  EXPECT_ERROR(FILEDB_ERR_CORRUPT, "0000000001.data", open_with(in_temp("store"), NULL, NULL, &db));
  CHECK(db == NULL && err.file_id == 1 && err.offset < 64);
  image.bytes[3] ^= 1;
  save(data_file(), image, image.len);
  store_is_whole();
  free(image.bytes);
}

static void a_data_file_without_its_end_is_refused(void) {
  struct image image;
  filedb_t *db = NULL;
  int with_hints;
  make_store();
  image = load(data_file());
  for (with_hints = 1; with_hints >= 0; with_hints--) {
    if (!with_hints) remove_hints();
    save(data_file(), image, find(image, marker) + 10);
    EXPECT_ERROR(FILEDB_ERR_CORRUPT, "0000000001.data", open_with(in_temp("store"), NULL, NULL, &db));
    CHECK(db == NULL && err.file_id == 1);
    save(data_file(), image, image.len);
  }
  store_is_whole();
  free(image.bytes);
}

static void a_lost_data_file_is_refused_and_not_taken_for_an_empty_store(void) {
  filedb_t *db = NULL;
  filedb_status_t status;
  make_store();
  NEED(rename(data_file(), in_temp("elsewhere")) == 0);
  status = open_with(in_temp("store"), NULL, NULL, &db);
  CHECK(db == NULL && (status == FILEDB_ERR_CORRUPT || status == FILEDB_ERR_IO));
  CHECK(strstr(err.message, "0000000001.data") != NULL);
  NEED(rename(in_temp("elsewhere"), data_file()) == 0);
  store_is_whole();
}

static void a_damaged_manifest_is_refused_wherever_the_damage_is(void) {
  struct image image;
  const char *path = "store/MANIFEST";
  filedb_t *db = NULL;
  size_t i;
  make_store();
  image = load(in_temp(path));
  for (i = 0; i < image.len; i++) {
    image.bytes[i] ^= 0x40;
    save(in_temp(path), image, image.len);
    EXPECT_ERROR(FILEDB_ERR_CORRUPT, "MANIFEST", open_with(in_temp("store"), NULL, NULL, &db));
    CHECK(db == NULL && err.file_id == 0);
    image.bytes[i] ^= 0x40;
  }
  for (i = 0; i < image.len; i++) {
    save(in_temp(path), image, i);
    EXPECT_ERROR(FILEDB_ERR_CORRUPT, "MANIFEST", open_with(in_temp("store"), NULL, NULL, &db));
    CHECK(db == NULL);
  }
  save(in_temp(path), image, image.len);
  store_is_whole();
  free(image.bytes);
}

static void a_lost_manifest_is_not_taken_for_a_new_store(void) {
  filedb_t *db = NULL;
  filedb_status_t status;
  make_store();
  NEED(rename(in_temp("store/MANIFEST"), in_temp("elsewhere")) == 0);
  status = open_with(in_temp("store"), NULL, NULL, &db);
  CHECK(db == NULL && (status == FILEDB_ERR_CORRUPT || status == FILEDB_ERR_IO));
  CHECK(strstr(err.message, "MANIFEST") != NULL);
  NEED(rename(in_temp("elsewhere"), in_temp("store/MANIFEST")) == 0);
  store_is_whole();
}

/* Every file that only makes opening faster, damaged in every place: no key is lost and none is wrong. */
static void damaged_hints_cost_nothing_but_time(void) {
  struct dirent *entry;
  char path[1400];
  DIR *dir;
  make_store();
  NEED((dir = opendir(in_temp("store"))) != NULL);
  while ((entry = readdir(dir)) != NULL) {
    const char *suffix = strrchr(entry->d_name, '.');
    struct image image;
    size_t i;
    if (strcmp(entry->d_name, "CHECKPOINT") != 0 && (suffix == NULL || strcmp(suffix, ".hint") != 0)) continue;
    snprintf(path, sizeof path, "%s/%s", in_temp("store"), entry->d_name);
    image = load(path);
    for (i = 0; i < image.len; i += 3) {
      image.bytes[i] ^= 0x04;
      save(path, image, image.len);
      image.bytes[i] ^= 0x04;
      store_is_whole();
    }
    free(image.bytes);
  }
  closedir(dir);
  remove_hints();
  store_is_whole();
}

/* The value, or an error that says the store is damaged: nothing else. */
static int right_or_corrupt(filedb_t *db, const char *key, const char *wanted) {
  void *value = NULL;
  size_t len = 0;
  filedb_status_t status = filedb_get(db, key, strlen(key), &value, &len, &err);
  int right = status == FILEDB_ERR_CORRUPT ||
              (status == FILEDB_OK && len == strlen(wanted) && memcmp(value, wanted, len) == 0);
  if (!right) printf("  '%s': status %d, %lu bytes\n", key, (int)status, (unsigned long)len);
  filedb_free(value);
  return right;
}

static void read_what_is_left(size_t place) {
  filedb_t *db = NULL;
  filedb_status_t status = open_with(in_temp("store"), NULL, NULL, &db);
  int right;
  if (status == FILEDB_ERR_CORRUPT) {
    CHECK(db == NULL && strstr(err.message, "0000000001.data") != NULL);
    return;
  }
  NEED(status == FILEDB_OK);
  right = right_or_corrupt(db, "first", "1") && right_or_corrupt(db, "second", marker) &&
          right_or_corrupt(db, "third", "3");
  if (!right) printf("  with damage at byte %lu\n", (unsigned long)place);
  CHECK(right);
  filedb_close(db, &err); /* may say CORRUPT too */
}

/* Every byte of the data file is flipped, and the file is cut at every length, with hints and without. */
static void no_damage_is_ever_returned_as_a_value(void) {
  struct image files[3];
  static const char *const names[3] = {"store/0000000001.data", "store/CHECKPOINT", "store/MANIFEST"};
  int with_hints, n;
  size_t i;
  make_store();
  for (n = 0; n < 3; n++) files[n] = load(in_temp(names[n]));
  for (with_hints = 1; with_hints >= 0; with_hints--) {
    for (i = 0; i < 2 * files[0].len; i++) {
      int flips = i < files[0].len;
      size_t place = flips ? i : i - files[0].len;
      for (n = 0; n < 3; n++) save(in_temp(names[n]), files[n], files[n].len);
      if (!with_hints) remove_hints();
      if (flips) files[0].bytes[place] ^= 0x20;
      save(data_file(), files[0], flips ? files[0].len : place);
      if (flips) files[0].bytes[place] ^= 0x20;
      read_what_is_left(place);
    }
  }
  for (n = 0; n < 3; n++) free(files[n].bytes);
}

int main(void) {
  RUN_BOTH(a_flipped_bit_in_a_value_is_an_error_of_its_key_alone);
  RUN_BOTH(a_flipped_bit_in_a_large_value_is_an_error_and_no_answer);
  RUN_BOTH(a_flipped_bit_that_an_open_reads_past_is_refused_there);
  RUN_BOTH(a_damaged_beginning_of_a_data_file_is_refused);
  RUN_BOTH(a_data_file_without_its_end_is_refused);
  RUN_BOTH(a_lost_data_file_is_refused_and_not_taken_for_an_empty_store);
  RUN_BOTH(a_damaged_manifest_is_refused_wherever_the_damage_is);
  RUN_BOTH(a_lost_manifest_is_not_taken_for_a_new_store);
  RUN_BOTH(damaged_hints_cost_nothing_but_time);
  RUN_BOTH(no_damage_is_ever_returned_as_a_value);
  return finish();
}
