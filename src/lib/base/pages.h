/* Memory in pages of the system's. */
#ifndef RPI_PAGES_H
#define RPI_PAGES_H

#include <stddef.h>

/* The system's large pages: a copy between processes looks up each page, and each new one costs a
 * fault. */
#define RPI_PAGES_HUGE ((size_t)2 << 20)
/* Apart from all other memory, and large pages as far as whole ones go, where the system has them.
 * NULL: no memory. */
void *rpi_pages_new(size_t size);
void rpi_pages_free(void *pages, size_t size);
/* The system takes back what whole pages there are, until they are written again; what they hold is
 * lost. */
void rpi_pages_empty(void *memory, size_t size);

#endif
