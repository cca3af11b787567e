/* An item of the batch tests that proves by itself that no other process of the same item runs.
 *
 *   exclusive-item PROOF ID OUT MS FAIL
 *
 * It holds a lock of the kernel (flock) on PROOF/<last two of ID>/ID.lock as long as it or its child
 * lives; if somebody has it, ID.twice is written. Every start and every end is a byte in ID.starts and
 * ID.ends. OUT/result gets the id. With FAIL=1 the first start of an item ends with exit code 7. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char base[4096];

static int mark(const char *kind) {
  char path[4200];
  snprintf(path, sizeof path, "%s.%s", base, kind);
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (fd < 0 || write(fd, "x", 1) != 1) _exit(90);
  struct stat s;
  fstat(fd, &s);
  close(fd);
  return (int)s.st_size;
}

int main(int argc, char **argv) {
  if (argc != 6) return 91;
  const char *id = argv[2];
  snprintf(base, sizeof base, "%s/%s", argv[1], id + (strlen(id) > 2 ? strlen(id) - 2 : 0));
  mkdir(base, 0777);
  snprintf(base, sizeof base, "%s/%s/%s", argv[1], id + (strlen(id) > 2 ? strlen(id) - 2 : 0), id);
  char path[4200];
  snprintf(path, sizeof path, "%s.lock", base);
  int lock = open(path, O_RDWR | O_CREAT, 0666);
  if (lock < 0) return 92;
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    mark("twice");
    return 93;
  }
  int start = mark("starts");
  if (atoi(argv[5]) && start == 1) return 7;
  /* The work is a child's, which keeps the lock: who kills the parent alone has not ended the item. */
  pid_t child = fork();
  if (child == 0) {
    struct timespec t = {atoi(argv[4]) / 1000, atoi(argv[4]) % 1000 * 1000000L};
    nanosleep(&t, NULL);
    snprintf(path, sizeof path, "%s/result", argv[3]);
    int out = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (out < 0 || write(out, id, strlen(id)) < 0) _exit(94);
    close(out);
    mark("ends");
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 95;
}
