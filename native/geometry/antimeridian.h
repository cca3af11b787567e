// Polygons that cross the 180th meridian, cut there into parts on either side (RFC 7946, 3.1.9).
#pragma once
#include "geometry/wkb.h"

namespace fields {

// Whether anything must be cut or moved: a vertex beyond ±180 degrees, or an edge longer than 180 degrees.
// False for nearly every field, and fast.
bool leaves_map(const Polygons& polygons);

// Writes the same area within ±180 degrees. An edge goes the shorter way round. A part that winds around a
// pole, or consists of edges of 360 degrees, is not changed.
void cut_at_antimeridian(const Polygons& polygons, Polygons& out);

}  // namespace fields
