/* Says which library this is, so that one that was compiled from other sources is not called with wrong arguments. */
#include "cpu.h"

int64_t library_version(void)
{
    return LIBRARY_VERSION;
}
