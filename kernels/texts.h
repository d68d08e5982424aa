/* A table of texts that others are looked up in, by hash and then byte by byte, so that the answer is exact.

   A bit set of some bits of the hashes, small enough for the cache, answers most no. In a slot stand the upper half of
   the hash and, from 1, the number of the first of all texts that are equal; `next` leads from each to the one after
   it. */
#pragma once

#include "words.h"

static const uint64_t k1 = UINT64_C(0x9E3779B97F4A7C15), k2 = UINT64_C(0xD6E8FEB86659FD93);

typedef struct {
    const uint64_t *present, *slots;
    const uint8_t *bytes;
    const int64_t *ends; /* where each text begins, and the end */
    uint64_t present_bits, last_slot;
} table_t;

INLINE uint64_t hash_text(const text_t *text, int64_t place, int64_t stop)
{
    uint64_t h = k1 ^ (uint64_t)(stop - place);
    for (; place + 8 <= stop; place += 8) {
        h = (h ^ word_at(text->bytes + place)) * k2;
        h ^= h >> 32;
    }
    h = (h ^ short_word(text, place, stop)) * k1;
    return h ^ (h >> 32);
}

/* Slot that holds the identifier text[place:stop] with hash h, or the free one where it would go. */
INLINE uint64_t slot_of(const table_t *table, const uint8_t *bytes, int64_t size, uint64_t h)
{
    uint64_t at = h & table->last_slot;
    for (uint64_t slot; (slot = table->slots[at]); at = (at + 1) & table->last_slot) {
        if (slot >> 32 != h >> 32)
            continue;
        const int64_t *ends = table->ends + (uint32_t)slot - 1;
        if (ends[1] - ends[0] == size && equal_bytes(table->bytes + ends[0], bytes, size))
            break;
    }
    return at;
}

INLINE uint64_t bit_of(const table_t *table, uint64_t h)
{
    return (h >> 24) & table->present_bits;
}
