// Well-known binary polygons, read into flat arrays that are used again for every field.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fields {

// Result of reading one geometry. The values are shared with src/kernel/geometry.ts (FIELD_STATUS).
enum Status : uint8_t {
  kOk = 0,
  kNull = 1,        // no geometry at all
  kEmpty = 2,       // a polygon without vertices
  kTruncated = 3,   // the bytes end too early, or a count exceeds them
  kNotPolygon = 4,  // a point, a line, a collection that contains one, or an unknown type
  kNotFinite = 5,   // NaN or infinite coordinates, or outside the projection's domain
  kShortRing = 6,   // a ring of fewer than four vertices encloses nothing
  kOutside = 7,     // not dirty: no pixel of the raster in the field's window
  kNoCenter = 8,    // not dirty: no pixel centre inside
  kSmall = 9,       // no pixel center inside, so its touched pixels are counted
  kNoTouch = 10,    // not dirty: no pixel touched or covered
};

// A polygon or multipolygon: parts, rings, vertices.
struct Polygons {
  std::vector<double> x, y;
  std::vector<uint32_t> ring_end;  // one past the ring's last vertex
  std::vector<uint32_t> part_end;  // one past the part's last ring
  void clear();
};

// Reads polygons, multipolygons and collections of them, ISO and EWKB, either byte order; Z and M are skipped, an open
// ring is closed. Never reads beyond `size`.
Status read_wkb(const uint8_t* bytes, size_t size, Polygons& out);

}  // namespace fields
