/* Little-endian numbers of fixed width to and from bytes.  gcc and clang make one load or store of
 * each on little-endian machines. */
#ifndef RPI_BYTES_H
#define RPI_BYTES_H

#include <stdint.h>

static inline void rpi_put16(uint8_t *to, uint16_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

static inline void rpi_put32(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
    to[2] = (uint8_t)(value >> 16);
    to[3] = (uint8_t)(value >> 24);
}

static inline void rpi_put64(uint8_t *to, uint64_t value)
{
    rpi_put32(to, (uint32_t)value);
    rpi_put32(to + 4, (uint32_t)(value >> 32));
}

static inline uint16_t rpi_get16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t rpi_get32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static inline uint64_t rpi_get64(const uint8_t *from)
{
    return (uint64_t)rpi_get32(from) | (uint64_t)rpi_get32(from + 4) << 32;
}

#endif
