// Loaded before the C library (LD_PRELOAD): spoils writes, flushes, opens and renames of files below FAULT_ROOT.
//   FAULT_LOG    append "CALL PATH" for every such call
//   FAULT_PATH   text that a file's path must hold
//   FAULT_CALL   write, fsync, open or rename
//   FAULT_AT     which of these calls fails, from 1 on; all later ones fail too, as on a full or broken disk
//   FAULT_ERRNO  its number; 0: a write puts down half of its bytes (at least one), every time
//   FAULT_CLOCK  seconds that the clock is ahead
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_int calls;

static int is_below(const char* path) {
  const char* root = getenv("FAULT_ROOT");
  return root != NULL && strncmp(path, root, strlen(root)) == 0;
}

static const char* path_of(int fd, char* buffer, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, buffer, size - 1);
  buffer[length < 0 ? 0 : length] = 0;
  return buffer;
}

/** -1: nothing happens to this call; else the error's number, 0 for half a write. */
static int fault_of(const char* call, const char* path) {
  if (!is_below(path)) return -1;
  const char* log = getenv("FAULT_LOG");
  if (log != NULL) {
    char line[4200];
    const int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
      syscall(SYS_write, fd, line, (size_t)length);
      syscall(SYS_close, fd);
    }
  }
  const char *wanted = getenv("FAULT_CALL"), *text = getenv("FAULT_PATH"), *number = getenv("FAULT_ERRNO");
  if (wanted == NULL || number == NULL || strcmp(wanted, call) != 0) return -1;
  if (text != NULL && strstr(path, text) == NULL) return -1;
  const char* at = getenv("FAULT_AT");
  if (atomic_fetch_add(&calls, 1) + 1 < (at == NULL ? 1 : atoi(at))) return -1;
  return atoi(number);
}

static int fault_of_fd(const char* call, int fd) {
  char path[4096];
  return fault_of(call, path_of(fd, path, sizeof path));
}

#define SPOIL(call, fd)                           \
  const int fault = fault_of_fd(call, fd);        \
  if (fault > 0) {                                \
    errno = fault;                                \
    return -1;                                    \
  }
#define HALF(size) (fault == 0 && (size) > 1 ? (size) / 2 : (size))

ssize_t write(int fd, const void* data, size_t size) {
  SPOIL("write", fd)
  return REAL(write)(fd, data, HALF(size));
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  SPOIL("write", fd)
  return REAL(pwrite)(fd, data, HALF(size), offset);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  SPOIL("write", fd)
  return REAL(pwrite64)(fd, data, HALF(size), offset);
}

/** Half of a vector's bytes go out as its first piece, or half of that. */
ssize_t writev(int fd, const struct iovec* pieces, int count) {
  SPOIL("write", fd)
  if (fault != 0) return REAL(writev)(fd, pieces, count);
  return REAL(write)(fd, pieces[0].iov_base, count > 1 ? pieces[0].iov_len : HALF(pieces[0].iov_len));
}
ssize_t pwritev(int fd, const struct iovec* pieces, int count, off_t offset) {
  SPOIL("write", fd)
  if (fault != 0) return REAL(pwritev)(fd, pieces, count, offset);
  return REAL(pwrite)(fd, pieces[0].iov_base, count > 1 ? pieces[0].iov_len : HALF(pieces[0].iov_len), offset);
}
ssize_t pwritev64(int fd, const struct iovec* pieces, int count, off64_t offset) { return pwritev(fd, pieces, count, offset); }

int fsync(int fd) {
  SPOIL("fsync", fd)
  return REAL(fsync)(fd);
}
int fdatasync(int fd) {
  SPOIL("fsync", fd)
  return REAL(fdatasync)(fd);
}
ssize_t copy_file_range(int from, off64_t* a, int to, off64_t* b, size_t size, unsigned flags) {
  SPOIL("write", to)
  return REAL(copy_file_range)(from, a, to, b, HALF(size), flags);
}

static int spoiled_open(const char* path, int flags) {
  if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) == 0) return 0;
  const int fault = fault_of("open", path);
  if (fault <= 0) return 0;
  errno = fault;
  return -1;
}
#define OPEN(name)                                              \
  int name(const char* path, int flags, ...) {                  \
    va_list rest;                                               \
    va_start(rest, flags);                                      \
    const mode_t mode = va_arg(rest, mode_t);                   \
    va_end(rest);                                               \
    if (spoiled_open(path, flags) != 0) return -1;              \
    return REAL(name)(path, flags, mode);                       \
  }
OPEN(open)
OPEN(open64)

int rename(const char* from, const char* to) {
  const int fault = fault_of("rename", to);
  if (fault > 0) {
    errno = fault;
    return -1;
  }
  return REAL(rename)(from, to);
}

static time_t ahead(void) {
  const char* seconds = getenv("FAULT_CLOCK");
  return seconds == NULL ? 0 : atol(seconds);
}
int clock_gettime(clockid_t clock, struct timespec* now) {
  const int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += ahead();
  return result;
}
int gettimeofday(struct timeval* now, void* zone) {
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  (void)zone;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}
time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
