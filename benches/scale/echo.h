/* What the parts of echo.c share. */

#ifndef ECHO_H
#define ECHO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define TABLE 128
#define VECTORS 96
#define SCRATCH 65536

/* The bytes that answer a path: of HTTP the whole answer, of gRPC the message with its five bytes of prefix. */
struct answer {
    char path[256];
    char* bytes;
    size_t size;
};

/* The answer to a path, or null. */
const struct answer* find_answer(int grpc, const char* path, size_t length);

/* An entry of the HPACK table: what it names is kept only where that is :path. */
struct entry {
    int is_path;
    size_t name, value;
    const struct answer* answer;
};

struct stream {
    uint32_t id;
    int asked, begun;
    int64_t window;
    size_t sent;
    const struct answer* answer;
};

struct connection {
    int socket, poll, grpc, waits;
    unsigned long* count;
    /* What came and was not looked at yet. */
    char* input;
    size_t held, room;
    /* Bytes of a body that are still to come, and what is to be answered after them. */
    size_t skip;
    const struct answer* answer;
    /* What is being written. */
    struct iovec vectors[VECTORS];
    int first, vector_count;
    char scratch[SCRATCH];
    size_t scratched;
    /* Of HTTP/2 only. */
    int greeted, ends;
    uint32_t data_stream;
    int64_t window, initial_window;
    size_t largest_frame, received;
    char control[16384];
    size_t controlled;
    struct entry table[TABLE];
    size_t entries, table_size, table_limit;
    struct stream streams[1024];
    size_t stream_count;
};

void fail(const char* what);

/* Looks at what was read; returns how much of it is done with. */
size_t http1_read(struct connection* connection, const char* bytes, size_t size);
size_t http2_read(struct connection* connection, const char* bytes, size_t size);

/* Fills the vectors with what may be written now. */
void http2_write(struct connection* connection);

/* Adds bytes that stay where they are, or are copied. */
void push(struct connection* connection, const void* bytes, size_t size);
void push_copy(struct connection* connection, const void* bytes, size_t size);

/* The answer to the :path of a block of headers. */
const struct answer* hpack_path(struct connection* connection, const uint8_t* at, const uint8_t* end);

#endif
