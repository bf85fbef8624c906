/* A disk that fails at random, for one file name: preloaded, and turned on by the test. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE, SYNC, READ, OPEN, CUT, KINDS };

static double chances[KINDS];
static int error_number;
static unsigned seed;
static long failures;

void set_failures(const double *shares, int number, unsigned new_seed) {
  memcpy(chances, shares, sizeof chances);
  error_number = number;
  seed = new_seed;
}

long count_failures(void) { return failures; }

static int fails(int kind) {
  if (chances[kind] <= 0 || (double)rand_r(&seed) / RAND_MAX >= chances[kind]) return 0;
  failures++;
  return 1;
}

static int is_ours(int file) {
  char link[64], name[512];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, name, sizeof name - 1);
  if (length < 0) return 0;
  name[length] = 0;
  return strstr(name, "outbox.sqlite") != NULL;
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  if (chances[WRITE] > 0 && is_ours(file) && fails(WRITE)) {
    /* Every other one leaves half of it behind. */
    if (rand_r(&seed) & 1) (void)!real(file, bytes, count / 2, offset);
    errno = error_number;
    return -1;
  }
  return real(file, bytes, count, offset);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t offset) {
  REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
  if (chances[READ] > 0 && is_ours(file) && fails(READ)) {
    errno = EIO;
    return -1;
  }
  return real(file, bytes, count, offset);
}

int fdatasync(int file) {
  REAL(int, "fdatasync", int);
  if (chances[SYNC] > 0 && is_ours(file) && fails(SYNC)) {
    errno = error_number;
    return -1;
  }
  return real(file);
}

int fsync(int file) {
  REAL(int, "fsync", int);
  if (chances[SYNC] > 0 && is_ours(file) && fails(SYNC)) {
    errno = error_number;
    return -1;
  }
  return real(file);
}

int ftruncate64(int file, off64_t length) {
  REAL(int, "ftruncate64", int, off64_t);
  if (chances[CUT] > 0 && is_ours(file) && fails(CUT)) {
    errno = error_number;
    return -1;
  }
  return real(file, length);
}

/* Other builds of SQLite call these. */
ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  return pwrite64(file, bytes, count, offset);
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
  return pread64(file, bytes, count, offset);
}

int ftruncate(int file, off_t length) { return ftruncate64(file, length); }

int open64(const char *name, int flags, ...) {
  REAL(int, "open64", const char *, int, ...);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (chances[OPEN] > 0 && strstr(name, "outbox.sqlite") && fails(OPEN)) {
    errno = EMFILE;
    return -1;
  }
  return real(name, flags, mode);
}

int open(const char *name, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open64(name, flags, mode);
}
