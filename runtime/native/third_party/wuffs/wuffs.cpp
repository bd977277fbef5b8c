#define WUFFS_IMPLEMENTATION
#include "wuffs.h"
