#include "report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct {
  size_t total, files;
  uint64_t bytes;
  double began, drawn; /* seconds */
  bool terminal, visible;
} progress;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void progress_begin(size_t total_files) {
  progress.total = total_files;
  progress.terminal = isatty(STDERR_FILENO);
  progress.began = progress.drawn = now();
}

double progress_rate(void) {
  double seconds = now() - progress.began;
  return seconds > 0 ? (double)progress.files / seconds : 0;
}

void progress_file_done(size_t bytes) {
  progress.files++;
  progress.bytes += bytes;
  if (now() - progress.drawn < (progress.terminal ? 0.1 : 1.0)) return;

  fprintf(stderr, "%s%zu of %zu files, %.1f MB, %.0f files/s%s", progress.terminal ? "\r" : "", progress.files,
          progress.total, 1e-6 * (double)progress.bytes, progress_rate(), progress.terminal ? "\033[K" : "\n");
  progress.drawn = now();
  progress.visible = progress.terminal;
}

void progress_hide(void) {
  if (progress.visible) fputs("\r\033[K", stderr);
  progress.visible = false;
}

void print_name(FILE *to, const char *name, size_t len) {
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c < ' ' || c == '\\' || c == 0x7f) {
      fprintf(to, "\\%03o", c);
    } else {
      putc(c, to);
    }
  }
}

static void say(const char *format, va_list arguments) {
  vfprintf(stderr, format, arguments);
  putc('\n', stderr);
}

void report(const char *name, size_t len, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  progress_hide();
  fputs("filedb-import: ", stderr);
  print_name(stderr, name, len);
  fputs(": ", stderr);
  say(format, arguments);
  va_end(arguments);
}

void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  progress_hide();
  fputs("filedb-import: ", stderr);
  say(format, arguments);
  va_end(arguments);
  exit(2);
}
