/* Makes a server that cannot be told where to listen do so on loopback alone: preloaded, it narrows bind(2) to any
 * IPv4 address to 127.0.0.1. Orthanc before 1.12 listens on every interface, for HTTP and for DICOM.
 *
 * cc -shared -fPIC -o loopback.so loopback.c */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int socket, const struct sockaddr *address, socklen_t size)
{
    int (*system_bind)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    struct sockaddr_in narrowed;
    if (address->sa_family == AF_INET && size >= sizeof narrowed) {
        memcpy(&narrowed, address, sizeof narrowed);
        if (narrowed.sin_addr.s_addr == htonl(INADDR_ANY)) {
            narrowed.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            return system_bind(socket, (const struct sockaddr *)&narrowed, sizeof narrowed);
        }
    }
    return system_bind(socket, address, size);
}
