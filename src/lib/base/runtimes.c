#include "base/runtimes.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- looking */

/* In one library, which may be there for a plug-in alone, or (NULL) where the program finds it.
 * NULL: it is not there. */
static void *find(const char *library, const char *name)
{
    void *handle = library ? dlopen(library, RTLD_LAZY | RTLD_NOLOAD) : NULL, *found = NULL;
    if (handle || !library)
        found = dlsym(library ? handle : RTLD_DEFAULT, name);
    if (handle)
        (void)dlclose(handle); /* whoever loaded it still has it */
    return found;
}

/* ISO C knows no way from a pointer to data to one to a function. */
#define FIND(function, library, name)                                                              \
    do {                                                                                           \
        void *found = find(library, name);                                                         \
        memcpy(&(function), &found, sizeof(function));                                             \
    } while (0)

/* ---- output */

#define STREAMS 2

/* Of C++'s libraries, each with its stream's flush, which is a function of the stream. */
static const struct {
    const char *flush, *streams[STREAMS];
} libraries[] = { { "_ZNSo5flushEv", { "_ZSt4cout", "_ZSt4clog" } },
                  { "_ZNSt3__113basic_ostreamIcNS_11char_traitsIcEEE5flushEv",
                    { "_ZNSt3__14coutE", "_ZNSt3__14clogE" } } };
#define LIBRARIES (sizeof libraries / sizeof *libraries)

/* Of the process, as they are. */
static void (*flush_units)(const int *unit); /* NULL: of all */
static void *(*flush_stream[LIBRARIES])(void *stream);
static void *streams[LIBRARIES][STREAMS];

void rpi_runtimes_find(void)
{
    FIND(flush_units, NULL, "_gfortran_flush_i4");
    if (!flush_units)
        FIND(flush_units, "libgfortran.so.5", "_gfortran_flush_i4");
    for (size_t i = 0; i < LIBRARIES; i++) {
        FIND(flush_stream[i], NULL, libraries[i].flush);
        for (size_t j = 0; j < STREAMS; j++) /* where the program has a copy of it, that one */
            streams[i][j] = find(NULL, libraries[i].streams[j]);
    }
}

/* A stream begins with the pointer to its functions. libstdc++ before 13 makes std::cout only in a
 * program of which some part includes <iostream>: else there is nothing in it. */
static bool is_made(const void *stream)
{
    const void *functions = NULL;
    if (stream)
        memcpy(&functions, stream, sizeof functions);
    return functions;
}

void rpi_runtimes_flush(void)
{
    if (flush_units)
        flush_units(NULL);
    for (size_t i = 0; i < LIBRARIES; i++)
        for (size_t j = 0; flush_stream[i] && j < STREAMS; j++)
            if (is_made(streams[i][j]))
                (void)flush_stream[i](streams[i][j]);
    (void)fflush(NULL);
}

/* ---- threads */

/* omp_pause_soft: the threads end, which is enough (after omp_pause_hard a fork aborts in LLVM 14's
 * runtime) */
#define SOFT 1

void rpi_runtimes_pause(void)
{
    static const char *const runtimes[] = { NULL, "libgomp.so.1", "libomp.so.5", "libomp.so",
                                            "libiomp5.so" };
    int (*paused[sizeof runtimes / sizeof *runtimes])(int kind) = { NULL };
    for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++) {
        bool known = false;
        FIND(paused[i], runtimes[i], "omp_pause_resource_all");
        for (size_t j = 0; j < i; j++)
            known = known || paused[j] == paused[i];
        if (paused[i] && !known)
            (void)paused[i](SOFT);
    }
}
