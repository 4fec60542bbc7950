#include "base/advice.h"

#include <stdatomic.h>

static atomic_bool is_other;

static const char *const texts[][2] = {
    [RPI_ADVICE_NETWORK] = { "mpirun --mca btl_tcp_if_include NETWORK chooses the network",
                             "UCX_NET_DEVICES=INTERFACE in every rank's environment chooses the "
                             "network" },
    [RPI_ADVICE_SHARED] = { "UCX_TLS=^sm keeps UCX from it, mpirun --mca btl tcp,self the others",
                            "UCX_TLS=^sm keeps UCX from it" },
    [RPI_ADVICE_RECOVER] = { ": mpirun does; rankpool launch, mpirun --enable-recovery, and srun "
                             "with one task on each "
                             "node do not",
                             "" },
    [RPI_ADVICE_SPAWN] = { ", or allow more processes than slots: mpirun --oversubscribe -n 1",
                           "" },
    [RPI_ADVICE_SRUN] = { "srun --mpi=pmix", "srun --mpi=pmi2" },
};

void rpi_advice_is_open_mpi(bool is)
{
    atomic_store(&is_other, !is);
}

const char *rpi_advice(enum rpi_advice which)
{
    return texts[which][atomic_load(&is_other)];
}
