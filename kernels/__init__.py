"""Hand-written CUDA kernels, the one module that compiles and launches them, and their array-API twins."""
