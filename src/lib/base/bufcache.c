#include "base/bufcache.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/pages.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define CLASSES (4 * 32)                                         /* up to LARGEST */
#define LARGEST ((size_t)1 << (SIZE_MAX > UINT32_MAX ? 47 : 31)) /* bytes */
/* buffers that share pages, at the least */
#define TOGETHER 8

struct rpi_bufcache {
    struct rpi_alloc alloc;
    size_t most;          /* bytes idle */
    pthread_mutex_t lock; /* guards all below */
    size_t out;           /* buffers */
    bool ended;
    void (*stir)(void *context); /* NULL: no thread waits for idle memory */
    void *context;
    size_t idle;                    /* bytes */
    struct rpi_link ages;           /* what is idle, oldest first */
    struct rpi_link kept[CLASSES];  /* and of each class, newest first */
    struct rpi_link slabs[CLASSES]; /* of each class, those that have room */
};

/* What begins memory that goes back as a whole. */
struct block {
    _Alignas(max_align_t) struct rpi_link link;
    size_t pages; /* bytes of the system's; 0: it is the allocator's */
};

/* Several buffers of one class, in a row in large pages. */
struct slab {
    struct block block;   /* linked while it has room */
    struct rpi_link cold; /* buffers whose pages went back */
    uint8_t *cut, *end;   /* between them none was used yet */
    uint32_t out;         /* buffers in use; without any, one is idle */
};

struct spare {
    struct block block;   /* linked while it is idle, by age */
    struct rpi_link link; /* and in its class */
    size_t size;          /* its class's */
    struct slab *slab;    /* NULL: it is alone */
    struct rpi_owner owner;
};

_Static_assert(sizeof(struct slab) % _Alignof(max_align_t) == 0,
               "the first buffer begins right after it");
_Static_assert(sizeof(struct spare) == offsetof(struct spare, owner) + sizeof(struct rpi_owner),
               "a buffer's bytes begin right after its owner");

static void finish(struct rpi_bufcache *cache)
{
    struct rpi_alloc alloc = cache->alloc;
    (void)pthread_mutex_destroy(&cache->lock);
    rpi_free(&alloc, cache);
}

/* The least class that holds *size bytes; *size becomes its own: (4 + quarter) * 2^shift. */
static int class_of(size_t *size)
{
    int shift = 0;
    while ((*size - 1) >> shift >= 8)
        shift++;
    size_t quarters = ((*size - 1) >> shift) + 1; /* 5 to 8 */
    *size = quarters << shift;
    return 4 * (shift - 13) + (int)quarters - 5;
}

/* ---- what goes back to the system */

static void forget(struct rpi_bufcache *cache, struct spare *spare)
{
    rpi_list_remove(&spare->link);
    if (rpi_list_empty(&spare->block.link)) /* in use, or cold */
        return;
    rpi_list_remove(&spare->block.link);
    cache->idle -= spare->size;
}

/* All its buffers are idle. */
static void drop_slab(struct rpi_bufcache *cache, struct slab *slab, size_t size,
                      struct rpi_link *dropped)
{
    for (uint8_t *at = (uint8_t *)(slab + 1); at < slab->cut; at += sizeof(struct spare) + size)
        forget(cache, (struct spare *)(void *)at);
    rpi_list_remove(&slab->block.link);
    rpi_list_append(dropped, &slab->block.link);
}

/* Gives up an unused buffer's memory: at once, or through `dropped`, which the caller frees after
 * unlocking. */
static void drop(struct rpi_bufcache *cache, struct spare *spare, struct rpi_link *dropped)
{
    struct slab *slab = spare->slab;
    size_t size = spare->size;
    forget(cache, spare);
    if (!slab) {
        rpi_list_append(dropped, &spare->block.link);
    } else if (slab->out == 0) {
        drop_slab(cache, slab, size, dropped);
    } else {
        rpi_pages_empty(spare + 1, size);
        rpi_list_append(&slab->cold, &spare->link);
        rpi_list_remove(&slab->block.link);
        rpi_list_append(&cache->slabs[class_of(&size)], &slab->block.link);
    }
}

/* The oldest go until at most `limit` bytes are idle. */
static void shrink(struct rpi_bufcache *cache, size_t limit, struct rpi_link *dropped)
{
    while (cache->idle > limit)
        drop(cache, RPI_MEMBER(rpi_list_first(&cache->ages), struct spare, block.link), dropped);
}

static void free_dropped(const struct rpi_alloc *alloc, struct rpi_link *dropped)
{
    for (struct rpi_link *link; (link = rpi_list_pop(dropped));) {
        struct block *block = RPI_MEMBER(link, struct block, link);
        if (block->pages)
            rpi_pages_free(block, block->pages);
        else
            rpi_free(alloc, block);
    }
}

void rpi_bufcache_trim(struct rpi_bufcache *cache)
{
    struct rpi_link dropped;
    if (!cache)
        return;
    rpi_list_init(&dropped);
    (void)pthread_mutex_lock(&cache->lock);
    shrink(cache, 0, &dropped);
    (void)pthread_mutex_unlock(&cache->lock);
    free_dropped(&cache->alloc, &dropped);
}

bool rpi_bufcache_watch(struct rpi_bufcache *cache, void (*stir)(void *context), void *context)
{
    (void)pthread_mutex_lock(&cache->lock);
    bool idle = cache->idle > 0;
    cache->stir = idle ? NULL : stir;
    cache->context = context;
    (void)pthread_mutex_unlock(&cache->lock);
    return idle;
}

static void stir(struct rpi_bufcache *cache)
{
    void (*waits)(void *context) = cache->stir;
    if (!waits)
        return;
    cache->stir = NULL;
    waits(cache->context);
}

void rpi_bufcache_end(struct rpi_bufcache *cache)
{
    if (!cache)
        return;
    rpi_bufcache_trim(cache);
    (void)pthread_mutex_lock(&cache->lock);
    cache->ended = true;
    bool last = cache->out == 0;
    (void)pthread_mutex_unlock(&cache->lock);
    if (last)
        finish(cache);
}

/* An rp_alloc that only frees: what a spare's owner calls. */
static void *put(void *owner, size_t size, void *user)
{
    struct rpi_bufcache *cache = user;
    struct spare *spare = RPI_MEMBER(owner, struct spare, owner);
    struct rpi_alloc alloc = cache->alloc;
    struct rpi_link dropped;
    (void)size;
    rpi_list_init(&dropped);
    (void)pthread_mutex_lock(&cache->lock);
    bool last = --cache->out == 0 && cache->ended;
    if (spare->slab)
        spare->slab->out--;
    if (cache->ended || spare->size > cache->most) {
        drop(cache, spare, &dropped);
    } else {
        rpi_list_prepend(&cache->kept[class_of(&spare->size)], &spare->link);
        rpi_list_append(&cache->ages, &spare->block.link);
        cache->idle += spare->size;
        shrink(cache, cache->most, &dropped);
        stir(cache);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    free_dropped(&alloc, &dropped);
    if (last)
        finish(cache);
    return NULL;
}

/* ---- what is handed out */

static struct spare *take_idle(struct rpi_bufcache *cache, int class)
{
    struct rpi_link *link = rpi_list_first(&cache->kept[class]);
    struct spare *spare = link ? RPI_MEMBER(link, struct spare, link) : NULL;
    if (!spare)
        return NULL;
    rpi_list_remove(&spare->link);
    rpi_list_remove(&spare->block.link);
    cache->idle -= spare->size;
    if (spare->slab)
        spare->slab->out++;
    return spare;
}

static struct spare *describe(struct spare *spare, struct rpi_bufcache *cache, size_t size,
                              struct slab *slab)
{
    spare->size = size;
    spare->slab = slab;
    rpi_list_init(&spare->block.link);
    rpi_list_init(&spare->link);
    spare->owner = (struct rpi_owner){ .fn = put, .user = cache };
    return spare;
}

static struct slab *make_slab(size_t size)
{
    size_t whole = (sizeof(struct slab) + TOGETHER * (sizeof(struct spare) + size) +
                    RPI_PAGES_HUGE - 1) &
                   ~(RPI_PAGES_HUGE - 1);
    struct slab *slab = rpi_pages_new(whole);
    if (!slab)
        return NULL;
    *slab = (struct slab){ .block.pages = whole,
                           .cut = (uint8_t *)(slab + 1),
                           .end = (uint8_t *)slab + whole };
    rpi_list_init(&slab->block.link);
    rpi_list_init(&slab->cold);
    return slab;
}

static bool has_room(const struct slab *slab, size_t size)
{
    return !rpi_list_empty(&slab->cold) ||
           (size_t)(slab->end - slab->cut) >= sizeof(struct spare) + size;
}

/* A buffer of a slab that has room. */
static struct spare *cut(struct rpi_bufcache *cache, struct slab *slab, int class, size_t size)
{
    struct rpi_link *link = rpi_list_pop(&slab->cold);
    struct spare *spare = link ? RPI_MEMBER(link, struct spare, link) : NULL;
    if (!spare) {
        spare = describe((struct spare *)(void *)slab->cut, cache, size, slab);
        slab->cut += sizeof *spare + size;
    }
    slab->out++;
    rpi_list_remove(&slab->block.link);
    if (has_room(slab, size))
        rpi_list_prepend(&cache->slabs[class], &slab->block.link);
    return spare;
}

static struct spare *cut_any(struct rpi_bufcache *cache, int class, size_t size)
{
    struct rpi_link *link = rpi_list_first(&cache->slabs[class]);
    return link ? cut(cache, RPI_MEMBER(link, struct slab, block.link), class, size) : NULL;
}

static struct spare *make_shared(struct rpi_bufcache *cache, int class, size_t size)
{
    struct slab *slab = make_slab(size);
    if (!slab)
        return NULL;
    (void)pthread_mutex_lock(&cache->lock);
    struct spare *spare = cut(cache, slab, class, size);
    (void)pthread_mutex_unlock(&cache->lock);
    return spare;
}

static struct spare *make_alone(struct rpi_bufcache *cache, size_t size)
{
    size_t whole = sizeof(struct spare) + size;
    bool pages = whole >= RPI_PAGES_HUGE && rpi_has_pages(&cache->alloc);
    struct spare *spare = pages ? rpi_pages_new(whole) : rpi_reserve(&cache->alloc, whole);
    if (!spare)
        return NULL;
    describe(spare, cache, size, NULL);
    spare->block.pages = pages ? whole : 0;
    return spare;
}

static struct spare *make(struct rpi_bufcache *cache, int class, size_t size)
{
    struct spare *spare = NULL;
    if (size < RPI_PAGES_HUGE && rpi_has_pages(&cache->alloc))
        spare = make_shared(cache, class, size);
    return spare ? spare : make_alone(cache, size);
}

/* The hook of struct rpi_alloc. */
static void *large(void *context, size_t size)
{
    struct rpi_bufcache *cache = context;
    if (size > LARGEST)
        return NULL;
    int class = class_of(&size);
    (void)pthread_mutex_lock(&cache->lock);
    struct spare *spare = take_idle(cache, class);
    if (!spare)
        spare = cut_any(cache, class, size);
    cache->out++;
    (void)pthread_mutex_unlock(&cache->lock);
    if (!spare)
        spare = make(cache, class, size);
    if (!spare) {
        rpi_bufcache_trim(cache);
        spare = make(cache, class, size);
    }
    if (spare)
        return spare + 1;
    (void)pthread_mutex_lock(&cache->lock);
    cache->out--;
    (void)pthread_mutex_unlock(&cache->lock);
    return NULL;
}

bool rpi_bufcache_begin(struct rpi_alloc *alloc, size_t most)
{
    struct rpi_bufcache *cache = rpi_zeroed(alloc, sizeof *cache);
    if (!cache)
        return false;
    cache->alloc = *alloc;
    cache->most = most;
    (void)pthread_mutex_init(&cache->lock, NULL); /* cannot fail with these arguments */
    rpi_list_init(&cache->ages);
    for (int i = 0; i < CLASSES; i++) {
        rpi_list_init(&cache->kept[i]);
        rpi_list_init(&cache->slabs[i]);
    }
    alloc->large = large;
    alloc->cache = cache;
    return true;
}
