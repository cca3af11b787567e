// Shapes cut at the sides of a box.
#pragma once
#include "tiles/tiler/shape.h"

namespace fields {

enum class Side { kWest, kEast, kNorth, kSouth };

// What of a shape lies on the inner side of the line through `limit`, which belongs to it. Ring by ring (Sutherland and
// Hodgman's algorithm), so rings in several pieces overlap themselves along the line: such shapes are not simple, and
// ShapeRepair cuts them apart. Both neighbours of a border cut it at the same point. False when nothing is cut off;
// `out` is left as it was.
bool clip(const Shape& in, Side side, int32_t limit, Shape& out);

}  // namespace fields
