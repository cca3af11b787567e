// A bucket: the fields that intersect one tile, from the first pass, and the tiles that the second pass makes of them.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tiles/tiler/cells.h"
#include "tiles/tiler/field_tiler.h"
#include "tiles/tiler/world.h"

namespace fields {

// Zooms of an archive and of its buckets.
struct TilerZooms {
  int min_zoom, max_zoom;
  // The lowest zoom that shows every field.
  int field_zoom() const { return max_zoom < kFieldZoom ? max_zoom : kFieldZoom; }
  // Buckets are the tiles of the zoom below that; its cells are made from a bucket's fields.
  int bucket_zoom() const { return field_zoom() == 0 ? 0 : field_zoom() - 1; }
  int least_tiled() const { return min_zoom > field_zoom() ? min_zoom : field_zoom(); }
  bool has_cells() const { return min_zoom < field_zoom(); }
};

// Buckets of a field: the tiles that its box intersects, including the buffer of the tiles under them. Closed.
struct BucketRange {
  uint32_t min_x, min_y, max_x, max_y;
};
BucketRange buckets_of(const WorldBox& box, TilerZooms zooms);

// Records of one bucket from one slice of the fields.
struct BucketChunk {
  uint64_t offset;  // in the file
  uint32_t bytes;
  uint32_t crc;
};

// Reads a bucket's fields by ascending row, any number of times.
class BucketReader {
 public:
  // `chunks`: by ascending rows.
  BucketReader(const std::string& path, std::vector<BucketChunk> chunks);
  ~BucketReader();
  BucketReader(const BucketReader&) = delete;
  BucketReader& operator=(const BucketReader&) = delete;

  // Throws TileError if the file is not as it was written.
  void each(const std::function<void(const WorldField&, SpilledId)>& visit);
  uint64_t bytes() const { return bytes_; }

 private:
  const uint8_t* load(size_t chunk);

  int file_;
  std::string path_;
  std::vector<BucketChunk> chunks_;
  uint64_t bytes_ = 0;
  // All chunks if they are small; else the current one.
  std::vector<Buffer> loaded_;
  Buffer current_;
  WorldField field_;
};

struct BucketTiles {
  std::vector<StoredTiles> zooms;  // from least_tiled() on
  // The bucket's own tile, of cells, and what the zooms above need of it; without has_cells() neither.
  StoredTiles cells;
  Buffer summary;
  ShapeCounts shapes;
  uint64_t records = 0;
};

// Makes all tiles of fields under a bucket's tile; if they do not fit into `limit` bytes, part by part.
void tile_bucket(BucketReader& fields, TileAddress bucket, TilerZooms zooms, FieldAttributes attributes,
                 TileStore& store, size_t limit, BucketTiles& out);

// Stores a tile of cells, unless it is empty.
void store_cells(uint64_t tile, const CellTile& cells, TileStore& store, StoredTiles& out);

}  // namespace fields
