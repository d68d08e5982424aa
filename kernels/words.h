/* Eight bytes of text as one number: what the byte loops read with. The first byte is in the lowest bits. */
#pragma once

#include "cpu.h"

#define EVERY_BYTE(byte) ((byte) * UINT64_C(0x0101010101010101))

typedef struct {
    const uint8_t *bytes;
    int64_t size;
} text_t;

INLINE uint64_t word_at(const uint8_t *place)
{
    uint64_t word;
    memcpy(&word, place, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

INLINE void put_word(uint8_t *place, uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(place, &word, sizeof word);
}

/* The fewer than eight bytes from `place` up to `stop`, zeros above. */
INLINE uint64_t short_word(const text_t *text, int64_t place, int64_t stop)
{
    if (place + 8 <= text->size)
        return word_at(text->bytes + place) & ((UINT64_C(1) << 8 * (stop - place)) - 1);
    uint64_t word = 0;
    for (int64_t i = 0; i < stop - place; i++)
        word |= (uint64_t)text->bytes[place + i] << 8 * i;
    return word;
}

/* The first eight bytes from `place` up to `stop`, zeros above if there are fewer. */
INLINE uint64_t first_word(const text_t *text, int64_t place, int64_t stop)
{
    return place + 8 <= stop ? word_at(text->bytes + place) : short_word(text, place, stop);
}

/* Place of the lowest bit that is set, in a word that is not 0. */
INLINE int lowest_bit(uint64_t word)
{
    return __builtin_ctzll(word);
}

/* Whether so many bytes are the same in two places, all of them within their arrays. */
INLINE int equal_bytes(const uint8_t *one, const uint8_t *other, int64_t length)
{
    if (length < 8) {
        for (int64_t i = 0; i < length; i++)
            if (one[i] != other[i])
                return 0;
        return 1;
    }
    for (int64_t i = 0; i < length - 8; i += 8)
        if (word_at(one + i) != word_at(other + i))
            return 0;
    return word_at(one + length - 8) == word_at(other + length - 8);
}
