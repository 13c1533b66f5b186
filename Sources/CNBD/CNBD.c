#include "CNBD.h"
