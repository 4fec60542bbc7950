/* What the same two processes reach by MPI alone: the limits that figures are compared with.  Ranks
 * 0 and 1 call each function together. */
#ifndef RAW_H
#define RAW_H

#include <mpi.h>
#include <stddef.h>

/* Makes later loops of 8-byte messages `times` times shorter, for slower transports. */
void raw_shorten(int times);

/* Seconds of one round trip of 8 bytes. */
double ping_pong(MPI_Comm comm, int rank);

/* Tasks a second with one message of 8 bytes each way for each: the best of several windows. */
double windowed_echo(MPI_Comm comm, int rank);

/* Tasks a second in batches of 4 KiB, of frames as rankpool's: both sides write and read every
 * header and payload, and rank 0 stores each result in an array.  The best of two windows. */
double framed_echo(MPI_Comm comm, int rank);

/* The window, in messages of that size under way, to try after `window`; at most BANDWIDTH_MOST.
 * 0 comes before the first and after the last. */
#define BANDWIDTH_MOST 64
int next_window(size_t size, int window);

/* Bytes a second of messages of `size` bytes from rank `from`, each answered by 8 bytes; the best
 * of these windows. */
double bandwidth(MPI_Comm comm, int rank, int from, size_t size, int messages);

#endif
