// Reads a finished tile as any client would, and checks it against the vector tile specification. Shares only the
// reader of protobuf numbers with the code that writes tiles.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tiles/tiler/shape.h"

namespace fields {

// One feature of a checked tile.
struct CheckedFeature {
  uint32_t row;
  GridBox box;  // of its geometry, in units of the tile
};

// A layer that tiles may have.
struct LayerRule {
  std::string name;
  uint32_t type;  // of its geometry: 1 for points, 3 for polygons
};

// Not for several threads at once.
class TileCheck {
 public:
  // Feature ids are less than `rows`.
  TileCheck(std::vector<LayerRule> layers, uint64_t rows);

  // Checks an uncompressed tile: layers known, each once, of version 2 and extent 4096; features with the id of a row,
  // by ascending rows; tags that point at keys and values, values of one type; points within the tile; polygons within
  // its buffer, of closed rings with three vertices or more, none repeated, that have an area, an exterior first.
  // Throws TileError.
  void check(const uint8_t* tile, size_t size);

  // Features of the last tile, by layer in the order of the rules.
  const std::vector<CheckedFeature>& features(size_t layer) const { return features_[layer]; }

 private:
  void check_layer(const uint8_t* from, const uint8_t* to);
  CheckedFeature check_feature(const uint8_t* from, const uint8_t* to, uint32_t type, uint64_t keys, uint64_t values);

  std::vector<LayerRule> layers_;
  uint64_t rows_;
  std::vector<std::vector<CheckedFeature>> features_;
  std::vector<bool> there_;
};

}  // namespace fields
