/* Of a block of headers the :path, whose name and value may come from the table that client and server keep alike. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "echo.h"

/* How long the names of the static table are; 4 and 5 are :path. */
static const uint8_t static_names[62] = {0,  10, 7,  7,  5,  5,  7,  7,  7,  7,  7,  7,  7,  7,  7,  14,
                                         15, 15, 13, 6,  27, 3,  5,  13, 13, 19, 16, 16, 14, 16, 13, 12,
                                         6,  4,  4,  6,  7,  4,  4,  8,  17, 13, 8,  19, 13, 4,  8,  12,
                                         18, 19, 5,  7,  7,  11, 6,  10, 25, 17, 10, 4,  3,  16};

static size_t number(const uint8_t** at, const uint8_t* end, int bits) {
    size_t most = ((size_t)1 << bits) - 1, value = *(*at)++ & most;
    for (int shift = 0; value >= most && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        value += (size_t)(byte & 127) << shift;
        if (!(byte & 128)) break;
    }
    return value;
}

struct text {
    const char* bytes;
    size_t size;
};

static struct text string(const uint8_t** at, const uint8_t* end) {
    int huffman = **at & 128;
    size_t size = number(at, end, 7);
    if (size > (size_t)(end - *at)) fail("headers end within a string");
    struct text text = {huffman ? NULL : (const char*)*at, size};
    *at += size;
    return text;
}

static void shrink(struct connection* connection, size_t limit) {
    while (connection->entries && connection->table_size > limit) {
        struct entry* oldest = &connection->table[--connection->entries];
        connection->table_size -= oldest->name + oldest->value + 32;
    }
}

static void add(struct connection* connection, struct entry entry) {
    size_t size = entry.name + entry.value + 32;
    shrink(connection, size > connection->table_limit ? 0 : connection->table_limit - size);
    if (size > connection->table_limit) return;
    if (connection->entries == TABLE) fail("the table of headers is full");
    memmove(connection->table + 1, connection->table, connection->entries * sizeof entry);
    connection->table[0] = entry;
    connection->entries++;
    connection->table_size += size;
}

static struct entry* entry_at(struct connection* connection, size_t index) {
    return index > 61 && index - 62 < connection->entries ? &connection->table[index - 62] : NULL;
}

/* A header whose value, and perhaps name, stands in the block. */
static struct entry literal(struct connection* connection, const uint8_t** at, const uint8_t* end, int bits) {
    struct entry entry = {0};
    size_t index = number(at, end, bits);
    struct entry* known = entry_at(connection, index);
    if (index == 0) {
        struct text name = string(at, end);
        entry.name = name.size;
        entry.is_path = name.bytes && name.size == 5 && !memcmp(name.bytes, ":path", 5);
    } else {
        entry.name = known ? known->name : index < 62 ? static_names[index] : 0;
        entry.is_path = known ? known->is_path : index == 4 || index == 5;
    }
    struct text value = string(at, end);
    entry.value = value.size;
    if (entry.is_path && !value.bytes) fail("a path in Huffman's code");
    if (entry.is_path) entry.answer = find_answer(1, value.bytes, value.size);
    return entry;
}

const struct answer* hpack_path(struct connection* connection, const uint8_t* at, const uint8_t* end) {
    const struct answer* found = NULL;
    while (at < end) {
        struct entry entry = {0};
        if (*at & 128) {
            struct entry* known = entry_at(connection, number(&at, end, 7));
            if (known) entry = *known;
        } else if (*at & 64) {
            entry = literal(connection, &at, end, 6);
            add(connection, entry);
        } else if (*at & 32) {
            connection->table_limit = number(&at, end, 5);
            shrink(connection, connection->table_limit);
        } else {
            entry = literal(connection, &at, end, 4);
        }
        if (entry.is_path) found = entry.answer;
    }
    return found;
}
