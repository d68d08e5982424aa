/* Where lines and cells end, sixty-four bytes at a time: a vector comparison gives one bit per byte.

   In: bytes and the one that separates cells. Out: words of bits, the lowest bit for the first byte. There is a way for
   processors with AVX2 and a portable one for all others, eight bytes at a time; both give the same bits. Wider vectors
   (AVX-512) gain nothing: the bytes do not come faster. */
#pragma once

#include "words.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(PORTABLE_MASKS)
#include <immintrin.h>
#define AVX2_MASKS
#endif

enum { MASK_WORDS = 128, MASK_BYTES = 64 * MASK_WORDS };

/* Bits of up to MASK_BYTES bytes: line feeds; separators; carriage returns; bytes that are white space or below. */
typedef struct {
    uint64_t newline[MASK_WORDS], cut[MASK_WORDS], back[MASK_WORDS], small[MASK_WORDS];
} masks_t;

typedef void find_masks_t(const uint8_t *bytes, int64_t words, uint8_t separator, masks_t *masks);

/* One bit for each byte of a word whose highest bit is set. */
INLINE uint64_t highest_bits(uint64_t word)
{
    return ((word & EVERY_BYTE(0x80)) >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

INLINE uint64_t equal_mask(uint64_t word, uint64_t everywhere)
{
    word ^= everywhere; /* 0x7f + up to 0x7f carries into no other byte */
    return highest_bits(~(((word & EVERY_BYTE(0x7f)) + EVERY_BYTE(0x7f)) | word));
}

INLINE uint64_t small_mask(uint64_t word)
{
    return highest_bits(~(((word & EVERY_BYTE(0x7f)) + EVERY_BYTE(0x7f - 0x20)) | word));
}

static void find_masks_portable(const uint8_t *bytes, int64_t words, uint8_t separator, masks_t *masks)
{
    for (int64_t i = 0; i < words; i++) {
        uint64_t newline = 0, cut = 0, back = 0, small = 0;
        for (int part = 0; part < 8; part++) {
            const uint64_t word = word_at(bytes + 64 * i + 8 * part);
            newline |= equal_mask(word, EVERY_BYTE('\n')) << 8 * part;
            cut |= equal_mask(word, EVERY_BYTE((uint64_t)separator)) << 8 * part;
            back |= equal_mask(word, EVERY_BYTE('\r')) << 8 * part;
            small |= small_mask(word) << 8 * part;
        }
        masks->newline[i] = newline, masks->cut[i] = cut, masks->back[i] = back, masks->small[i] = small;
    }
}

#ifdef AVX2_MASKS
__attribute__((target("avx2"))) static void find_masks_avx2(const uint8_t *bytes, int64_t words, uint8_t separator,
                                                            masks_t *masks)
{
    const __m256i sep = _mm256_set1_epi8((char)separator), lf = _mm256_set1_epi8('\n'), cr = _mm256_set1_epi8('\r');
    const __m256i blank = _mm256_set1_epi8(' ');
    for (int64_t i = 0; i < words; i++) {
        uint64_t newline = 0, cut = 0, back = 0, small = 0;
        for (int part = 0; part < 2; part++) {
            const __m256i here = _mm256_loadu_si256((const __m256i *)(bytes + 64 * i + 32 * part));
            newline |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(here, lf)) << 32 * part;
            cut |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(here, sep)) << 32 * part;
            back |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(here, cr)) << 32 * part;
            small |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(here, blank), here))
                     << 32 * part;
        }
        masks->newline[i] = newline, masks->cut[i] = cut, masks->back[i] = back, masks->small[i] = small;
    }
}
#endif

/* The fastest way that this machine has. */
INLINE find_masks_t *best_masks(void)
{
#ifdef AVX2_MASKS
    if (__builtin_cpu_supports("avx2"))
        return find_masks_avx2;
#endif
    return find_masks_portable;
}
