/* How a task has ended its process, in the process's own words: it leaves them just before its
 * end. */
#ifndef RPI_DEATH_H
#define RPI_DEATH_H

#include <stddef.h>
#include <stdint.h>

/* How; the values travel on the side channel (oob_protocol.h). */
enum rpi_way {
    RPI_WAY_NONE = 0,     /* nothing is known */
    RPI_WAY_SIGNAL = 1,   /* of its own; code: its number */
    RPI_WAY_EXIT = 2,     /* exit(); code: the status */
    RPI_WAY_THREAD = 3,   /* it ended the thread that it ran on */
    RPI_WAY_FINALIZE = 4, /* MPI_Finalize */
    RPI_WAY_ABORT = 5,    /* MPI_Abort; code: its own */
    RPI_WAY_QUICK_EXIT = 6,
};

struct rpi_death {
    uint64_t id;   /* of the task's future */
    uint64_t item; /* of a map: the index of the item that ran */
    int32_t code;
    uint8_t attempt;
    uint8_t way; /* rpi_way */
};

#define RPI_DEATH_TEXT 48 /* bytes, at the most */

/* "died of SIGSEGV", "called exit(3)", ...; may be called in a signal handler. */
void rpi_death_tell(const struct rpi_death *death, char text[RPI_DEATH_TEXT]);

/* The name of a signal, or NULL. */
const char *rpi_death_signal_name(int number);

/* Appends to what stands in text[0 .. used) and returns the new length, under `size`; the text
 * ends with a 0 byte. For signal handlers, where printf may not be called. */
size_t rpi_death_text_add(char *text, size_t size, size_t used, const char *more);
size_t rpi_death_text_number(char *text, size_t size, size_t used, uint64_t number);

#endif
