// Ends of a run of equal values in a sorted sequence whose NaN come last, and the rank its members share.
//
// `Sorted` is any callable that gives the k-th smallest value.
#pragma once
#include "host_device.h"

// Position of the first value equal to the k-th, by bisection.
template <typename Sorted>
GPUTWAS_HD long long first_equal(const Sorted& value, long long k) {
    const auto wanted = value(k);
    long long low = 0, high = k;
    while (low < high) {
        const long long middle = low + (high - low) / 2;
        if (value(middle) < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Position of the last value equal to the k-th; NaN compares as not smaller or equal, so it stays outside.
template <typename Sorted>
GPUTWAS_HD long long last_equal(const Sorted& value, long long k, long long size) {
    const auto wanted = value(k);
    long long low = k, high = size - 1;
    while (low < high) {
        const long long middle = low + (high - low + 1) / 2;
        if (value(middle) <= wanted)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

// Mean of the ranks of positions first to last, counted from 1: a multiple of one half, so exact.
GPUTWAS_HD double average_rank(long long first, long long last) {
    return 0.5 * (double)(first + last) + 1.0;
}
