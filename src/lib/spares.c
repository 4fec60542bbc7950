#include "spares.h"

#include "alloc.h"
#include "list.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define CLASSES (4 * 32) /* up to 2^48 bytes */

struct rpi_spares {
    struct rpi_alloc alloc;
    size_t most;          /* bytes idle */
    pthread_mutex_t lock; /* guards all below */
    size_t out;           /* buffers */
    bool ended;
    size_t idle;                   /* bytes */
    struct rpi_link ages;          /* what is idle, oldest first */
    struct rpi_link kept[CLASSES]; /* and of each class, newest first */
};

struct spare {
    struct rpi_link age, link; /* while it is idle */
    size_t size;               /* its class's */
    struct rpi_owner owner;
};

_Static_assert(sizeof(struct spare) == offsetof(struct spare, owner) + sizeof(struct rpi_owner),
               "a buffer's bytes begin right behind its owner");

struct rpi_spares *rpi_spares_new(const struct rpi_alloc *alloc, size_t most)
{
    struct rpi_spares *spares = rpi_zeroed(alloc, sizeof *spares);
    if (!spares)
        return NULL;
    spares->alloc = *alloc;
    spares->most = most;
    (void)pthread_mutex_init(&spares->lock, NULL); /* cannot fail with these arguments */
    rpi_list_init(&spares->ages);
    for (int i = 0; i < CLASSES; i++)
        rpi_list_init(&spares->kept[i]);
    return spares;
}

static void finish(struct rpi_spares *spares)
{
    struct rpi_alloc alloc = spares->alloc;
    (void)pthread_mutex_destroy(&spares->lock);
    rpi_free(&alloc, spares);
}

/* The least class that holds so many bytes, and how many those are: (4 + quarter) * 2^shift. */
static int class_of(size_t *size)
{
    int shift = 0;
    while ((*size - 1) >> shift >= 8)
        shift++;
    size_t quarters = ((*size - 1) >> shift) + 1; /* 5 to 8 */
    *size = quarters << shift;
    return 4 * (shift - 13) + (int)quarters - 5;
}

static struct spare *take_idle(struct rpi_spares *spares, int class)
{
    struct rpi_link *link = rpi_list_first(&spares->kept[class]);
    struct spare *spare = link ? RPI_MEMBER(link, struct spare, link) : NULL;
    if (!spare)
        return NULL;
    rpi_list_remove(&spare->link);
    rpi_list_remove(&spare->age);
    spares->idle -= spare->size;
    return spare;
}

/* Moves the oldest to `dropped` until at most `limit` bytes are idle. */
static void shrink(struct rpi_spares *spares, size_t limit, struct rpi_link *dropped)
{
    while (spares->idle > limit) {
        struct spare *spare = RPI_MEMBER(rpi_list_first(&spares->ages), struct spare, age);
        rpi_list_remove(&spare->link);
        rpi_list_remove(&spare->age);
        spares->idle -= spare->size;
        rpi_list_append(dropped, &spare->age);
    }
}

static void free_dropped(const struct rpi_alloc *alloc, struct rpi_link *dropped)
{
    for (struct rpi_link *link; (link = rpi_list_first(dropped));) {
        rpi_list_remove(link);
        rpi_free(alloc, RPI_MEMBER(link, struct spare, age));
    }
}

void rpi_spares_trim(struct rpi_spares *spares)
{
    struct rpi_link dropped;
    if (!spares)
        return;
    rpi_list_init(&dropped);
    (void)pthread_mutex_lock(&spares->lock);
    shrink(spares, 0, &dropped);
    (void)pthread_mutex_unlock(&spares->lock);
    free_dropped(&spares->alloc, &dropped);
}

void rpi_spares_end(struct rpi_spares *spares)
{
    if (!spares)
        return;
    rpi_spares_trim(spares);
    (void)pthread_mutex_lock(&spares->lock);
    spares->ended = true;
    bool last = spares->out == 0;
    (void)pthread_mutex_unlock(&spares->lock);
    if (last)
        finish(spares);
}

/* An rp_alloc that only frees: what a spare's owner calls. */
static void *put(void *owner, size_t size, void *user)
{
    struct rpi_spares *spares = user;
    struct spare *spare = RPI_MEMBER(owner, struct spare, owner);
    struct rpi_alloc alloc = spares->alloc;
    struct rpi_link dropped;
    (void)size;
    rpi_list_init(&dropped);
    (void)pthread_mutex_lock(&spares->lock);
    bool keep = !spares->ended && spare->size <= spares->most, last = --spares->out == 0 && spares->ended;
    if (keep) {
        rpi_list_prepend(&spares->kept[class_of(&spare->size)], &spare->link);
        rpi_list_append(&spares->ages, &spare->age);
        spares->idle += spare->size;
        shrink(spares, spares->most, &dropped);
    }
    (void)pthread_mutex_unlock(&spares->lock);
    free_dropped(&alloc, &dropped);
    if (!keep)
        rpi_free(&alloc, spare);
    if (last)
        finish(spares);
    return NULL;
}

static struct spare *make(struct rpi_spares *spares, size_t size)
{
    struct spare *spare = rpi_reserve(&spares->alloc, sizeof *spare + size);
    if (!spare) {
        rpi_spares_trim(spares);
        spare = rpi_reserve(&spares->alloc, sizeof *spare + size);
    }
    if (spare) {
        spare->size = size;
        spare->owner = (struct rpi_owner){ .fn = put, .user = spares };
    }
    return spare;
}

void *rpi_spares_buffer(struct rpi_spares *spares, size_t size)
{
    if (size > (size_t)1 << 47)
        return NULL;
    int class = class_of(&size);
    (void)pthread_mutex_lock(&spares->lock);
    struct spare *spare = take_idle(spares, class);
    spares->out++;
    (void)pthread_mutex_unlock(&spares->lock);
    if (!spare)
        spare = make(spares, size);
    if (spare)
        return spare + 1;
    (void)pthread_mutex_lock(&spares->lock);
    spares->out--;
    (void)pthread_mutex_unlock(&spares->lock);
    return NULL;
}
