// One shared library per CUDA source: SOURCE is its file, KERNELS the list of its entry points, each as X(name).
#include "host_cuda.h"
#include SOURCE

#define X(NAME)                                                                                       \
    extern "C" int run_##NAME(const unsigned* grid, const unsigned* block, void** arguments, int count, \
                              unsigned seed) {                                                        \
        return host_cuda::launch(NAME, grid, block, arguments, count, seed);                          \
    }
KERNELS
