// libnbd, and what its macros hide from Swift.
#ifndef CNBD_H
#define CNBD_H

#include <libnbd.h>
#include <stdint.h>

static const uint32_t CNBD_NO_HOLE = LIBNBD_CMD_FLAG_NO_HOLE;

#endif
