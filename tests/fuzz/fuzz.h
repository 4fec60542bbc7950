/* What the fuzz targets have in common.  Each reads its input as messages from a peer that may lie,
 * and must never crash, leak, or believe what cannot be.  With clang they are libFuzzer's (make
 * fuzz SECONDS=60); with any compiler they replay their corpus, which is part of make check. */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/bytes.h"
#include "memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hands give() inputs to begin with: what an honest peer says.  `into` is passed on. */
void fuzz_seeds(void (*give)(const char *name, const uint8_t *data, size_t size, const char *into),
                const char *into);

/* A bug. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input, read from its beginning; after its end come zeros. */
struct input {
    const uint8_t *at, *end;
};

static inline uint8_t input_byte(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static inline uint16_t input_word(struct input *input)
{
    uint16_t low = input_byte(input);
    return (uint16_t)(low | input_byte(input) << 8);
}

/* The next bytes, at most `size`, in a block of exactly their size, so that reading past them
 * shows; freed by the caller. */
static inline uint8_t *input_block(struct input *input, size_t size, size_t *got)
{
    size_t left = (size_t)(input->end - input->at);
    *got = size < left ? size : left;
    uint8_t *block = test_room(NULL, *got ? *got : 1);
    if (*got)
        memcpy(block, input->at, *got);
    input->at += *got;
    return block;
}

static inline void input_fill(struct input *input, void *to, size_t size)
{
    size_t left = (size_t)(input->end - input->at), taken = size < left ? size : left;
    if (taken)
        memcpy(to, input->at, taken);
    memset((uint8_t *)to + taken, 0, size - taken);
    input->at += taken;
}

/* An input while it is written. */
struct output {
    uint8_t bytes[1 << 16];
    size_t used;
};

static inline void output_bytes(struct output *output, const void *bytes, size_t size)
{
    MUST(size <= sizeof output->bytes - output->used);
    memcpy(output->bytes + output->used, bytes, size);
    output->used += size;
}

static inline void output_byte(struct output *output, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    output_bytes(output, &byte, 1);
}

static inline void output_word(struct output *output, size_t value)
{
    output_byte(output, (unsigned)value & 255);
    output_byte(output, (unsigned)(value >> 8) & 255);
}

/* Every byte is there to be read. */
static inline uint64_t sum_of(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum;
}

#endif
