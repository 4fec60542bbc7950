/* The processes that this one has started, and those that they have.  Whoever dies leaves its
 * children to the process that kills: none is stopped first, so that it may die itself meanwhile
 * without leaving any of them standing. */
#ifndef RPI_PROCTREE_H
#define RPI_PROCTREE_H

/* The name of processes (prctl PR_SET_NAME) that end with their parent, and end their own children
 * first: they are let be. */
#define RPI_PROCTREE_SPARED "rankpool-forks"

/* SIGKILL to all of them until none is left; for a process that ends by itself, whose launcher may
 * not know of them.  It takes what its children leave to it for ever, and reaps what dies.  0.2 s
 * at most, beside what the kernel takes to end a process. */
void rpi_proctree_kill(void);

/* SIGKILL to the children of one thread of this process, once; returns to how many.  Takes no lock,
 * and no memory. */
int rpi_proctree_kill_of(const char *thread);

#endif
