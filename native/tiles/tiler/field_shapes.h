// A field's shape at each zoom.
#pragma once
#include <cstdint>
#include <vector>

#include "tiles/tiler/repair.h"
#include "tiles/tiler/shape.h"
#include "tiles/tiler/world.h"

namespace fields {

// Counts of shapes other than the simplified one.
struct ShapeCounts {
  uint64_t shapes = 0;    // fields times zooms
  uint64_t whole = 0;     // not simplified, because the simplified shape was invalid
  uint64_t repaired = 0;  // the unsimplified shape was invalid too
  uint64_t squares = 0;   // nothing was left: a square of one unit
  uint64_t pieces = 0;    // parts of fields that were cut at tiles' sides
  uint64_t rejoined = 0;  // of those, repaired
  uint64_t unsolved = 0;  // repair failed: a square
};

// Draws a field on the grid of a zoom. Not for several threads at once.
class FieldShapes {
 public:
  // A valid polygon of the vertices that this zoom needs (see Simplifier), in units counted from the world's corner;
  // never empty: a field of no area is a square.
  const Shape& draw(const WorldField& field, const std::vector<uint8_t>& zooms, int zoom);
  // Makes a piece of a shape valid, which clipping may have left overlapping itself. False if nothing is left.
  bool mend(Shape& piece);

  ShapeCounts counts;

 private:
  bool snap(const WorldField& field, const std::vector<uint8_t>* zooms, int zoom, Shape& out);

  ShapeCheck check_;
  ShapeRepair repair_;
  Shape shape_, mended_;
};

}  // namespace fields
