/* What a power cut at this moment could leave of a text, for tests/adapters/test_store_power.py.
 *
 * Preloaded into a process, it keeps an empty file named by its inode in $POWER_FOLDER for each
 * file that may have $POWER_TEXT in it on a disk that loses all that was not synced: since the text
 * was written into it, until it was synced without. Once a file whose name has "report" in it
 * was synced with something in it, nothing is noted any more.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int ended;

static int note(int fd, char *mark, int *report) {
    struct stat status;
    char link[64], path[4096] = "";
    if (ended || fstat(fd, &status) || !S_ISREG(status.st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0) return 0;
    *report = strstr(path, "report") && status.st_size > 0;
    if (strstr(path, "report")) return *report;
    snprintf(mark, 4096, "%s/%lu", getenv("POWER_FOLDER"), (unsigned long)status.st_ino);
    return 1;
}

static void written(int fd, const void *bytes, size_t count) {
    const char *text = getenv("POWER_TEXT");
    char mark[4096];
    int report = 0;
    if (memmem(bytes, count, text, strlen(text)) && note(fd, mark, &report) && !report)
        close(open(mark, O_CREAT | O_WRONLY, 0600));
}

static void synced(int fd) {
    const char *text = getenv("POWER_TEXT");
    struct stat status;
    char mark[4096];
    int report = 0;
    if (!note(fd, mark, &report)) return;
    if (report) { ended = 1; return; }
    fstat(fd, &status);
    char *content = malloc(status.st_size + 1);
    ssize_t got = pread(fd, content, status.st_size, 0);
    if (got < 0 || memmem(content, got, text, strlen(text)))
        close(open(mark, O_CREAT | O_WRONLY, 0600));
    else
        unlink(mark);
    free(content);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count) {
    ssize_t done = REAL(write)(fd, bytes, count);
    written(fd, bytes, count);
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t place) {
    ssize_t done = REAL(pwrite)(fd, bytes, count, place);
    written(fd, bytes, count);
    return done;
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t place) {
    ssize_t done = REAL(pwrite64)(fd, bytes, count, place);
    written(fd, bytes, count);
    return done;
}
int fsync(int fd) {
    int done = REAL(fsync)(fd);
    synced(fd);
    return done;
}
int fdatasync(int fd) {
    int done = REAL(fdatasync)(fd);
    synced(fd);
    return done;
}
