// Fields in world coordinates, shared by the tiler's passes.
#pragma once
#include <cstdint>
#include <vector>

namespace fields {

// Web Mercator as a square with a side of 2^32 units, x to the east and y to the south from the northwest corner.
// The eastern and southern edges are 2^32 - 1. A unit is 9 mm at the equator; a tile of zoom z is 2^(32 - z) units
// wide, one of its 4096 units 2^(20 - z).
struct WorldPoint {
  uint32_t x, y;
  bool operator==(const WorldPoint& other) const { return x == other.x && y == other.y; }
  bool operator!=(const WorldPoint& other) const { return !(*this == other); }
};

constexpr int kWorldBits = 32;
// Units of a tile, as the `extent` of its layers; 2^12.
constexpr int kExtentBits = 12;
constexpr uint32_t kExtent = 1u << kExtentBits;
// A feature belongs to each tile that it intersects with this margin, in tile units: tippecanoe's 5 of 256.
constexpr uint32_t kTileBuffer = 80;

// Tiles contain cells below this zoom, every field from it on; if the highest zoom is lower, it takes its place.
constexpr int kFieldZoom = 9;

struct TileAddress {
  int z;
  uint32_t x, y;
};

// Closed: `max` belongs to it.
struct WorldBox {
  uint32_t min_x, min_y, max_x, max_y;
};

// One field. A field without area has no parts, and is still drawn at its label. Rings are open (the first vertex
// is not repeated), without equal successive vertices, and have three or more; exteriors run clockwise on the screen
// (positive area by the surveyor's formula, y down; 0 where a ring is a line or crosses itself), holes the other way.
// The first ring of a part is its exterior. The area is inside by the even-odd rule over a part's rings; parts may
// overlap each other only where the source does. Nothing crosses the antimeridian: it was cut there.
struct WorldField {
  uint32_t row = 0;
  WorldPoint label{0, 0};  // a point inside
  std::vector<WorldPoint> points;
  std::vector<uint32_t> ring_end;  // one past the ring's last point
  std::vector<uint32_t> part_end;  // one past the part's last ring

  uint32_t ring_begin(uint32_t ring) const { return ring == 0 ? 0 : ring_end[ring - 1]; }
  uint32_t part_begin(uint32_t part) const { return part == 0 ? 0 : part_end[part - 1]; }
  void clear() {
    points.clear();
    ring_end.clear();
    part_end.clear();
  }
};

}  // namespace fields
