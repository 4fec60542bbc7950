/* Descriptors that a child of fork() must close: its copy of a socket would hide the parent's death
 * from the peer while the child lives.  (All are close-on-exec; this is for children without exec.)
 * It takes no lock, because another thread may fork at any moment. */
#ifndef RPI_PRIVATE_H
#define RPI_PRIVATE_H

#define RPI_PRIVATE_MOST 65536 /* a descriptor above stays in children */

/* Marks and returns `file`; a negative one is ignored. */
int rpi_private(int file);
/* Closes it, whether it is marked or not. */
void rpi_private_close(int file);
/* In a child of fork(), before all else: closes its copies. */
void rpi_private_leave(void);

#endif
