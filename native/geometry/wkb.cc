#include "geometry/wkb.h"

#include <cmath>
#include <cstring>

namespace fields {

void Polygons::clear() {
  x.clear();
  y.clear();
  ring_end.clear();
  part_end.clear();
}

namespace {

class Cursor {
 public:
  Cursor(const uint8_t* bytes, size_t size) : at_(bytes), end_(bytes + size) {}

  size_t left() const { return static_cast<size_t>(end_ - at_); }

  bool read_order() {
    if (left() < 1 || *at_ > 1) return false;
    swap_ = *at_ == 0;
    at_ += 1;
    return true;
  }

  bool read_u32(uint32_t& value) {
    if (left() < 4) return false;
    std::memcpy(&value, at_, 4);
    if (swap_) value = __builtin_bswap32(value);
    at_ += 4;
    return true;
  }

  double read_f64() {
    uint64_t bits;
    std::memcpy(&bits, at_, 8);
    if (swap_) bits = __builtin_bswap64(bits);
    at_ += 8;
    double value;
    std::memcpy(&value, &bits, 8);
    return value;
  }

  void skip(size_t n) { at_ += n; }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  bool swap_ = false;
};

constexpr uint32_t kPolygonType = 3;
constexpr uint32_t kMultiPolygonType = 6;
constexpr uint32_t kCollectionType = 7;
constexpr int kMaxDepth = 8;  // nested collections

// Type and number of coordinates per vertex, from an ISO (1003, 2003, 3003) or EWKB (flag bits) code.
bool read_type(Cursor& in, uint32_t& type, uint32_t& dimensions) {
  uint32_t code;
  if (!in.read_u32(code)) return false;
  dimensions = 2 + ((code >> 31) & 1) + ((code >> 30) & 1);
  uint32_t srid;
  if ((code & 0x20000000u) != 0 && !in.read_u32(srid)) return false;
  code &= 0x1fffffffu;
  const uint32_t iso = code / 1000;
  if (iso > 3) {
    type = 0;
    return true;
  }
  if (iso == 1 || iso == 2) dimensions += 1;
  if (iso == 3) dimensions += 2;
  type = code % 1000;
  return true;
}

Status read_polygon(Cursor& in, uint32_t dimensions, Polygons& out) {
  uint32_t rings;
  if (!in.read_u32(rings)) return kTruncated;
  const size_t first_ring = out.ring_end.size();
  for (uint32_t r = 0; r < rings; r++) {
    uint32_t n;
    if (!in.read_u32(n)) return kTruncated;
    if (n > in.left() / (8 * static_cast<size_t>(dimensions))) return kTruncated;
    if (n == 0) continue;
    if (n < 4) return kShortRing;
    bool finite = true;
    const size_t first = out.x.size();
    out.x.resize(first + n);
    out.y.resize(first + n);
    for (uint32_t i = 0; i < n; i++) {
      const double x = in.read_f64();
      const double y = in.read_f64();
      in.skip(8 * static_cast<size_t>(dimensions - 2));
      finite = finite && std::isfinite(x) && std::isfinite(y);
      out.x[first + i] = x;
      out.y[first + i] = y;
    }
    if (!finite) return kNotFinite;
    // As OGR_G_CloseRings and rasterio do.
    const double x0 = out.x[first], y0 = out.y[first];
    if (x0 != out.x.back() || y0 != out.y.back()) {
      out.x.push_back(x0);
      out.y.push_back(y0);
    }
    out.ring_end.push_back(static_cast<uint32_t>(out.x.size()));
  }
  if (out.ring_end.size() > first_ring) out.part_end.push_back(static_cast<uint32_t>(out.ring_end.size()));
  return kOk;
}

// One geometry with its members: a collection of polygons is one multipolygon.
Status read_geometry(Cursor& in, int depth, Polygons& out) {
  uint32_t type, dimensions;
  if (!in.read_order() || !read_type(in, type, dimensions)) return kTruncated;
  if (type == kPolygonType) return read_polygon(in, dimensions, out);
  if ((type != kMultiPolygonType && type != kCollectionType) || depth == kMaxDepth) return kNotPolygon;
  uint32_t parts;
  if (!in.read_u32(parts)) return kTruncated;
  for (uint32_t p = 0; p < parts; p++) {
    const Status status = read_geometry(in, depth + 1, out);
    if (status != kOk) return status;
  }
  return kOk;
}

}  // namespace

Status read_wkb(const uint8_t* bytes, size_t size, Polygons& out) {
  out.clear();
  Cursor in(bytes, size);
  const Status status = read_geometry(in, 0, out);
  if (status != kOk) return status;
  return out.part_end.empty() ? kEmpty : kOk;
}

}  // namespace fields
