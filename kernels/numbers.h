/* Decimal numbers from bytes. In: text, and where a cell begins and ends. Out: the float64 that is nearest to the
   number written there, or NaN where finding it takes more than two operations that round. */
#pragma once

#include "words.h"

static const uint64_t tens[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
static const double powers[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The number of eight digits, as values of bytes from the lowest to the highest. Neighbours are joined to pairs,
   pairs to fours and fours to eight by one multiplication each; see Lemire, Software: Practice and Experience
   51:1700 (2021), doi:10.1002/spe.2984. */
INLINE uint64_t eight_digits(uint64_t word)
{
    const uint64_t every_fourth = UINT64_C(0x000000FF000000FF);
    word = word * 10 + (word >> 8);
    const uint64_t high = (word & every_fourth) * (100 + (UINT64_C(1000000) << 32));
    const uint64_t low = ((word >> 16) & every_fourth) * (1 + (UINT64_C(10000) << 32));
    return (high + low) >> 32;
}

/* Goes over digits from `at` on; returns where they end, and *value becomes *value 10^digits + what they say. The
   cell ends at `stop`, where there is no digit: eight bytes are looked at wherever the text has so many. */
INLINE int64_t digits_from(const text_t *text, int64_t at, int64_t stop, uint64_t *value)
{
    while (at + 8 <= text->size) {
        const uint64_t word = word_at(text->bytes + at) ^ EVERY_BYTE(0x30);
        const uint64_t others = ((word + EVERY_BYTE(0x76)) | word) & EVERY_BYTE(0x80); /* the lowest is right */
        if (others) {
            const int count = lowest_bit(others) >> 3;
            if (count)
                *value = *value * tens[count] + eight_digits(word << (64 - 8 * count));
            return at + count;
        }
        *value = *value * tens[8] + eight_digits(word);
        at += 8;
    }
    for (; at < stop && (uint8_t)(text->bytes[at] - '0') < 10; at++)
        *value = *value * 10 + (uint8_t)(text->bytes[at] - '0');
    return at;
}

/* The same for digits of which there may well be more than eight: sixteen bytes are looked at, without a branch that
   depends on how many of them are digits. */
INLINE int64_t many_digits_from(const text_t *text, int64_t at, int64_t stop, uint64_t *value)
{
    if (at + 16 > text->size)
        return digits_from(text, at, stop, value);
    uint64_t word[2];
    int count[2];
    for (int i = 0; i < 2; i++) {
        word[i] = word_at(text->bytes + at + 8 * i) ^ EVERY_BYTE(0x30);
        const uint64_t others = ((word[i] + EVERY_BYTE(0x76)) | word[i]) & EVERY_BYTE(0x80);
        count[i] = others ? lowest_bit(others) >> 3 : 8;
    }
    count[1] = count[0] == 8 ? count[1] : 0;
    for (int i = 0; i < 2; i++) {
        const int half = 32 - 4 * count[i]; /* of the shift, which is 64 where there is no digit */
        *value = *value * tens[count[i]] + eight_digits(word[i] << half << half);
    }
    at += count[0] + count[1];
    return count[1] == 8 ? digits_from(text, at, stop, value) : at;
}

/* The exponent that begins at `at`; returns where it ends, -1 if there is none. */
INLINE int64_t exponent_from(const text_t *text, int64_t at, int64_t stop, int64_t *scale)
{
    const int down = at < stop && text->bytes[at] == '-';
    if (down || (at < stop && text->bytes[at] == '+'))
        at++;
    uint64_t power = 0;
    const int64_t end = digits_from(text, at, stop, &power);
    if (end == at || end > at + 6)
        return -1;
    *scale += down ? -(int64_t)power : (int64_t)power;
    return end;
}

/* Reads the bytes from `at` up to `stop` as a number: -12.5e-3 and the like. With at most 53 bits of digits and a
   power of ten up to 22 both are exact in float64, so that one division or product rounds correctly (Clinger, PLDI
   1990, doi:10.1145/93542.93557). All else is NaN: a number with more digits, a missing code, text. */
INLINE double number_at(const text_t *text, int64_t at, int64_t stop)
{
    const int negative = at < stop && text->bytes[at] == '-';
    at += negative;
    uint64_t value = 0;
    int64_t end = digits_from(text, at, stop, &value), digits = end - at, scale = 0;
    if (end == at)
        return NAN;
    if (end < stop && text->bytes[end] == '.') {
        at = end + 1;
        end = many_digits_from(text, at, stop, &value);
        if (end == at)
            return NAN;
        scale = at - end;
        digits -= scale;
    }
    if (end < stop && (text->bytes[end] | 0x20) == 'e')
        end = exponent_from(text, end + 1, stop, &scale);
    if (end != stop || digits > 19 || value > UINT64_C(1) << 53 || (value && (scale < -22 || scale > 22)))
        return NAN;
    double size = (double)value;
    if (value && scale)
        size = scale > 0 ? size * powers[scale] : size / powers[-scale];
    return copysign(size, 0.5 - negative); /* no branch: signs come as they like */
}
