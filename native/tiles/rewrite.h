// Rewrites attributes of vector tiles: the geometry of a base, the attributes of a year.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tiles/gzip.h"

namespace fields {

// Attributes that follow together from one number per row.
struct AttributeColumn {
  std::vector<std::string> keys;
  // By row, either bytes or 16-bit words: 0 for none of the attributes, else 1 + an entry of the palette.
  const uint8_t* narrow = nullptr;
  const uint16_t* wide = nullptr;
  // `entries` × keys.size() numbers of values.
  const uint32_t* palette = nullptr;
  uint32_t entries = 0;

  uint32_t at(uint64_t row) const { return narrow != nullptr ? narrow[row] : wide[row]; }
};

struct MarkedLayer {
  std::string name;
  // One byte per row, set to 1 for every feature of a marked tile; threads share it.
  uint8_t* seen;
};

// Values as the tiles store them: protobuf messages `Value`.
struct EncodedValues {
  const uint8_t* bytes;
  const int32_t* offsets;
  uint32_t count;
};

// Rewrites tiles. Not for several threads at once.
class TileRewriter {
 public:
  TileRewriter(std::vector<MarkedLayer> layers, EncodedValues values, uint64_t rows);

  // Replace `out` by `tile` with the attributes of `columns` added after those of its features. Everything else is
  // copied byte for byte, in order: geometry, other attributes, unknown fields.
  // Feature ids are rows. Throws TileError.
  void rewrite(const uint8_t* tile, size_t size, const std::vector<AttributeColumn>& columns, bool mark, Buffer& out);

 private:
  struct Layer;
  void rewrite_layer(const uint8_t* from, const uint8_t* to, const std::vector<AttributeColumn>& columns, bool mark);
  void rewrite_feature(const uint8_t* from, const uint8_t* body, const uint8_t* to, Layer& layer);
  // Appends the tags that a row gets to pairs_.
  void add_pairs(uint64_t row, Layer& layer);

  std::vector<MarkedLayer> layers_;
  EncodedValues values_;
  uint64_t rows_;
  // Number of a value in the layer that is at work, where its stamp is the layer's.
  std::vector<uint32_t> value_number_;
  std::vector<uint32_t> value_stamp_;
  uint32_t stamp_ = 0;
  Buffer body_, pairs_, new_keys_, new_values_;
};

}  // namespace fields
