/* FNV-1a of 64 bits, by Fowler, Noll and Vo (draft-eastlake-fnv): for tables and for comparing, not
 * against forgery. */
#ifndef RPI_HASH_H
#define RPI_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RPI_HASH_NONE 0xCBF29CE484222325U /* of no bytes */

/* Of the bytes that `hash` is of, and one more: a byte, or a word taken as one. */
static inline uint64_t rpi_hash_one(uint64_t hash, uint64_t one)
{
    return (hash ^ one) * 0x100000001B3U;
}

/* Of the bytes that `hash` is of, and these. */
static inline uint64_t rpi_hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = rpi_hash_one(hash, bytes[i]);
    return hash;
}

/* Of the bytes that `hash` is of, this text and its zero: "ab", "c" is not "a", "bc". */
static inline uint64_t rpi_hash_text(uint64_t hash, const char *text)
{
    return rpi_hash_bytes(hash, text, strlen(text) + 1);
}

#endif
