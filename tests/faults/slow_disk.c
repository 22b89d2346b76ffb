/* Makes every write that must last take as long as on a worn card: milliseconds, as the file
 * that SLOW_DISK names says. Loaded before the C library's own (LD_PRELOAD). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void dawdle(void)
{
    const char *name = getenv("SLOW_DISK");
    FILE *file = name ? fopen(name, "re") : NULL;
    long ms = 0;

    if (file != NULL) {
        if (fscanf(file, "%ld", &ms) != 1)
            ms = 0;
        fclose(file);
    }
    if (ms > 0) {
        struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};
        nanosleep(&pause, NULL);
    }
}

int fsync(int file)
{
    static int (*real)(int);

    if (real == NULL)
        real = dlsym(RTLD_NEXT, "fsync");
    dawdle();
    return real(file);
}

int fdatasync(int file)
{
    static int (*real)(int);

    if (real == NULL)
        real = dlsym(RTLD_NEXT, "fdatasync");
    dawdle();
    return real(file);
}
