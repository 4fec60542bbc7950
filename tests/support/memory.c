#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC      0x6D656D6F72790001U
#define FRESH_JUNK 0xCD
#define FREED_JUNK 0xDD

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
    if (memory->fail_at && (memory->calls == memory->fail_at || (memory->fail_on && memory->calls > memory->fail_at)))
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

static void give_back(struct memory *memory, void *data)
{
    struct block *block = block_of(data);
    memory->live--;
    memory->bytes -= block->size;
    memset(data, FREED_JUNK, block->size);
    block->magic = 0;
    free(block);
}

void *memory_alloc(void *old, size_t size, void *user)
{
    struct memory *memory = user;
    if (size == 0) {
        if (old)
            give_back(memory, old);
        return NULL;
    }
    struct block *block = refused(memory, size) ? NULL : malloc(sizeof *block + size);
    if (!block) {
        memory->refused++;
        return NULL;
    }
    block->magic = MAGIC;
    block->size = size;
    memset(block + 1, FRESH_JUNK, size);
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
