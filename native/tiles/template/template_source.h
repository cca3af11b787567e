// A tile taken apart, for its template.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace fields {

struct Span {
  const uint8_t* from = nullptr;
  const uint8_t* to = nullptr;
  size_t size() const { return static_cast<size_t>(to - from); }
};

struct SourceFeature {
  // Of its row, among the rows of the tile.
  uint16_t row_place;
  // The numbers of its tags; of the others the whole fields.
  Span tags, type, id, geometry;
};

struct SourceLayer {
  uint8_t number = 0;
  std::vector<Span> head, keys, values;
  std::vector<SourceFeature> features;
};

// Reads tiles as tippecanoe writes them. Not for several threads at once.
class TileSource {
 public:
  // `key`: of an attribute that is not there yet. Feature ids are below `rows`.
  TileSource(std::vector<std::string> layer_names, std::string key, uint64_t rows);

  // False where the tile is of another kind: unknown fields, a field twice, a layer that was not announced, a feature
  // without a row. What is read points into the tile. Throws TileError where it is no tile.
  bool read(const uint8_t* tile, size_t size);

  const std::vector<SourceLayer>& layers() const { return layers_; }
  // Different ones, as they come.
  const std::vector<uint32_t>& rows() const { return rows_; }

 private:
  bool read_layer(const uint8_t* from, const uint8_t* to);
  bool read_feature(const uint8_t* from, const uint8_t* to, SourceLayer& layer);

  std::vector<std::string> layer_names_;
  std::string key_;
  uint64_t row_count_;
  std::vector<SourceLayer> layers_;
  std::vector<uint32_t> rows_;
  std::unordered_map<uint32_t, uint16_t> place_;
};

}  // namespace fields
