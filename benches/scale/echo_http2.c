/* As much of HTTP/2 as a gRPC client needs of its server: frames, flow control in both directions, and of the headers the
 * path. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "echo.h"

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, HAS_PRIORITY = 32 };
#define PREFACE 24
#define WINDOW 0x7fffffff
#define REPLENISH (1 << 24)
/* Larger pieces of an answer are written from where they are. */
#define COPIED 2048

static void put32(uint8_t* at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t* at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void frame_head(uint8_t* at, size_t size, int kind, int flags, uint32_t stream) {
    put32(at, (uint32_t)size << 8 | (uint32_t)kind);
    at[4] = (uint8_t)flags;
    put32(at + 5, stream);
}

static void control(struct connection* connection, int kind, int flags, const void* bytes, size_t size) {
    if (connection->controlled + 9 + size > sizeof connection->control) fail("too much to control");
    uint8_t* at = (uint8_t*)connection->control + connection->controlled;
    frame_head(at, size, kind, flags, 0);
    if (size) memcpy(at + 9, bytes, size);
    connection->controlled += 9 + size;
}

static void replenish(struct connection* connection, uint32_t size) {
    uint8_t bytes[4];
    put32(bytes, size);
    control(connection, WINDOW_UPDATE, 0, bytes, 4);
}

static void greet(struct connection* connection) {
    /* INITIAL_WINDOW_SIZE and MAX_FRAME_SIZE: nothing that is sent here ever waits. */
    uint8_t settings[12] = {0, 4, 0x7f, 0xff, 0xff, 0xff, 0, 5, 0, 0xff, 0xff, 0xff};
    control(connection, SETTINGS, 0, settings, sizeof settings);
    replenish(connection, WINDOW - 65535);
}

static struct stream* stream_of(struct connection* connection, uint32_t id) {
    for (size_t i = 0; i < connection->stream_count; i++) {
        if (connection->streams[i].id == id) return &connection->streams[i];
    }
    return NULL;
}

static void ask(struct connection* connection, uint32_t id) {
    struct stream* stream = stream_of(connection, id);
    if (!stream) return;
    stream->asked = 1;
    if (stream->answer && strstr(stream->answer->path, "/ModelInfer")) *connection->count += 1;
}

static void settings(struct connection* connection, const uint8_t* at, size_t size) {
    for (; size >= 6; at += 6, size -= 6) {
        uint32_t name = (uint32_t)at[0] << 8 | at[1], value = get32(at + 2);
        if (name == 5) connection->largest_frame = value;
        if (name != 4) continue;
        for (size_t i = 0; i < connection->stream_count; i++) {
            connection->streams[i].window += (int64_t)value - connection->initial_window;
        }
        connection->initial_window = value;
    }
    control(connection, SETTINGS, ACK, NULL, 0);
}

static void headers(struct connection* connection, int flags, uint32_t id, const uint8_t* at, size_t size) {
    if (!(flags & END_HEADERS)) fail("headers in several frames");
    size_t padding = 0;
    if (flags & PADDED) padding = *at++, size -= 1 + padding;
    if (flags & HAS_PRIORITY) at += 5, size -= 5;
    const struct answer* answer = hpack_path(connection, at, at + size);
    if (connection->stream_count == sizeof connection->streams / sizeof *connection->streams) fail("too many streams");
    connection->streams[connection->stream_count++] =
        (struct stream){.id = id, .window = connection->initial_window, .answer = answer};
    if (flags & END_STREAM) ask(connection, id);
}

static void frame(struct connection* connection, int kind, int flags, uint32_t id, const uint8_t* at, size_t size) {
    if (kind == HEADERS) headers(connection, flags, id, at, size);
    if (kind == SETTINGS && !(flags & ACK)) settings(connection, at, size);
    if (kind == PING && !(flags & ACK)) control(connection, PING, ACK, at, size);
    if (kind == WINDOW_UPDATE) {
        struct stream* stream = stream_of(connection, id);
        if (id == 0) connection->window += get32(at);
        if (stream) stream->window += get32(at);
    }
    if (kind == RST_STREAM) {
        struct stream* stream = stream_of(connection, id);
        if (stream) *stream = connection->streams[--connection->stream_count];
    }
}

size_t http2_read(struct connection* connection, const char* bytes, size_t size) {
    const uint8_t* at = (const uint8_t*)bytes;
    if (!connection->greeted) {
        if (size < PREFACE) return 0;
        greet(connection);
        connection->greeted = 1;
        return PREFACE;
    }
    if (connection->ends) {
        connection->ends = 0;
        ask(connection, connection->data_stream);
        if (size == 0) return 0;
    }
    if (connection->received >= REPLENISH) {
        replenish(connection, (uint32_t)connection->received);
        connection->received = 0;
    }
    if (size < 9) return 0;
    size_t length = get32(at) >> 8;
    int kind = at[3], flags = at[4];
    uint32_t id = get32(at + 5) & WINDOW;
    if (kind == DATA) {
        connection->skip = length;
        connection->ends = flags & END_STREAM;
        connection->data_stream = id;
        return 9;
    }
    if (size < 9 + length) return 0;
    frame(connection, kind, flags, id, at + 9, length);
    return 9 + length;
}

/* Adds what this stream may send now. True when that is all of it. */
static int respond(struct connection* connection, struct stream* stream) {
    static const char begin[] = "\x88\x0f\x10\x10" "application/grpc";
    static const char end[] = "\x00\x0b" "grpc-status" "\x01" "0";
    static const char unknown[] = "\x00\x0b" "grpc-status" "\x02" "12";
    const struct answer* answer = stream->answer;
    size_t size = answer ? answer->size : 0;
    uint8_t head[9];
    if (!stream->begun) {
        frame_head(head, sizeof begin - 1, HEADERS, END_HEADERS, stream->id);
        push_copy(connection, head, 9);
        push_copy(connection, begin, sizeof begin - 1);
        stream->begun = 1;
    }
    while (stream->sent < size) {
        int64_t room = stream->window < connection->window ? stream->window : connection->window;
        if (room <= 0 || connection->vector_count > VECTORS - 8) return 0;
        size_t part = size - stream->sent;
        if (part > (size_t)room) part = (size_t)room;
        if (part > connection->largest_frame) part = connection->largest_frame;
        frame_head(head, part, DATA, 0, stream->id);
        push_copy(connection, head, 9);
        (part <= COPIED ? push_copy : push)(connection, answer->bytes + stream->sent, part);
        stream->sent += part;
        stream->window -= (int64_t)part;
        connection->window -= (int64_t)part;
    }
    const char* trailers = answer ? end : unknown;
    size_t length = answer ? sizeof end - 1 : sizeof unknown - 1;
    frame_head(head, length, HEADERS, END_HEADERS | END_STREAM, stream->id);
    push_copy(connection, head, 9);
    push_copy(connection, trailers, length);
    return 1;
}

void http2_write(struct connection* connection) {
    if (connection->controlled) {
        push_copy(connection, connection->control, connection->controlled);
        connection->controlled = 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < connection->stream_count; i++) {
        struct stream* stream = &connection->streams[i];
        int fits = connection->vector_count <= VECTORS - 8 && connection->scratched + 2 * COPIED < SCRATCH;
        if (stream->asked && fits && respond(connection, stream)) continue;
        connection->streams[kept++] = *stream;
    }
    connection->stream_count = kept;
}
