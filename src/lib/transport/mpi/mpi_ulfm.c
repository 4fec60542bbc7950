#include "transport/mpi/mpi_ulfm.h"

#if defined(__has_include)
#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif
#endif

#ifdef MPIX_ERR_PROC_FAILED

bool rpi_mpi_ulfm_is_here(void)
{
    return true;
}

bool rpi_mpi_ulfm_is_end(int code)
{
    int class = MPI_SUCCESS;
    return MPI_Error_class(code, &class) == MPI_SUCCESS &&
           (class == MPIX_ERR_PROC_FAILED || class == MPIX_ERR_PROC_FAILED_PENDING);
}

void rpi_mpi_ulfm_ended(MPI_Comm comm, void (*ended)(void *context, int rank), void *context)
{
    MPI_Group failed, all;
    int count = 0;
    if (MPIX_Comm_failure_ack(comm) != MPI_SUCCESS ||
        MPIX_Comm_failure_get_acked(comm, &failed) != MPI_SUCCESS)
        return;
    (void)MPI_Comm_group(comm, &all);
    (void)MPI_Group_size(failed, &count);
    for (int i = 0, rank; i < count; i++)
        if (MPI_Group_translate_ranks(failed, 1, &i, all, &rank) == MPI_SUCCESS &&
            rank != MPI_UNDEFINED)
            ended(context, rank);
    (void)MPI_Group_free(&failed);
    (void)MPI_Group_free(&all);
}

#else

bool rpi_mpi_ulfm_is_here(void)
{
    return false;
}

bool rpi_mpi_ulfm_is_end(int code)
{
    (void)code;
    return false;
}

void rpi_mpi_ulfm_ended(MPI_Comm comm, void (*ended)(void *context, int rank), void *context)
{
    (void)comm;
    (void)ended;
    (void)context;
}

#endif
