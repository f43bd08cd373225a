// A disk that can be slow or broken at will, for LD_PRELOAD.
//
// Before each sync and each write to a regular file it reads the file that
// PETREL_TEST_DISK_FAULTS names; without it, or while it is missing or empty, nothing is
// changed. One directive per line:
//
//   path TEXT            only files whose path contains TEXT (default: all)
//   sync_delay_ms N      fsync, fdatasync and sync_file_range take N milliseconds longer
//   sync_error ERRNO     they do nothing and fail with this number
//   write_error ERRNO    write, pwrite and fallocate fail with this number
//   read_error ERRNO     read and pread fail with this number
//   read_error_at N      ... if they touch the byte at this offset of the file (default: any)
//   free_bytes N         statvfs says that so many bytes are free (any path)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct faults {
  char path[256];
  long sync_delay_ms;
  int sync_error;
  int write_error;
  int read_error;
  long read_error_at;
  long long free_bytes;
};

static int parse(char* text, struct faults* faults) {
  char* rest = NULL;
  faults->read_error_at = -1;
  faults->free_bytes = -1;
  for (char* line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    sscanf(line, "path %255s", faults->path);
    sscanf(line, "sync_delay_ms %ld", &faults->sync_delay_ms);
    sscanf(line, "sync_error %d", &faults->sync_error);
    sscanf(line, "write_error %d", &faults->write_error);
    sscanf(line, "read_error %d", &faults->read_error);
    sscanf(line, "read_error_at %ld", &faults->read_error_at);
    sscanf(line, "free_bytes %lld", &faults->free_bytes);
  }
  return faults->sync_delay_ms > 0 || faults->sync_error || faults->write_error || faults->read_error;
}

// Not through the functions below: they ask here.
static int read_control(struct faults* faults) {
  memset(faults, 0, sizeof(*faults));
  faults->free_bytes = -1;
  const char* control = getenv("PETREL_TEST_DISK_FAULTS");
  if (!control) return 0;
  int control_fd = open(control, O_RDONLY | O_CLOEXEC);
  if (control_fd < 0) return 0;
  char text[1024];
  ssize_t (*real_read)(int, void*, size_t) = dlsym(RTLD_NEXT, "read");
  ssize_t size = real_read(control_fd, text, sizeof(text) - 1);
  close(control_fd);
  text[size > 0 ? size : 0] = 0;
  return parse(text, faults);
}

// Whether something is to go wrong with this descriptor now.
static int faults_of(int fd, struct faults* faults) {
  const int saved_errno = errno;
  int affected = 0;
  struct stat status;
  if (read_control(faults) && fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) {
    char link[64];
    char path[4096];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof(path) - 1);
    path[size > 0 ? size : 0] = 0;
    affected = strstr(path, faults->path) != NULL;
  }
  errno = saved_errno;
  return affected;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// -1 with errno set when the sync is to fail.
static int before_sync(int fd) {
  struct faults faults;
  if (!faults_of(fd, &faults)) return 0;
  struct timespec delay = {faults.sync_delay_ms / 1000, faults.sync_delay_ms % 1000 * 1000000};
  while (nanosleep(&delay, &delay) != 0) {
  }
  if (!faults.sync_error) return 0;
  errno = faults.sync_error;
  return -1;
}

static int before_write(int fd) {
  struct faults faults;
  if (!faults_of(fd, &faults) || !faults.write_error) return 0;
  errno = faults.write_error;
  return -1;
}

static int before_read(int fd, long offset, size_t size) {
  struct faults faults;
  if (!faults_of(fd, &faults) || !faults.read_error) return 0;
  const long at = faults.read_error_at;
  if (at >= 0 && (at < offset || at >= offset + (long)size)) return 0;
  errno = faults.read_error;
  return -1;
}

ssize_t read(int fd, void* bytes, size_t size) {
  return before_read(fd, lseek(fd, 0, SEEK_CUR), size) ? -1 : REAL(read)(fd, bytes, size);
}

ssize_t pread(int fd, void* bytes, size_t size, off_t offset) {
  return before_read(fd, offset, size) ? -1 : REAL(pread)(fd, bytes, size, offset);
}

ssize_t pread64(int fd, void* bytes, size_t size, off64_t offset) {
  return before_read(fd, offset, size) ? -1 : REAL(pread64)(fd, bytes, size, offset);
}

static void limit_space(unsigned long block, unsigned long* available, unsigned long* free_blocks) {
  struct faults faults;
  const int saved_errno = errno;
  read_control(&faults);
  errno = saved_errno;
  if (faults.free_bytes < 0) return;
  *available = *free_blocks = (unsigned long)faults.free_bytes / block;
}

int statvfs(const char* path, struct statvfs* status) {
  const int result = REAL(statvfs)(path, status);
  if (result == 0) limit_space(status->f_frsize, &status->f_bavail, &status->f_bfree);
  return result;
}

int statvfs64(const char* path, struct statvfs64* status) {
  const int result = REAL(statvfs64)(path, status);
  if (result == 0) limit_space(status->f_frsize, (unsigned long*)&status->f_bavail, (unsigned long*)&status->f_bfree);
  return result;
}

int fsync(int fd) { return before_sync(fd) ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return before_sync(fd) ? -1 : REAL(fdatasync)(fd); }

int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
  return before_sync(fd) ? -1 : REAL(sync_file_range)(fd, offset, size, flags);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  return before_write(fd) ? -1 : REAL(write)(fd, bytes, size);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return before_write(fd) ? -1 : REAL(pwrite)(fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  return before_write(fd) ? -1 : REAL(pwrite64)(fd, bytes, size, offset);
}

// Return the error instead of setting errno.
int posix_fallocate(int fd, off_t offset, off_t size) {
  return before_write(fd) ? errno : REAL(posix_fallocate)(fd, offset, size);
}

int posix_fallocate64(int fd, off64_t offset, off64_t size) {
  return before_write(fd) ? errno : REAL(posix_fallocate64)(fd, offset, size);
}
