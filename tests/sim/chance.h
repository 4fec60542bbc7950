/* Random numbers from a seed, the same on every machine. */
#ifndef CHANCE_H
#define CHANCE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

static inline uint64_t chance_mix(uint64_t a, uint64_t b)
{
    uint64_t z = (a ^ b * 0x9E3779B97F4A7C15U) + 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return z ^ z >> 31;
}

static inline uint64_t chance_next(struct chance *chance)
{
    chance->state += 0x9E3779B97F4A7C15U;
    return chance_mix(chance->state, 0);
}

/* 0 to below - 1. */
static inline uint32_t chance_below(struct chance *chance, uint32_t below)
{
    return (uint32_t)((chance_next(chance) >> 32) * below >> 32);
}

/* In (0, 1). */
static inline double chance_unit(struct chance *chance)
{
    return ((double)(chance_next(chance) >> 11) + 0.5) * 0x1p-53;
}

static inline bool chance_is(struct chance *chance, double probability)
{
    return chance_unit(chance) < probability;
}

static inline double chance_exponential(struct chance *chance, double mean)
{
    return -mean * log(chance_unit(chance));
}

/* `spread`: the standard deviation of the logarithm. */
static inline double chance_lognormal(struct chance *chance, double mean, double spread)
{
    double normal = sqrt(-2 * log(chance_unit(chance))) *
                    cos(6.283185307179586 * chance_unit(chance));
    return mean * exp(spread * normal - spread * spread / 2);
}

#endif
