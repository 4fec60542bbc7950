/* What the runtimes of other languages want around a fork, where they are in this process: it
 * copies what they have buffered, and none of the threads that they count on.  Looked for by name,
 * so that the library needs none of them. */
#ifndef RPI_RUNTIMES_H
#define RPI_RUNTIMES_H

/* Looks for those that have been loaded since. */
void rpi_runtimes_find(void);
/* Writes what C, Fortran (GNU's) and C++'s std::cout and std::clog hold for their files. */
void rpi_runtimes_flush(void);
/* Ends the threads that OpenMP keeps between two parallel regions of this thread: a child would
 * wait for them for ever.  The next region makes new ones.  No effect within one. */
void rpi_runtimes_pause(void);

#endif
