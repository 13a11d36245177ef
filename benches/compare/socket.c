/* A server and a client that do nothing but read and write bytes: what a request costs before anybody looks at it.
 *
 *     socket serve ANSWER             answers whatever comes with the bytes of that file; prints its port
 *     socket load PORT REQUEST SIZE SECONDS
 *                                     sends the bytes of that file, one after the other, as soon as SIZE bytes came back;
 *                                     prints how often
 *
 * Built by scripts/bench socket. */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char bytes[65536], buffer[65536];

static void must(int holds, const char* what) {
    if (holds) return;
    perror(what);
    exit(1);
}

static size_t read_file(const char* path) {
    FILE* file = fopen(path, "rb");
    must(file != NULL, path);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return size;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static struct sockaddr_in at(int port) {
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void no_delay(int connection) {
    int yes = 1;
    must(setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0, "setsockopt");
}

/* One connection after the other. Small requests come in one piece. */
static int serve(const char* answer) {
    size_t size = read_file(answer);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = at(0);
    socklen_t length = sizeof address;
    must(bind(listener, (struct sockaddr*)&address, length) == 0, "bind");
    must(listen(listener, 1) == 0, "listen");
    must(getsockname(listener, (struct sockaddr*)&address, &length) == 0, "getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        must(connection >= 0, "accept");
        no_delay(connection);
        while (recv(connection, buffer, sizeof buffer, 0) > 0) {
            if (send(connection, bytes, size, MSG_NOSIGNAL) < 0) break;
        }
        close(connection);
    }
}

static int load(int port, const char* request, size_t answer, double seconds) {
    size_t size = read_file(request);
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = at(port);
    must(connect(connection, (struct sockaddr*)&address, sizeof address) == 0, "connect");
    no_delay(connection);
    long count = 0;
    for (double end = now() + seconds; now() < end; count++) {
        must(send(connection, bytes, size, 0) == (ssize_t)size, "send");
        for (size_t got = 0; got < answer;) {
            ssize_t more = recv(connection, buffer, sizeof buffer, 0);
            must(more > 0, "recv");
            got += (size_t)more;
        }
    }
    printf("%ld\n", count);
    return 0;
}

int main(int count, char** values) {
    if (count == 3 && !strcmp(values[1], "serve")) return serve(values[2]);
    if (count == 6 && !strcmp(values[1], "load")) {
        return load(atoi(values[2]), values[3], strtoul(values[4], NULL, 10), atof(values[5]));
    }
    fputs("socket serve ANSWER | socket load PORT REQUEST SIZE SECONDS\n", stderr);
    return 2;
}
