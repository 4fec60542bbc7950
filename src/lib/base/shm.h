/* Memory that the processes of one host have in common.
 *
 * It is an anonymous file (memfd_create).  It never has a name in /dev/shm, so a crash leaves no
 * file there, and the kernel frees it with the last process that has it.  A POSIX shared memory
 * object would survive a crash between its making and its unlinking, and could be unlinked only
 * after every worker has mapped it.  Others open it as /proc/PID/fd/N, which the kernel allows to
 * the same user.  The owner may be busy in a task: it need not answer, as it would have to for a
 * descriptor over a socket.
 *
 * Where the file cannot be made (no memfd_create, too many open descriptors), it is private memory
 * with fd -1, and every process gets bytes of its own. */
#ifndef RPI_SHM_H
#define RPI_SHM_H

#include "base/shm_segment.h"

#include <rankpool.h>

/* A random token for a new segment. */
uint64_t rpi_shm_token(void);
/* Writable room of segment->size bytes with its token.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_shm_make(struct rpi_shm *segment);
/* Makes it, copies `data` there and seals it.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_shm_copy(struct rpi_shm *segment, const void *data);
/* From now on no process can write to it. */
void rpi_shm_seal(struct rpi_shm *segment);
/* Maps the segment that process `pid` has as descriptor `fd`, if that is the one with this size and
 * token.  `keep`: segment->fd is set, so that another process can map it from here. */
bool rpi_shm_map(struct rpi_shm *segment, int64_t pid, int32_t fd, bool keep);
/* Unmaps and closes it here; other processes keep their mappings. */
void rpi_shm_free(struct rpi_shm *segment);

#endif
