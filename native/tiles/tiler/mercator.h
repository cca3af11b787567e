// Fields from longitude and latitude to world coordinates.
#pragma once
#include "geometry/wkb.h"
#include "tiles/tiler/world.h"

namespace fields {

// A vertex in world coordinates. Latitudes beyond the square (85.06 degrees) are moved to its edge.
WorldPoint to_world(double lng, double lat);

// Projects a field: cut at the antimeridian, rings oriented and without repeated vertices, and its label, which is
// `point_inside`. `polygons` are degrees, and `on_globe`.
class WorldProjector {
 public:
  void project(const Polygons& polygons, WorldField& out);

 private:
  bool add_ring(const Polygons& polygons, uint32_t begin, uint32_t end, bool exterior, WorldField& out);

  Polygons cut_;
};

// Smallest box around a field, its label included.
WorldBox box_of(const WorldField& field);

}  // namespace fields
