/* After which time a host that does not answer is given up, and what the kernel is told of it. */
#ifndef RANKPOOL_CLI_KEEPALIVE_H
#define RANKPOOL_CLI_KEEPALIVE_H

#define HOST_TIMEOUT 3.0 /* seconds, by default, as --help and the manual say */
/* environment: seconds, for the ranks, whose pools have it as their default */
#define HOST_TIMEOUT_SETTING "RANKPOOL_HOST_TIMEOUT"

/* The kernel's questions: one each `pause` seconds, and the end after `probes` of them without an
 * answer. */
struct keepalive {
    int pause, probes;
};
struct keepalive keepalive_of(double host_timeout);
void keepalive_set(int socket, double host_timeout);

/* Ranks hear it by the environment. */
void keepalive_tell(double host_timeout);
double keepalive_told(void);

#endif
