// A vector tile split into parts, so that it can be written in another order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tiles/gzip.h"

namespace fields {

struct Span {
  const uint8_t* from = nullptr;
  const uint8_t* to = nullptr;
  size_t size() const { return static_cast<size_t>(to - from); }
};

struct FeatureParts {
  uint32_t row;
  // The numbers of its tags; of the others the whole fields.
  Span tags, type, id, geometry;
};

struct LayerParts {
  // Place in the list of names.
  uint8_t number = 0;
  // Whole fields; `head`: version, name and extent.
  std::vector<Span> head, keys, values;
  std::vector<FeatureParts> features;
};

// Reads tiles of known layers. Not for several threads at once.
class TileParts {
 public:
  // Feature ids are less than `rows`.
  TileParts(std::vector<std::string> layer_names, uint64_t rows);

  // False if the tile has anything unexpected: unknown fields, a field twice, an unknown layer, a layer twice, a
  // feature whose id is no row. Parts point into the tile. Throws TileError if it is not a tile.
  bool read(const uint8_t* tile, size_t size);

  const LayerParts* begin() const { return layers_.data(); }
  const LayerParts* end() const { return layers_.data() + layer_count_; }

 private:
  bool read_layer(Span bytes, LayerParts& layer);
  bool read_feature(Span bytes, FeatureParts& feature) const;

  std::vector<std::string> layer_names_;
  uint64_t rows_;
  // Those behind the count are kept for their memory.
  std::vector<LayerParts> layers_;
  size_t layer_count_ = 0;
};

// The text of a field of keys.
Span key_text(const Span& field);

}  // namespace fields
