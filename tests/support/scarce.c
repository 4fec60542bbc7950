#include "scarce.h"

#include "harness.h"

#include <inttypes.h>
#include <stdio.h>

int tired;

bool again(rp_status status, int *tries)
{
    if (status != RP_ERR_NOMEM)
        return false;
    if (++*tries < TRIES)
        return true;
    tired++;
    return false;
}

/* Breaks off with the first fault, which `what` and `number` bring back. */
static void run(struct memory *memory, void (*everything)(void), struct memory how,
                const char *what, uint64_t number)
{
    unsigned before = CU_get_number_of_failures();
    *memory = how;
    tired = 0;
    everything();
    if (tired || CU_get_number_of_failures() != before) {
        fprintf(stderr, "with %s %" PRIu64 "\n", what, number);
        CU_FAIL_FATAL("refused memory was not forgiven");
    }
}

void with_enough(struct memory *memory, void (*everything)(void), uint64_t least)
{
    run(memory, everything, (struct memory){ 0 }, "memory enough, run", 1);
    CU_ASSERT_EQUAL(memory->refused, 0);
    CU_ASSERT_TRUE(memory->calls > least);
}

void with_each_refused(struct memory *memory, void (*everything)(void), uint64_t least)
{
    uint64_t turn = 0;
    do {
        turn++;
        run(memory, everything, (struct memory){ .fail_at = turn },
            "this allocation refused:", turn);
    } while (memory->refused);
    CU_ASSERT_TRUE(turn > least);
}

void with_some_refused(struct memory *memory, void (*everything)(void), uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run(memory, everything,
            (struct memory){ .random = seed * 7919, .fail_ppm = (uint32_t)(1 + seed % 4) * 50000 },
            "seed", seed);
}
