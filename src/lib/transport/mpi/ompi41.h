/* What Open MPI 4.1 does about a peer that ends while something is on its way to it over tcp:
 * mca_btl_tcp fails what is not yet written, and pml_ob1 ends this process for that
 * (pml_ob1_sendreq.c, "FATAL"), in two of three deaths in the middle of a large message. Nothing
 * above MPI can say no to it, so it does not get to know: the end of a connection is kept from that
 * component, whose message then waits for ever.  Who has ended, the side channel tells. */
#ifndef RPI_OMPI41_H
#define RPI_OMPI41_H

/* From now on, in this process, in which MPI is initialised.  No effect where that component is not
 * loaded, and on machines that are not of 64 bits. */
void rpi_ompi41_outlive_peers(void);

#endif
