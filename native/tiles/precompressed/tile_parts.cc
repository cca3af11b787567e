#include "tiles/precompressed/tile_parts.h"

#include <algorithm>
#include <utility>

#include "tiles/protobuf.h"

namespace fields {
namespace {

constexpr uint64_t kFeatureType = 3 << 3 | 0, kFeatureGeometry = 4 << 3 | 2;
constexpr uint64_t kLayerExtent = 5 << 3 | 0, kLayerVersion = 15 << 3 | 0;
constexpr size_t kMaxLayers = 100;

// The content of a length-delimited field.
Span content_of(const Span& field) {
  Reader reader{field.from, field.to};
  reader.next();
  reader.next();
  return {reader.at, field.to};
}

}  // namespace

Span key_text(const Span& field) { return content_of(field); }

TileParts::TileParts(std::vector<std::string> layer_names, uint64_t rows)
    : layer_names_(std::move(layer_names)), rows_(rows), layers_(std::min(layer_names_.size(), kMaxLayers)) {}

bool TileParts::read(const uint8_t* tile, size_t size) {
  layer_count_ = 0;
  for (Reader reader{tile, tile + size}; !reader.done();) {
    if (reader.next() != kTileLayers) return false;
    const uint64_t length = reader.next();
    const uint8_t* const from = reader.at;
    reader.skip(length);
    if (layer_count_ == layers_.size() || !read_layer({from, reader.at}, layers_[layer_count_])) return false;
    layer_count_++;
  }
  return layer_count_ > 0;
}

bool TileParts::read_layer(Span bytes, LayerParts& layer) {
  for (std::vector<Span>* list : {&layer.head, &layer.keys, &layer.values}) list->clear();
  layer.features.clear();
  bool named = false;
  for (Reader reader{bytes.from, bytes.to}; !reader.done();) {
    const uint8_t* const start = reader.at;
    const uint64_t tag = reader.next();
    reader.skip_field(tag);
    const Span field{start, reader.at};
    if (tag == kLayerFeatures) {
      layer.features.emplace_back();
      if (!read_feature(content_of(field), layer.features.back())) return false;
    } else if (tag == kLayerValues) {
      layer.values.push_back(field);
    } else if (tag == kLayerKeys) {
      layer.keys.push_back(field);
    } else if (tag == kLayerVersion || tag == kLayerExtent) {
      layer.head.push_back(field);
    } else if (tag == kLayerName) {
      const Span text = content_of(field);
      const std::string name(reinterpret_cast<const char*>(text.from), text.size());
      const auto found = std::find(layer_names_.begin(), layer_names_.end(), name);
      if (named || found == layer_names_.end()) return false;
      named = true;
      layer.number = static_cast<uint8_t>(found - layer_names_.begin());
      layer.head.push_back(field);
    } else {
      return false;
    }
  }
  const auto same = [&](const LayerParts& other) { return other.number == layer.number; };
  return named && !std::any_of(begin(), end(), same);
}

bool TileParts::read_feature(Span bytes, FeatureParts& feature) const {
  for (Reader reader{bytes.from, bytes.to}; !reader.done();) {
    const uint8_t* const start = reader.at;
    const uint64_t tag = reader.next();
    const uint8_t* const value = reader.at;
    reader.skip_field(tag);
    const Span field{start, reader.at};
    Span* const place = tag == kFeatureId         ? &feature.id
                        : tag == kFeatureTags     ? &feature.tags
                        : tag == kFeatureType     ? &feature.type
                        : tag == kFeatureGeometry ? &feature.geometry
                                                  : nullptr;
    if (place == nullptr || place->from != nullptr) return false;
    *place = tag == kFeatureTags ? content_of(field) : field;
    if (tag == kFeatureId) {
      const uint64_t row = Reader{value, reader.at}.next();
      if (row >= rows_ || row > UINT32_MAX) return false;
      feature.row = static_cast<uint32_t>(row);
    }
  }
  return feature.id.from != nullptr;
}

}  // namespace fields
