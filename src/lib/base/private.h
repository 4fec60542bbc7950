/* Descriptors that no child of fork() is to keep: as long as one lives, its copy of a socket would
 * hide its owner's death from the peer.  (All are close-on-exec; this is for children without
 * exec.)  It takes no lock: another thread may fork at any moment. */
#ifndef RPI_PRIVATE_H
#define RPI_PRIVATE_H

#define RPI_PRIVATE_MOST 65536 /* a descriptor above stays in children */

/* Returns `file`; a negative one is none. */
int rpi_private(int file);
/* Closes it; one that is not private too. */
void rpi_private_close(int file);
/* In a child of fork(), before all else: closes its copies. */
void rpi_private_leave(void);

#endif
