/* A bare echo: reads requests over HTTP/1.1 and gRPC, looks only for where they end, and answers with bytes that were
 * recorded before. What a load generator reaches against it is its ceiling: no server that answers can be faster.
 *
 *     echo FOLDER THREADS    prints its ports for HTTP and for gRPC
 *
 * FOLDER/http and FOLDER/grpc hold one file an answer, whose name is the path with '+' for each '/'. Connections go to
 * the threads in turn. GET /count over HTTP tells how many inference requests were answered. */

#include "echo.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 64
#define READ 262144

static struct answer answers[2][32];
static int answer_count[2];

struct counter {
    _Alignas(64) unsigned long count;
};
static struct counter counters[THREADS];
static int polls[THREADS], thread_count;

void fail(const char* what) {
    perror(what);
    exit(1);
}

const struct answer* find_answer(int grpc, const char* path, size_t length) {
    for (int i = 0; i < answer_count[grpc]; i++) {
        const struct answer* answer = &answers[grpc][i];
        if (strlen(answer->path) == length && !memcmp(answer->path, path, length)) return answer;
    }
    fprintf(stderr, "echo: nothing recorded for %.*s\n", (int)length, path);
    return NULL;
}

static void load(const char* folder, int grpc) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, grpc ? "grpc" : "http");
    DIR* all = opendir(path);
    if (!all) fail(path);
    for (struct dirent* each; (each = readdir(all));) {
        if (each->d_name[0] == '.') continue;
        struct answer* answer = &answers[grpc][answer_count[grpc]++];
        snprintf(answer->path, sizeof answer->path, "%s", each->d_name);
        for (char* c = answer->path; *c; c++) {
            if (*c == '+') *c = '/';
        }
        snprintf(path, sizeof path, "%s/%s/%s", folder, grpc ? "grpc" : "http", each->d_name);
        FILE* file = fopen(path, "rb");
        if (!file) fail(path);
        fseek(file, 0, SEEK_END);
        answer->size = (size_t)ftell(file);
        rewind(file);
        answer->bytes = malloc(answer->size + 1);
        if (fread(answer->bytes, 1, answer->size, file) != answer->size) fail(path);
        fclose(file);
    }
    closedir(all);
}

void push(struct connection* connection, const void* bytes, size_t size) {
    int last = connection->vector_count - 1;
    if (last >= 0 && (char*)connection->vectors[last].iov_base + connection->vectors[last].iov_len == bytes) {
        connection->vectors[last].iov_len += size;
        return;
    }
    connection->vectors[connection->vector_count++] = (struct iovec){(void*)bytes, size};
}

void push_copy(struct connection* connection, const void* bytes, size_t size) {
    char* at = connection->scratch + connection->scratched;
    memcpy(at, bytes, size);
    connection->scratched += size;
    push(connection, at, size);
}

/* Requests over HTTP/1.1: one at a time. */
size_t http1_read(struct connection* connection, const char* bytes, size_t size) {
    const char* end = memmem(bytes, size, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end - bytes) + 4;
    const char* path = memchr(bytes, ' ', head);
    const char* after = path ? memchr(path + 1, ' ', head - (size_t)(path + 1 - bytes)) : NULL;
    if (!after) return size;
    size_t length = (size_t)(after - path - 1);
    if (length == 6 && !memcmp(path + 1, "/count", 6)) {
        char text[160];
        unsigned long sum = 0;
        for (int i = 0; i < thread_count; i++) sum += __atomic_load_n(&counters[i].count, __ATOMIC_RELAXED);
        int digits = snprintf(NULL, 0, "%lu", sum);
        int all = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%lu", digits, sum);
        push_copy(connection, text, (size_t)all);
        return head;
    }
    const struct answer* answer = find_answer(0, path + 1, length);
    if (!answer) {
        static const char missing[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        push_copy(connection, missing, sizeof missing - 1);
        return head;
    }
    for (const char* line = bytes; line < end; line++) {
        line = memchr(line, '\n', (size_t)(end - line));
        if (!line) break;
        if (!strncasecmp(line + 1, "content-length:", 15)) connection->skip = strtoul(line + 16, NULL, 10);
        if (!strncasecmp(line + 1, "expect:", 7)) push_copy(connection, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
    if (bytes[0] == 'P') *connection->count += 1;
    connection->answer = answer;
    return head;
}

static void close_connection(struct connection* connection) {
    close(connection->socket);
    free(connection->input);
    free(connection);
}

/* Writes what there is. False when the connection is gone. */
static int flush(struct connection* connection) {
    for (;;) {
        if (connection->first == connection->vector_count) {
            connection->first = connection->vector_count = 0;
            connection->scratched = 0;
            if (connection->grpc) http2_write(connection);
            if (connection->vector_count == 0) break;
        }
        ssize_t sent = writev(
            connection->socket, connection->vectors + connection->first, connection->vector_count - connection->first);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) return 0;
        size_t left = (size_t)sent;
        while (connection->first < connection->vector_count) {
            struct iovec* vector = &connection->vectors[connection->first];
            if (left < vector->iov_len) {
                vector->iov_base = (char*)vector->iov_base + left;
                vector->iov_len -= left;
                break;
            }
            left -= vector->iov_len;
            connection->first++;
        }
    }
    int waits = connection->first < connection->vector_count;
    if (waits != connection->waits) {
        struct epoll_event event = {EPOLLIN | (waits ? EPOLLOUT : 0), {connection}};
        epoll_ctl(connection->poll, EPOLL_CTL_MOD, connection->socket, &event);
        connection->waits = waits;
    }
    return 1;
}

/* Looks at all that is held, and keeps what is not complete. */
static void consume(struct connection* connection) {
    size_t at = 0;
    while (at < connection->held || (connection->answer && connection->skip == 0)) {
        if (connection->skip) {
            size_t some = connection->held - at < connection->skip ? connection->held - at : connection->skip;
            connection->skip -= some;
            at += some;
            if (connection->grpc) connection->received += some;
        }
        if (connection->skip == 0 && connection->answer && !connection->grpc) {
            push(connection, connection->answer->bytes, connection->answer->size);
            connection->answer = NULL;
        }
        if (at >= connection->held && !(connection->grpc && connection->ends)) break;
        if (connection->skip) break;
        const char* bytes = connection->input + at;
        size_t size = connection->held - at;
        size_t done = connection->grpc ? http2_read(connection, bytes, size) : http1_read(connection, bytes, size);
        if (done == 0) break;
        at += done;
    }
    connection->held -= at;
    memmove(connection->input, connection->input + at, connection->held);
}

static int ready(struct connection* connection, uint32_t events) {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        if (connection->room - connection->held < READ / 2) {
            connection->room = connection->room ? connection->room * 2 : READ;
            connection->input = realloc(connection->input, connection->room);
        }
        ssize_t got =
            recv(connection->socket, connection->input + connection->held, connection->room - connection->held, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) return 0;
        if (got > 0) {
            connection->held += (size_t)got;
            consume(connection);
        }
    }
    return flush(connection);
}

static void* serve(void* number) {
    int poll = polls[(intptr_t)number];
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(poll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            struct connection* connection = events[i].data.ptr;
            if (!ready(connection, events[i].events)) close_connection(connection);
        }
    }
    return NULL;
}

static int listens(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr*)&address, length) || listen(listener, 4096)) fail("listen");
    if (getsockname(listener, (struct sockaddr*)&address, &length)) fail("getsockname");
    printf("%d\n", ntohs(address.sin_port));
    return listener;
}

static void accept_on(int listener, int grpc) {
    static int next;
    int yes = 1, number = next++ % thread_count;
    struct connection* connection = calloc(1, sizeof *connection);
    connection->socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (connection->socket < 0) fail("accept");
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connection->grpc = grpc;
    connection->count = &counters[number].count;
    connection->poll = polls[number];
    connection->window = connection->initial_window = 65535;
    connection->largest_frame = 16384;
    connection->table_limit = 4096;
    struct epoll_event event = {EPOLLIN, {connection}};
    if (epoll_ctl(polls[number], EPOLL_CTL_ADD, connection->socket, &event)) fail("epoll_ctl");
}

int main(int count, char** values) {
    if (count != 3) {
        fputs("echo FOLDER THREADS\n", stderr);
        return 2;
    }
    load(values[1], 0);
    load(values[1], 1);
    thread_count = atoi(values[2]);
    for (int i = 0; i < thread_count; i++) {
        pthread_t thread;
        polls[i] = epoll_create1(0);
        if (pthread_create(&thread, NULL, serve, (void*)(intptr_t)i)) fail("pthread_create");
    }
    int listeners[2] = {listens(), listens()}, poll = epoll_create1(0);
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {EPOLLIN, {.fd = i}};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, listeners[i], &event)) fail("epoll_ctl");
    }
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(poll, &event, 1, -1) == 1) accept_on(listeners[event.data.fd], event.data.fd);
    }
}
