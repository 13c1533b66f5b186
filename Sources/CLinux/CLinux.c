#include "CLinux.h"

_Static_assert(sizeof(off_t) == 8, "twinfs is built for 64-bit file offsets");
