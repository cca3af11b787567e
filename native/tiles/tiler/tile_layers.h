// Vector tiles (MVT 2.1) from pieces of fields.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tiles/gzip.h"
#include "tiles/tiler/shape.h"
#include "tiles/tiler/world.h"

namespace fields {

// Columns of the fields that features carry.
struct IncludedColumns {
  struct Column {
    std::string key;
    const uint32_t* value;  // by row: its number in `values`, `count` or more where it has none
  };
  std::vector<Column> columns;
  // Messages `Value`: the nth is bytes [offsets[n], offsets[n + 1]).
  const uint8_t* values = nullptr;
  const int32_t* offsets = nullptr;
  uint32_t count = 0;
};

// The attributes that are the same every year.
struct FieldAttributes {
  const float* area_ha;  // by row; not finite where unknown; nullptr where no layer has attributes
  uint64_t rows;
  bool has_ids;
  const IncludedColumns* included = nullptr;
};

// Encodes a finished tile as the bytes that the archive stores.
class TileStore {
 public:
  virtual ~TileStore() = default;
  // Appends the stored form of a plain tile.
  virtual void store(const uint8_t* tile, size_t size, Buffer& out) = 0;
  // Replaces `out` by the plain tile of a stored one. Throws RecordError or TileError.
  virtual void read(const uint8_t* stored, size_t size, Buffer& out) = 0;
};

// Fast gzip, because these tiles are temporary: they are precompressed for all years next.
class GzipStore : public TileStore {
 public:
  GzipStore() : gzip_(kLevel) {}
  void store(const uint8_t* tile, size_t size, Buffer& out) override { gzip_.deflate(tile, size, out); }
  void read(const uint8_t* stored, size_t size, Buffer& out) override { gzip_.inflate(stored, size, out); }

 private:
  static constexpr int kLevel = 1;
  Gzip gzip_;
};

// Appends the commands of a polygon's rings, in units of the tile whose northwest corner is at `origin`.
void append_geometry(const Shape& shape, GridPoint origin, Buffer& out);

// Appends the commands of a point, in units of its tile.
void append_point(GridPoint at, Buffer& out);

// One feature of a layer; the geometry is commands.
struct Feature {
  uint32_t row;
  const uint8_t* id;  // a message `Value`, or nothing
  uint32_t id_size;
  const uint8_t* geometry;
  uint32_t geometry_size;
};

// Writes tiles, layer by layer, with fields in tippecanoe's order. Not for several threads at once.
class TileLayers {
 public:
  explicit TileLayers(FieldAttributes attributes) : attributes_(attributes) {}

  void begin() { tile_.size = 0; }
  // Features of one layer, by ascending row. `type`: 1 for points, 3 for polygons. Without `attributed` they have
  // only their id.
  void add(const char* name, uint32_t type, const std::vector<Feature>& features, bool attributed);
  const Buffer& tile() const { return tile_; }

 private:
  uint32_t area_value(float area);
  uint32_t included_value(uint32_t number);
  uint32_t new_value(const uint8_t* bytes, size_t size);
  // The number of the layer's value with this key; kNoValue where it is new, and has a number from now on.
  uint32_t known_value(uint64_t key);

  FieldAttributes attributes_;
  Buffer tile_, head_, values_, features_, tags_;
  // Values by hash: a number in this layer, where the stamp is the layer's.
  struct Slot {
    uint64_t key;
    uint32_t stamp, number;
  };
  std::vector<Slot> slots_;
  uint32_t stamp_ = 0, value_count_ = 0;
};

}  // namespace fields
