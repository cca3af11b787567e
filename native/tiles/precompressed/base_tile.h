// Base tiles (tiles without crops) from their records.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tiles/precompressed/record.h"
#include "tiles/precompressed/tile_parts.h"

namespace fields {

// Not for several threads at once.
class BaseTileReader {
 public:
  // As the records' maker got them.
  BaseTileReader(std::vector<std::string> layers, uint64_t rows);

  // Replace `out` by the uncompressed base tile of a record, or of a tile that is stored as gzip: the
  // same features and attributes as in the tile that the record was made from. Throws RecordError or TileError.
  void read(const uint8_t* record, size_t size, Gzip& gzip, Buffer& out);

 private:
  RecordFiller filler_;
  TileParts parts_;
  Buffer filled_, plain_, body_;
};

}  // namespace fields
