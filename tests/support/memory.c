#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC      0x6D656D6F72790001U
#define FRESH_JUNK 0xCD
#define FREED_JUNK 0xDD
/* bytes of a block that get it: of a table of hundreds of KiB a test touches the beginning */
#define JUNK_MOST 16384U

/* Before each block. */
struct block {
    _Alignas(max_align_t) uint64_t magic;
    size_t size;
};

static bool refused(struct memory *memory, size_t size)
{
    memory->calls++;
    if (memory->most && size > memory->most)
        return true;
    if (memory->fail_at &&
        (memory->calls == memory->fail_at || (memory->fail_on && memory->calls > memory->fail_at)))
        return true;
    memory->random = memory->random * 6364136223846793005U + 1442695040888963407U;
    return memory->random >> 32 < (uint64_t)memory->fail_ppm * 4295;
}

static struct block *block_of(void *data)
{
    struct block *block = (struct block *)data - 1;
    if (block->magic != MAGIC)
        abort(); /* freed before, or never ours */
    return block;
}

/* ---- where blocks come from */

#define SPARES 4
#define LARGE  65536U

#if defined(__has_feature)
#define IS_CLANG_ASAN __has_feature(address_sanitizer)
#else
#define IS_CLANG_ASAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || IS_CLANG_ASAN
#define KEEPS false /* it sees the use of a block that was given back */
#else
#define KEEPS true
#endif

/* Large blocks are kept for the next one of their size: a test that makes thousands of engines
 * would spend its time in the kernel, above all under a thread sanitizer. */
static _Thread_local struct block *spares[SPARES];

static struct block *new_block(size_t size)
{
    for (int i = 0; i < SPARES && size >= LARGE; i++) {
        struct block *spare = spares[i];
        if (!spare || spare->size != size)
            continue;
        spares[i] = NULL;
        return spare;
    }
    return malloc(sizeof(struct block) + size);
}

static void drop_block(struct block *block)
{
    static _Thread_local unsigned next;
    if (KEEPS && block->size >= LARGE) {
        unsigned place = next++ % SPARES;
        struct block *before = spares[place];
        spares[place] = block;
        block = before;
    }
    free(block);
}

/* ---- the hook */

static void fill(void *data, uint8_t junk, size_t size)
{
    memset(data, junk, size < JUNK_MOST ? size : JUNK_MOST);
}

static void give_back(struct memory *memory, void *data)
{
    struct block *block = block_of(data);
    memory->live--;
    memory->bytes -= block->size;
    fill(data, FREED_JUNK, block->size);
    block->magic = 0;
    drop_block(block);
}

void *memory_alloc(void *old, size_t size, void *user)
{
    struct memory *memory = user;
    if (size == 0) {
        if (old)
            give_back(memory, old);
        return NULL;
    }
    struct block *block = refused(memory, size) ? NULL : new_block(size);
    if (!block) {
        memory->refused++;
        return NULL;
    }
    block->magic = MAGIC;
    block->size = size;
    fill(block + 1, FRESH_JUNK, size);
    memory->live++;
    memory->bytes += size;
    if (old) { /* always to another place, so that pointers into the old one show */
        size_t before = block_of(old)->size;
        memcpy(block + 1, old, before < size ? before : size);
        give_back(memory, old);
    }
    return block + 1;
}

struct rpi_alloc memory_hook(struct memory *memory)
{
    return rpi_alloc_of(memory_alloc, memory);
}

void *test_room(void *old, size_t size)
{
    void *room = realloc(old, size ? size : 1);
    if (!room)
        abort();
    return room;
}

void *test_zeroed(size_t size)
{
    return memset(test_room(NULL, size), 0, size);
}
