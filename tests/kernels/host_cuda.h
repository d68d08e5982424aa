// A CUDA device for tests: runs the kernels of this repository on the host, block after block.
//
// Every thread of a block is a fibre that runs until it meets a barrier or a warp exchange, so shared memory,
// shuffles and ballots work as written. Threads take turns in an order drawn from a seed: a kernel that needs
// a barrier which is not there gives other results under another seed. Not for speed.
#pragma once

#include <math.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
};
struct float4 {
    float x, y, z, w;
};
struct double2 {
    double x, y;
};

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace host_cuda {

constexpr int WARP = 32;
constexpr size_t STACK = 64 * 1024;

struct Fibre {
    ucontext_t context;
    std::vector<char> stack;
    dim3 index;
    int number;
    bool done;
};

struct Barrier {
    int arrived = 0;
    long generation = 0;
};

struct Block {
    std::vector<Fibre> fibres;
    ucontext_t scheduler;
    Fibre* now = nullptr;
    int alive = 0;
    Barrier all;
    std::vector<Barrier> warps;
    std::vector<int> alive_in_warp;
    std::vector<double> slot;
    void (*body)(void*) = nullptr;
    void* arguments = nullptr;
};

inline Block* block = nullptr;

inline void pause() {
    Fibre* self = block->now;
    swapcontext(&self->context, &block->scheduler);
}

inline void meet(Barrier& barrier, const int& expected) {
    const long mine = barrier.generation;
    if (++barrier.arrived == expected) {
        barrier.arrived = 0;
        ++barrier.generation;
        return;
    }
    while (barrier.generation == mine) pause();
}

inline void meet_warp() {
    const int warp = block->now->number / WARP;
    meet(block->warps[warp], block->alive_in_warp[warp]);
}

inline void start() {
    block->body(block->arguments);
    Fibre* self = block->now;
    self->done = true;
    --block->alive;
    --block->alive_in_warp[self->number / WARP];
    if (block->all.arrived) {
        std::fprintf(stderr, "a thread ended while others wait at a barrier of the block\n");
        std::abort();
    }
    swapcontext(&self->context, &block->scheduler);
}

inline void run_block(dim3 shape, void (*body)(void*), void* arguments, std::mt19937& turns) {
    const int threads = shape.x * shape.y * shape.z;
    static Block reused;
    block = &reused;
    block->fibres.resize(threads);
    block->all = Barrier();
    block->warps.assign((threads + WARP - 1) / WARP, Barrier());
    block->alive_in_warp.assign(block->warps.size(), 0);
    block->slot.assign(threads, 0.0);
    block->alive = threads;
    block->body = body;
    block->arguments = arguments;
    std::vector<int> order(threads);
    for (int t = 0; t < threads; ++t) {
        Fibre& fibre = block->fibres[t];
        fibre.stack.resize(STACK);
        fibre.index = {t % shape.x, t / shape.x % shape.y, t / shape.x / shape.y};
        fibre.number = t;
        fibre.done = false;
        ++block->alive_in_warp[t / WARP];
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.data();
        fibre.context.uc_stack.ss_size = fibre.stack.size();
        fibre.context.uc_link = nullptr;
        makecontext(&fibre.context, start, 0);
        order[t] = t;
    }
    while (block->alive) {
        std::shuffle(order.begin(), order.end(), turns);
        for (int t : order) {
            Fibre& fibre = block->fibres[t];
            if (fibre.done) continue;
            block->now = &fibre;
            threadIdx = fibre.index;
            swapcontext(&block->scheduler, &fibre.context);
        }
    }
}

template <typename T>
T exchange(T value, int partner_of_lane(int, int), int operand) {
    static_assert(sizeof(T) <= sizeof(double), "a lane exchanges 64 bits");
    const int self = block->now->number;
    std::memcpy(&block->slot[self], &value, sizeof(T));
    meet_warp();
    T other;
    std::memcpy(&other, &block->slot[self / WARP * WARP + partner_of_lane(self % WARP, operand)], sizeof(T));
    meet_warp();
    return other;
}

template <typename... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<A*>(arguments[I])...);
}

template <typename... A>
struct Call {
    void (*kernel)(A...);
    void** arguments;
    static void body(void* self) {
        Call* made = static_cast<Call*>(self);
        call(made->kernel, made->arguments, std::index_sequence_for<A...>());
    }
};

template <typename... A>
int launch(void (*kernel)(A...), const unsigned* grid, const unsigned* shape, void** arguments, int count,
           unsigned seed) {
    if (count != (int)sizeof...(A)) return 1;
    std::mt19937 turns(seed);
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {shape[0], shape[1], shape[2]};
    Call<A...> made = {kernel, arguments};
    for (unsigned y = 0; y < grid[1]; ++y)
        for (unsigned x = 0; x < grid[0]; ++x) {
            blockIdx = {x, y, 0};
            run_block(blockDim, &Call<A...>::body, &made, turns);
        }
    return 0;
}

}  // namespace host_cuda

inline void __syncthreads() { host_cuda::meet(host_cuda::block->all, host_cuda::block->alive); }
inline void __syncwarp() { host_cuda::meet_warp(); }

template <typename T>
T __shfl_xor_sync(unsigned, T value, int lanes) {
    return host_cuda::exchange(value, [](int lane, int by) { return lane ^ by; }, lanes);
}

inline unsigned __ballot_sync(unsigned, int vote) {
    unsigned word = 0;
    host_cuda::Block* block = host_cuda::block;
    const int self = block->now->number, first = self / host_cuda::WARP * host_cuda::WARP;
    block->slot[self] = vote != 0;
    host_cuda::meet_warp();
    for (int lane = 0; lane < host_cuda::WARP; ++lane) word |= (unsigned)(block->slot[first + lane] != 0) << lane;
    host_cuda::meet_warp();
    return word;
}

inline int __popc(unsigned word) { return __builtin_popcount(word); }
