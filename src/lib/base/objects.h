/* Shared objects: the program itself, its libraries, and plug-ins, which are loaded and unloaded
 * while it runs. */
#ifndef RPI_OBJECTS_H
#define RPI_OBJECTS_H

#include <rankpool.h>

struct rpi_object {
    uint64_t id; /* of its name and its address; 0: none, as of a function that was made while the
                    program runs */
    uint64_t unloads; /* of any object in this process, so far */
};

/* The object that has this function now. */
struct rpi_object rpi_object_of(rp_fn *fn);

#endif
