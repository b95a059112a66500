/* A disk that is full while a file exists. Loaded before the C library, it lets writes to
 * what lies under FULL_DISK_DIR fail as they do there, while FULL_DISK_WHILE is a file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_full(int fd) {
    const char *flag = getenv("FULL_DISK_WHILE");
    const char *dir = getenv("FULL_DISK_DIR");
    char link[64], path[PATH_MAX];
    if (flag == NULL || dir == NULL || access(flag, F_OK) != 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strncmp(path, dir, strlen(dir)) == 0;
}

#define UNLESS_FULL(call)   \
    do {                    \
        if (is_full(fd)) {  \
            errno = ENOSPC; \
            return -1;      \
        }                   \
        return call;        \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t count) {
    static ssize_t (*next)(int, const void *, size_t);
    if (next == NULL)
        next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    UNLESS_FULL(next(fd, bytes, count));
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    static ssize_t (*next)(int, const void *, size_t, off_t);
    if (next == NULL)
        next = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    UNLESS_FULL(next(fd, bytes, count, at));
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (next == NULL)
        next = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    UNLESS_FULL(next(fd, bytes, count, at));
}
