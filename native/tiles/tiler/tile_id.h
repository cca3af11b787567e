// PMTiles tile ids: positions on a line through all tiles, zoom by zoom, each along a Hilbert curve.
#pragma once
#include <cstdint>

#include "tiles/tiler/world.h"

namespace fields {

// Tiles of all zooms below `z`.
inline uint64_t first_tile_id(int z) { return ((uint64_t{1} << (2 * z)) - 1) / 3; }

inline uint64_t tile_id(TileAddress tile) {
  uint64_t along = 0;
  uint32_t x = tile.x, y = tile.y;
  for (uint32_t side = tile.z == 0 ? 0 : 1u << (tile.z - 1); side > 0; side >>= 1) {
    const uint32_t right = (x & side) != 0 ? 1 : 0, lower = (y & side) != 0 ? 1 : 0;
    along += static_cast<uint64_t>(side) * side * ((3 * right) ^ lower);
    if (lower == 0) {
      if (right == 1) {
        x = side - 1 - (x & (side - 1));
        y = side - 1 - (y & (side - 1));
      }
      const uint32_t swap = x;
      x = y;
      y = swap;
    }
    x &= side - 1;
    y &= side - 1;
  }
  return first_tile_id(tile.z) + along;
}

inline TileAddress tile_of(uint64_t id) {
  int z = 0;
  while (id >= first_tile_id(z + 1)) z++;
  uint64_t rest = id - first_tile_id(z);
  uint32_t x = 0, y = 0;
  for (uint32_t side = 1; side < (1u << z); side *= 2, rest >>= 2) {
    const uint32_t right = (rest >> 1) & 1, lower = (rest & 1) ^ right;
    if (lower == 0) {
      if (right == 1) {
        x = side - 1 - x;
        y = side - 1 - y;
      }
      const uint32_t swap = x;
      x = y;
      y = swap;
    }
    x += side * right;
    y += side * lower;
  }
  return {z, x, y};
}

}  // namespace fields
