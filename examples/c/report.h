/* What filedb-import says on stderr: messages about files, and a progress line that does not get mixed up with them. */
#ifndef REPORT_H
#define REPORT_H

#include <stddef.h>
#include <stdio.h>

/* The progress line appears with the first file that is done, and is drawn again in place on a terminal; elsewhere
 * there is a line per second. */
void progress_begin(size_t total_files);
void progress_file_done(size_t bytes);
/* Takes the line from the screen, until the next file is done. */
void progress_hide(void);
/* Files per second since progress_begin. */
double progress_rate(void);

/* A name on one line, whatever is in it: control characters and backslashes as \ooo. */
void print_name(FILE *to, const char *name, size_t len);
/* "filedb-import: NAME: what happened" */
void report(const char *name, size_t len, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "filedb-import: what happened", and the end of the program with exit code 2. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
