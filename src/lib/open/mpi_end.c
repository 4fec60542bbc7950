#include "open/mpi_end.h"

#include "exec/crash.h"
#include "transport/mpi/mpi_runtime.h"

#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/* ---- tasks that end MPI */

static int on_finalize(MPI_Comm comm, int key, void *value, void *extra)
{
    (void)comm;
    (void)key;
    (void)value;
    (void)extra;
    rpi_crash_end(RPI_WAY_FINALIZE, 0);
    return MPI_SUCCESS;
}

/* MPI_Finalize begins with what hangs on MPI_COMM_SELF. */
static void watch_end(void)
{
    int key;
    if (MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, on_finalize, &key, NULL) != MPI_SUCCESS)
        return;
    (void)MPI_Comm_set_attr(MPI_COMM_SELF, key, NULL);
    (void)MPI_Comm_free_keyval(&key); /* it goes with the attribute */
}

void rpi_mpi_end_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_end);
}

/* In a task's process, which has no MPI, it would never come back, and in a child of fork() it
 * would speak for its parent. */
static void abort_without_mpi(int code)
{
    rpi_crash_end(RPI_WAY_ABORT, code);
    if (rpi_mpi_runtime_inherited())
        _exit(code ? code : 1);
}

/* ---- errors in a task's calls of MPI */

static struct {
    pthread_mutex_t lock;
    int watchers;
    MPI_Errhandler handler; /* while there are any */
} errors = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* By default an error ends the job (MPI-3.1, 8.3): so it does, but the task is named, and where
 * lost workers are survived it costs only its own. */
static void on_error(MPI_Comm *comm, int *code, ...)
{
    char text[MPI_MAX_ERROR_STRING] = "", line[MPI_MAX_ERROR_STRING + 60];
    int length = 0;
    (void)MPI_Error_string(*code, text, &length);
    int used = snprintf(line, sizeof line, "rankpool: an MPI call failed: %s\n", text);
    if (used > 0)
        (void)!write(STDERR_FILENO, line, (size_t)used);
    abort_without_mpi(*code);
    (void)PMPI_Abort(*comm, *code);
}

/* Gives one handler's place to another. */
static void replace_handler(MPI_Errhandler old, MPI_Errhandler new)
{
    const MPI_Comm comms[2] = { MPI_COMM_WORLD, MPI_COMM_SELF };
    for (int i = 0; i < 2; i++) {
        MPI_Errhandler now;
        if (MPI_Comm_get_errhandler(comms[i], &now) != MPI_SUCCESS)
            continue;
        if (now == old)
            (void)MPI_Comm_set_errhandler(comms[i], new);
        if (now != MPI_ERRORS_ARE_FATAL)
            (void)MPI_Errhandler_free(&now);
    }
}

void rpi_mpi_end_watch_errors(void)
{
    (void)pthread_mutex_lock(&errors.lock);
    if (errors.watchers++ == 0) {
        errors.handler = MPI_ERRHANDLER_NULL;
        if (MPI_Comm_create_errhandler(on_error, &errors.handler) == MPI_SUCCESS)
            replace_handler(MPI_ERRORS_ARE_FATAL, errors.handler);
    }
    (void)pthread_mutex_unlock(&errors.lock);
}

void rpi_mpi_end_leave_errors(void)
{
    (void)pthread_mutex_lock(&errors.lock);
    if (--errors.watchers == 0 && errors.handler != MPI_ERRHANDLER_NULL) {
        replace_handler(errors.handler, MPI_ERRORS_ARE_FATAL);
        (void)MPI_Errhandler_free(&errors.handler);
    }
    (void)pthread_mutex_unlock(&errors.lock);
}

/* ---- in the place of MPI's own functions, whose names are PMPI_ too (MPI-3.1, 14.2) */

/* A tool of the application's that does the same comes first. */
#define INSTEAD RP_API __attribute__((weak))

/* An application that has initialised MPI finalises it too, and after a loss is not kept in it for
 * ever either.  In a child of fork() MPI's own hangs: MPI belongs to the parent, which finalises
 * it. */
INSTEAD int MPI_Finalize(void)
{
    if (!rpi_mpi_runtime_inherited())
        return rpi_mpi_runtime_finalize();
    rpi_crash_end(RPI_WAY_FINALIZE, 0);
    return MPI_SUCCESS;
}

INSTEAD int MPI_Abort(MPI_Comm comm, int code)
{
    abort_without_mpi(code);
    return PMPI_Abort(comm, code);
}

/* Fortran's, of mpif.h and the module mpi, and of mpi_f08, where `error` may be missing: MPI's own
 * call PMPI_Abort and PMPI_Finalize. */
INSTEAD void mpi_finalize_(MPI_Fint *error);
INSTEAD void mpi_finalize_f08_(MPI_Fint *error);
INSTEAD void mpi_abort_(const MPI_Fint *comm, const MPI_Fint *code, MPI_Fint *error);
INSTEAD void mpi_abort_f08_(const MPI_Fint *comm, const MPI_Fint *code, MPI_Fint *error);

void mpi_abort_f08_(const MPI_Fint *comm, const MPI_Fint *code, MPI_Fint *error)
{
    abort_without_mpi(*code);
    int status = PMPI_Abort(MPI_Comm_f2c(*comm), *code);
    if (error)
        *error = status;
}

void mpi_abort_(const MPI_Fint *comm, const MPI_Fint *code, MPI_Fint *error)
{
    mpi_abort_f08_(comm, code, error);
}

void mpi_finalize_f08_(MPI_Fint *error)
{
    int status = MPI_Finalize();
    if (error)
        *error = status;
}

void mpi_finalize_(MPI_Fint *error)
{
    mpi_finalize_f08_(error);
}
