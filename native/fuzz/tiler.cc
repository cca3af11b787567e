// Polygons of all kinds through the tiler's geometry, under the sanitizers: fuzz_tiler ROUNDS SEED
// README.md has the command that builds it. The oracle is the even-odd rule, point by point: what is drawn covers a
// point just when the source does, but within reach of rounding. It prints what came up.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tiles/audit/bucket_audit.h"
#include "tiles/protobuf.h"
#include "tiles/tiler/bucket.h"
#include "tiles/tiler/clip.h"
#include "tiles/tiler/field_shapes.h"
#include "tiles/tiler/field_tiler.h"
#include "tiles/tiler/mercator.h"
#include "tiles/tiler/repair.h"
#include "tiles/tiler/simplify.h"
#include "tiles/tiler/spill.h"

namespace {

using namespace fields;

std::mt19937_64 engine;
std::map<std::string, long> outcomes;

uint64_t below(uint64_t n) { return engine() % n; }
bool chance(uint64_t of) { return below(of) == 0; }

[[noreturn]] void fail(const char* what, const Shape& in, const Shape& out) {
  std::printf("%s\n", what);
  for (const Shape* shape : {&in, &out}) {
    for (size_t ring = 0; ring < shape->ring_end.size(); ring++) {
      std::printf("%s[", ring == 0 || shape == &in ? "" : " ");
      for (uint32_t i = shape->ring_begin(ring); i < shape->ring_end[ring]; i++) {
        std::printf("(%d,%d)", shape->points[i].x, shape->points[i].y);
      }
      std::printf("]");
    }
    std::printf("\n");
  }
  std::fflush(stdout);
  std::abort();
}

struct At {
  double x, y;
};

// Even-odd over a part's rings, and any part; floating, for points away from edges.
bool covers(const Shape& shape, At at) {
  for (size_t part = 0; part < shape.part_end.size(); part++) {
    bool in = false;
    for (uint32_t ring = shape.part_begin(part); ring < shape.part_end[part]; ring++) {
      const uint32_t begin = shape.ring_begin(ring), end = shape.ring_end[ring];
      for (uint32_t i = begin, j = end - 1; i < end; j = i++) {
        const GridPoint a = shape.points[i], b = shape.points[j];
        if ((a.y > at.y) == (b.y > at.y)) continue;
        if (at.x < static_cast<double>(b.x - a.x) * (at.y - a.y) / (b.y - a.y) + a.x) in = !in;
      }
    }
    if (in) return true;
  }
  return false;
}

double distance(const Shape& shape, At at) {
  double least = 1e18;
  for (size_t ring = 0; ring < shape.ring_end.size(); ring++) {
    const uint32_t begin = shape.ring_begin(ring), end = shape.ring_end[ring];
    for (uint32_t i = begin, j = end - 1; i < end; j = i++) {
      const double ax = shape.points[i].x, ay = shape.points[i].y, dx = shape.points[j].x - ax,
                   dy = shape.points[j].y - ay, length = dx * dx + dy * dy;
      const double t = length == 0 ? 0 : std::clamp(((at.x - ax) * dx + (at.y - ay) * dy) / length, 0.0, 1.0);
      least = std::min(least, std::hypot(ax + t * dx - at.x, ay + t * dy - at.y));
    }
  }
  return least;
}

// Valid by a way of its own: every pair of edges, and the winding of the rings.
bool is_polygon(const Shape& shape) {
  struct Edge {
    GridPoint a, b;
    size_t ring, place, size;
  };
  std::vector<Edge> edges;
  for (size_t ring = 0; ring < shape.ring_end.size(); ring++) {
    const uint32_t begin = shape.ring_begin(ring), end = shape.ring_end[ring];
    if (end - begin < 3) return false;
    for (uint32_t i = begin; i < end; i++) {
      edges.push_back({shape.points[i], shape.points[i + 1 == end ? begin : i + 1], ring, i - begin, end - begin});
    }
  }
  const auto on = [](GridPoint a, GridPoint b, GridPoint p) {
    return turn(a, b, p) == 0 && std::min(a.x, b.x) <= p.x && p.x <= std::max(a.x, b.x) && std::min(a.y, b.y) <= p.y &&
           p.y <= std::max(a.y, b.y);
  };
  const auto sign = [](int64_t value) { return (value > 0) - (value < 0); };
  for (size_t i = 0; i < edges.size(); i++) {
    for (size_t j = i + 1; j < edges.size(); j++) {
      const Edge &e = edges[i], &f = edges[j];
      const int a = sign(turn(e.a, e.b, f.a)), b = sign(turn(e.a, e.b, f.b)), c = sign(turn(f.a, f.b, e.a)),
                d = sign(turn(f.a, f.b, e.b));
      if (a * b < 0 && c * d < 0) return false;  // they cross
      int common = 0;
      for (const GridPoint p : {f.a, f.b}) common += on(e.a, e.b, p);
      for (const GridPoint p : {e.a, e.b}) common += on(f.a, f.b, p) && p != f.a && p != f.b;
      if (common > 1) return false;  // they run along each other
      const bool neighbors =
          e.ring == f.ring && ((e.place + 1) % e.size == f.place || (f.place + 1) % f.size == e.place);
      if (common > 0 && e.ring == f.ring && !neighbors) return false;  // a ring touches itself
    }
  }
  for (size_t part = 0; part < shape.part_end.size(); part++) {
    for (uint32_t ring = shape.part_begin(part); ring < shape.part_end[part]; ring++) {
      const uint32_t begin = shape.ring_begin(ring);
      const int64_t area = area_of(shape.points.data() + begin, shape.ring_end[ring] - begin);
      if (area == 0 || (area > 0) != (ring == shape.part_begin(part))) return false;
    }
  }
  return true;
}

// Vertices on a small grid meet often, on a large one edges cross at odd places.
Shape random_shape(int32_t side) {
  Shape shape;
  const uint64_t parts = chance(4) ? 1 + below(3) : 1;
  for (uint64_t part = 0; part < parts; part++) {
    const uint64_t rings = chance(3) ? 1 + below(4) : 1;
    for (uint64_t ring = 0; ring < rings; ring++) {
      const uint64_t n = 3 + below(chance(8) ? 60 : 9);
      GridPoint p{static_cast<int32_t>(below(side)), static_cast<int32_t>(below(side))};
      const bool lattice = chance(2);
      for (uint64_t i = 0; i < n; i++) {
        shape.points.push_back(p);
        if (lattice) {
          // As traced from pixels.
          (chance(2) ? p.x : p.y) = static_cast<int32_t>(below(side));
        } else {
          p = {static_cast<int32_t>(below(side)), static_cast<int32_t>(below(side))};
        }
      }
      shape.close_ring();
    }
    shape.close_part();
  }
  return shape;
}

// As rings come to the check: exteriors and holes turned the right way.
Shape finish(const Shape& shape) {
  Shape out;
  for (size_t part = 0; part < shape.part_end.size(); part++) {
    for (uint32_t ring = shape.part_begin(part); ring < shape.part_end[part]; ring++) {
      const size_t first = out.points.size();
      out.points.insert(out.points.end(), shape.points.begin() + shape.ring_begin(ring),
                        shape.points.begin() + shape.ring_end[ring]);
      if (!finish_ring(out, first)) {
        if (ring == shape.part_begin(part)) break;
        continue;
      }
      const int64_t area = area_of(out.points.data() + first, out.points.size() - first);
      if ((area > 0) != (ring == shape.part_begin(part))) {
        std::reverse(out.points.begin() + static_cast<ptrdiff_t>(first), out.points.end());
      }
    }
    if (!out.ring_end.empty() && (out.part_end.empty() || out.part_end.back() != out.ring_end.size())) out.close_part();
  }
  return out;
}

void check_cover(const char* what, const Shape& source, const Shape& drawn, At at, bool wanted, double reach) {
  if (distance(source, at) <= reach) {
    outcomes["points near an edge"]++;
    return;
  }
  outcomes[wanted ? "points inside" : "points outside"]++;
  if (covers(drawn, at) != wanted) fail(what, source, drawn);
}

void fuzz_shape() {
  const int32_t side = chance(2) ? 12 : 400;
  const Shape source = random_shape(side);
  Shape drawn;
  ShapeRepair repair;
  if (!repair.repair(source, drawn)) {
    outcomes["unsolved"]++;
    return;
  }
  outcomes[drawn.empty() ? "repaired to nothing" : "repaired"]++;
  if (!is_polygon(drawn)) fail("repair: not valid", source, drawn);
  ShapeCheck check;
  if (!check.is_valid(drawn)) outcomes["repaired, refused by the check"]++;
  const Shape finished = finish(source);
  if (check.is_valid(finished) && !is_polygon(finished)) fail("check: not valid", source, finished);
  for (int i = 0; i < 8; i++) {
    const At at{static_cast<double>(below(side * 16)) / 16, static_cast<double>(below(side * 16)) / 16};
    check_cover("repair: another area", source, drawn, at, covers(source, at), 4);
  }
  // Cut into a tile, as the tiler does it.
  const int32_t west = static_cast<int32_t>(below(side)), east = west + 1 + static_cast<int32_t>(below(side)),
                north = static_cast<int32_t>(below(side)), south = north + 1 + static_cast<int32_t>(below(side));
  ShapeClip clip;
  Shape piece = drawn, cut;
  if (clip.clip(piece, Side::kWest, west, cut)) std::swap(piece, cut);
  if (clip.clip(piece, Side::kEast, east, cut)) std::swap(piece, cut);
  if (clip.clip(piece, Side::kNorth, north, cut)) std::swap(piece, cut);
  if (clip.clip(piece, Side::kSouth, south, cut)) std::swap(piece, cut);
  FieldShapes shapes;
  const Shape before = piece;
  const bool left = shapes.mend(piece);
  outcomes[shapes.counts.rejoined > 0 ? "pieces mended" : "pieces"]++;
  if (!left) return;
  if (!is_polygon(piece)) fail("clip: not valid", before, piece);
  const GridBox box = box_of(piece);
  if (box.min_x < west || box.max_x > east || box.min_y < north || box.max_y > south)
    fail("clip: too large", drawn, piece);
  for (int i = 0; i < 8; i++) {
    const At at{static_cast<double>(below(side * 16)) / 16, static_cast<double>(below(side * 16)) / 16};
    const double inner = std::min({at.x - west, east - at.x, at.y - north, south - at.y});
    if (std::fabs(inner) < 4) continue;
    check_cover("clip: another area", drawn, piece, at, inner > 0 && covers(drawn, at), 4);
  }
}

// Vector tiles as another reader would have them: rings of each row's polygon, by tile.
class OwnStore : public TileStore {
 public:
  void store(const uint8_t* tile, size_t size, Buffer& out) override { out.append(tile, size); }
  void read(const uint8_t* stored, size_t size, Buffer& out) override {
    out.size = 0;
    out.append(stored, size);
  }
};

// Tiles of a field bucket pass the audit; without one that holds a centroid they do not.
void audit_bucket(const Buffer& records, TileAddress bucket, const std::vector<float>& area) {
  const int memory = memfd_create("bucket", 0);
  if (memory < 0 || write(memory, records.data(), records.size) != static_cast<ssize_t>(records.size)) std::abort();
  const std::string path = "/proc/self/fd/" + std::to_string(memory);
  BucketReader reader(path, {{0, static_cast<uint32_t>(records.size), crc32_of(0, records.data(), records.size)}});
  close(memory);
  const TilerZooms zooms{9, static_cast<int>(9 + below(4))};
  OwnStore store;
  BucketTiles tiles;
  tile_bucket(reader, bucket, zooms, {area.data(), area.size(), false}, store, 1 + below(100'000), tiles);
  std::vector<uint8_t> polygons(area.size()), points(area.size());
  BucketAudit audit(area.size(), {polygons.data(), points.data()});
  try {
    audit.check(reader, bucket, zooms, store, tiles);
  } catch (const AuditError& error) {
    std::fprintf(stderr, "audit: %s\n", error.what());
    std::abort();
  }
  outcomes["buckets audited"]++;
  StoredTiles& zoom = tiles.zooms[below(tiles.zooms.size())];
  if (zoom.ids.empty()) return;
  const size_t lost = below(zoom.ids.size());
  const auto [begin, end] = [&] {
    size_t at = 0;
    for (size_t t = 0; t < lost; t++) at += zoom.sizes[t];
    return std::pair(at, at + zoom.sizes[lost]);
  }();
  TileCheck check(tiler_layers(), area.size());
  check.check(zoom.bytes.data() + begin, end - begin);
  const bool has_point = !check.features(1).empty();
  std::memmove(zoom.bytes.data() + begin, zoom.bytes.data() + end, zoom.bytes.size - end);
  zoom.bytes.size -= end - begin;
  zoom.ids.erase(zoom.ids.begin() + static_cast<ptrdiff_t>(lost));
  zoom.sizes.erase(zoom.sizes.begin() + static_cast<ptrdiff_t>(lost));
  try {
    audit.check(reader, bucket, zooms, store, tiles);
    if (has_point) std::abort();
    outcomes["lost tiles without a centroid"]++;
  } catch (const AuditError&) {
    outcomes["lost tiles found"]++;
  }
}

Shape decode(const uint8_t* from, const uint8_t* to) {
  Shape shape;
  GridPoint at{0, 0};
  const auto step = [](uint64_t value) { return static_cast<int32_t>((value >> 1) ^ (0 - (value & 1))); };
  for (Reader reader{from, to}; !reader.done();) {
    const uint64_t command = reader.next(), count = command >> 3;
    if ((command & 7) == 7) {
      const size_t begin = shape.ring_end.empty() ? 0 : shape.ring_end.back();
      const int64_t area = area_of(shape.points.data() + begin, shape.points.size() - begin);
      if (area > 0 && !shape.ring_end.empty()) shape.close_part();
      shape.close_ring();
      continue;
    }
    for (uint64_t i = 0; i < count; i++) {
      at.x += step(reader.next());
      at.y += step(reader.next());
      shape.points.push_back(at);
    }
  }
  shape.close_part();
  return shape;
}

void fuzz_field() {
  // Fields around one place, some of which share vertices.
  std::vector<WorldField> fields;
  const uint64_t spread = uint64_t{1} << (4 + below(24));
  const uint64_t count = 1 + below(4);
  std::vector<WorldPoint> known;
  const uint32_t x0 = static_cast<uint32_t>(below(uint64_t{1} << 32)),
                 y0 = static_cast<uint32_t>(below(uint64_t{1} << 32));
  for (uint64_t k = 0; k < count; k++) {
    Polygons polygons;
    const uint64_t rings = chance(4) ? 2 : 1;
    for (uint64_t ring = 0; ring < rings; ring++) {
      const uint64_t n = 3 + below(20);
      for (uint64_t i = 0; i < n; i++) {
        // Degrees near x0, y0.
        const double lng = static_cast<double>(x0 + below(spread)) / 4294967296.0 * 360 - 180;
        const double lat =
            (static_cast<double>(y0) / 4294967296.0 - 0.5) * 160 + static_cast<double>(below(spread)) * 5e-8;
        if (!polygons.x.empty() && chance(5)) {
          const size_t again = below(polygons.x.size());
          polygons.x.push_back(polygons.x[again]);
          polygons.y.push_back(polygons.y[again]);
        } else {
          polygons.x.push_back(std::clamp(lng, -180.0, 180.0));
          polygons.y.push_back(std::clamp(lat, -90.0, 90.0));
        }
      }
      const size_t first = ring == 0 ? 0 : polygons.ring_end.back();
      polygons.x.push_back(polygons.x[first]);
      polygons.y.push_back(polygons.y[first]);
      polygons.ring_end.push_back(static_cast<uint32_t>(polygons.x.size()));
    }
    polygons.part_end.push_back(static_cast<uint32_t>(polygons.ring_end.size()));
    WorldField field;
    field.row = static_cast<uint32_t>(k);
    WorldProjector().project(polygons, field);
    fields.push_back(field);
  }
  Buffer records;
  uint32_t before = 0;
  for (const WorldField& field : fields) {
    spill_field(field, {nullptr, 0}, before, records);
    before = field.row;
  }
  // What was written is what is read, and what is damaged is told or read, but never crashes.
  SpillReader reader(records.data(), records.size);
  WorldField read;
  SpilledId id;
  for (const WorldField& field : fields) {
    if (!reader.next(read, id) || read.points != field.points || read.ring_end != field.ring_end) std::abort();
  }
  if (reader.next(read, id)) std::abort();
  std::vector<uint8_t> damaged(records.data(), records.data() + records.size);
  for (uint64_t i = 1 + below(3); i > 0; i--) damaged[below(damaged.size())] = static_cast<uint8_t>(engine());
  damaged.resize(damaged.size() - below(2));
  try {
    SpillReader broken(damaged.data(), damaged.size());
    while (broken.next(read, id)) outcomes["damaged records read"]++;
  } catch (const TileError&) {
    outcomes["damaged records told"]++;
  }

  const int zoom = static_cast<int>(9 + below(8));
  TileAddress root{8, x0 >> 24, fields[0].label.y >> 24};
  AnchorFinder finder(8, 1);
  finder.begin(0, 100);
  for (const WorldField& field : fields) finder.add(field);
  size_t points = 0;
  for (const WorldField& field : fields) points += field.points.size();
  std::vector<uint64_t> anchors(points / 64 + 1);
  points = 0;
  for (const WorldField& field : fields) {
    finder.mark(field, points, anchors);
    points += field.points.size();
  }
  std::vector<float> area(fields.size(), 1.5f);
  audit_bucket(records, {8, x0 >> 24, fields[0].label.y >> 24}, area);
  OwnStore store;
  FieldTiler tiler({area.data(), area.size(), false}, store);
  tiler.begin(root, zoom, zoom, SIZE_MAX);
  Simplifier simplifier(zoom, zoom);
  std::vector<uint8_t> zooms;
  points = 0;
  for (const WorldField& field : fields) {
    simplifier.simplify(field, anchors, points, zooms);
    tiler.add(field, {nullptr, 0}, zooms);
    points += field.points.size();
  }
  StoredTiles tiles;
  tiler.finish(&tiles);
  outcomes["tiles"] += static_cast<long>(tiles.ids.size());
  outcomes["unsolved"] += static_cast<long>(tiler.counts().unsolved);
  std::vector<uint64_t> seen;
  size_t begin = 0;
  for (size_t t = 0; t < tiles.ids.size(); t++) {
    const uint8_t* const bytes = tiles.bytes.data() + begin;
    for (Reader tile{bytes, bytes + tiles.sizes[t]}; !tile.done();) {
      if (tile.next() != kTileLayers) std::abort();
      const uint64_t layer_size = tile.next();
      Reader layer{tile.at, tile.at + layer_size};
      tile.skip(layer_size);
      while (!layer.done()) {
        const uint64_t tag = layer.next();
        if (tag != kLayerFeatures) {
          layer.skip_field(tag);
          continue;
        }
        const uint64_t size = layer.next();
        Reader feature{layer.at, layer.at + size};
        layer.skip(size);
        uint64_t row = 0, type = 0;
        Shape shape;
        while (!feature.done()) {
          const uint64_t field = feature.next();
          if (field == kFeatureId) {
            row = feature.next();
          } else if (field == (3 << 3 | 0)) {
            type = feature.next();
          } else if (field == (4 << 3 | 2)) {
            const uint64_t length = feature.next();
            if (type == 3) shape = decode(feature.at, feature.at + length);
            feature.skip(length);
          } else {
            feature.skip_field(field);
          }
        }
        if (type != 3) continue;
        outcomes["polygons in tiles"]++;
        seen.push_back(row);
        if (!is_polygon(shape)) fail("tile: not valid", shape, shape);
      }
    }
    begin += tiles.sizes[t];
  }
  // Every field whose label lies under the root is in its tile.
  for (const WorldField& field : fields) {
    if (field.label.x >> 24 != root.x || field.label.y >> 24 != root.y) continue;
    if (std::find(seen.begin(), seen.end(), field.row) == seen.end()) std::abort();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? std::atol(argv[1]) : 1000;
  engine.seed(argc > 2 ? static_cast<uint64_t>(std::atol(argv[2])) : 1);
  for (long i = 0; i < rounds; i++) {
    fuzz_shape();
    if (i % 8 == 0) fuzz_field();
  }
  for (const auto& [what, times] : outcomes) std::printf("%12ld %s\n", times, what.c_str());
  std::printf("executions %ld\n", rounds + (rounds + 7) / 8);
  return 0;
}
