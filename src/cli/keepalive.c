#include "keepalive.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct keepalive keepalive_of(double host_timeout)
{
    int pause = 1 + (int)(host_timeout / 100); /* the kernel's most are 127 probes */
    int probes = (int)(host_timeout / pause);
    return (struct keepalive){ .pause = pause, .probes = probes > 1 ? probes : 1 };
}

void keepalive_set(int socket, double host_timeout)
{
    struct keepalive keepalive = keepalive_of(host_timeout);
    int on = 1;
    (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive.pause, sizeof keepalive.pause);
    (void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &keepalive.pause, sizeof keepalive.pause);
    (void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &keepalive.probes, sizeof keepalive.probes);
}

void keepalive_tell(double host_timeout)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%g", host_timeout);
    (void)setenv(HOST_TIMEOUT_SETTING, text, 1);
}

double keepalive_told(void)
{
    const char *text = getenv(HOST_TIMEOUT_SETTING);
    double seconds = text ? strtod(text, NULL) : 0;
    return seconds >= 1 && seconds <= 3600 ? seconds : HOST_TIMEOUT;
}
