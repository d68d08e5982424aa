// Sizes of the overlaps of every gene set with every gene list, both as rows of bits.
//
//   counts[s, l] = number of ones in sets[s, :] AND lists[l, :]
//
// A matrix product with AND for multiply and popcount for add, tiled like one: a block of 16 x 16 threads makes
// 64 x 64 counts, 4 x 4 in the registers of each thread, from tiles of 32 words in shared memory. A tile's row is
// one word longer than needed, so that the 16 rows read at once lie in 16 banks. Integers: exact in any order.
// Bytes, operations, registers: README.md.
#include "bitset_counts.h"

constexpr int SIDE = 16;
constexpr int OF_A_THREAD = 4;
constexpr int TILE = SIDE * OF_A_THREAD;
constexpr int WORDS = 32;

__device__ __forceinline__ void load_tile(
    unsigned (&tile)[TILE][WORDS + 1], const unsigned* __restrict__ bits,
    const long long first_row, const long long rows, const long long first_word, const long long words) {
    const int thread = threadIdx.y * SIDE + threadIdx.x;
    const int column = thread % WORDS;
    for (int row = thread / WORDS; row < TILE; row += SIDE * SIDE / WORDS) {
        const bool inside = first_row + row < rows && first_word + column < words;
        tile[row][column] = inside ? bits[(first_row + row) * words + first_word + column] : 0u;
    }
}

extern "C" __global__ void __launch_bounds__(SIDE* SIDE) bitset_counts(
    const unsigned* __restrict__ sets,   // (sets, words)
    const unsigned* __restrict__ lists,  // (lists, words)
    int* __restrict__ counts,            // (sets, lists)
    const long long n_sets, const long long n_lists, const long long words) {
    __shared__ unsigned of_sets[TILE][WORDS + 1];
    __shared__ unsigned of_lists[TILE][WORDS + 1];
    const long long first_list = (long long)blockIdx.x * TILE;
    const long long first_set = (long long)blockIdx.y * TILE;
    int sums[OF_A_THREAD][OF_A_THREAD] = {};
    for (long long word = 0; word < words; word += WORDS) {
        load_tile(of_sets, sets, first_set, n_sets, word, words);
        load_tile(of_lists, lists, first_list, n_lists, word, words);
        __syncthreads();
#pragma unroll 4
        for (int k = 0; k < WORDS; ++k)
#pragma unroll
            for (int i = 0; i < OF_A_THREAD; ++i)
#pragma unroll
                for (int j = 0; j < OF_A_THREAD; ++j)
                    sums[i][j] += count_bits(
                        of_sets[threadIdx.y + i * SIDE][k] & of_lists[threadIdx.x + j * SIDE][k]);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < OF_A_THREAD; ++i)
#pragma unroll
        for (int j = 0; j < OF_A_THREAD; ++j) {
            const long long set = first_set + threadIdx.y + i * SIDE, list = first_list + threadIdx.x + j * SIDE;
            if (set < n_sets && list < n_lists) counts[set * n_lists + list] = sums[i][j];
        }
}
