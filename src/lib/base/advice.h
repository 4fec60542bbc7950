/* What to do, in the words of the MPI that this is built with: its launcher's options and its
 * settings.  Parts of longer messages. */
#ifndef RPI_ADVICE_H
#define RPI_ADVICE_H

#include <stdbool.h>

enum rpi_advice {
    RPI_ADVICE_NETWORK, /* chooses the network of the side channel, and of messages */
    RPI_ADVICE_SHARED,  /* keeps MPI from memory that ranks share, in brackets */
    RPI_ADVICE_RECOVER, /* says what launchers do with the ranks that are left: ends a sentence */
    RPI_ADVICE_SPAWN,   /* may let MPI spawn workers where it did not: ends a sentence */
    RPI_ADVICE_SRUN,    /* srun, with its option for this MPI */
};

const char *rpi_advice(enum rpi_advice which);

/* A fact of the process; at first it is taken for Open MPI. */
void rpi_advice_is_open_mpi(bool is);

#endif
