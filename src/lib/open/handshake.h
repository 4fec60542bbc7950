/* The talk at a pool's opening, over any transport: each rank says hello to rank 0, which answers
 * with a verdict; every rank comes out with the same status.
 *
 *   hello    header (kind HELLO)
 *            registry hash u64   pid i64   status u32   functions u32
 *            host and message: u16 length, bytes
 *            then the functions' names, sorted, each with its zero, as many as fit
 *   verdict  header (kind VERDICT)
 *            status u32   workers u32   batch bytes u32   ranks on this host u32   seed u64
 *            initializer u32 (its number; 0xFFFF: none)   bytes of its argument u32
 *            flags u32 (1 together, 2 a caretaker at each worker)
 *            isolation u32 (1: in a process of their own)   tasks per process u64
 *            cancel_grace f64   the rank's number in the pool u32
 *            side channel: address u32   port u32   ms between heartbeats u32
 *            ms that a host may be silent u32   token, 16 bytes
 *            message: u16 length, bytes
 *
 * Each rank then connects to the side channel and makes ready what it needs to serve, says hello
 * again with what came of it, and gets a second verdict: nothing that can fail comes after the last
 * one.  An initializer runs before that second hello; if it has an argument there is a round more
 * before, for the room that the argument takes, and the argument follows as a large payload.  STOP
 * instead of a verdict: rank 0 has no memory left for one. */
#ifndef RPI_HANDSHAKE_H
#define RPI_HANDSHAKE_H

#include "open/handshake_state.h"

RP_MUST_USE rp_status rpi_handshake_master(struct rpi_handshake *opening);
/* The first round; the side channel is up to the caller: rpi_handshake_join. */
RP_MUST_USE rp_status rpi_handshake_worker(struct rpi_handshake *opening);
/* Connects to the side channel, if there is one. */
RP_MUST_USE rp_status rpi_handshake_join(struct rpi_handshake *opening);
/* Only with an argument for the initializer: the round for its room, and the receiving of it. */
RP_MUST_USE rp_status rpi_handshake_argument(struct rpi_handshake *opening);
/* The last round: tells rank 0 whether this rank can serve (its message is rp_error_message()) and
 * gets the verdict on all. */
RP_MUST_USE rp_status rpi_handshake_report(struct rpi_handshake *opening, rp_status status);

/* Rank 0 cannot go on after all: tells the others, which serve already. */
void rpi_handshake_take_back(struct rpi_handshake *opening);

#endif
