// Wuffs: its JPEG decoder, and of the pixel formats that it writes RGB alone. wuffs.cpp has the implementation.
#pragma once

#define WUFFS_CONFIG__MODULES
#define WUFFS_CONFIG__MODULE__BASE
#define WUFFS_CONFIG__MODULE__JPEG
#define WUFFS_CONFIG__DST_PIXEL_FORMAT__ENABLE_ALLOWLIST
#define WUFFS_CONFIG__DST_PIXEL_FORMAT__ALLOW_RGB
#include "wuffs.c"
