#include "tiles/template/template_source.h"

#include <algorithm>
#include <utility>

#include "tiles/protobuf.h"
#include "tiles/template/template.h"

namespace fields {
namespace {

constexpr uint64_t kFeatureType = 3 << 3 | 0, kFeatureGeometry = 4 << 3 | 2;
constexpr uint64_t kLayerExtent = 5 << 3 | 0, kLayerVersion = 15 << 3 | 0;

}  // namespace

TileSource::TileSource(std::vector<std::string> layer_names, std::string key, uint64_t rows)
    : layer_names_(std::move(layer_names)), key_(std::move(key)), row_count_(rows) {}

bool TileSource::read(const uint8_t* tile, size_t size) {
  layers_.clear();
  rows_.clear();
  place_.clear();
  for (Reader reader{tile, tile + size}; !reader.done();) {
    if (reader.next() != kTileLayers) return false;
    const uint64_t length = reader.next();
    const uint8_t* const body_from = reader.at;
    reader.skip(length);
    if (!read_layer(body_from, reader.at)) return false;
  }
  return !layers_.empty();
}

bool TileSource::read_layer(const uint8_t* from, const uint8_t* to) {
  SourceLayer layer;
  bool named = false;
  for (Reader reader{from, to}; !reader.done();) {
    const uint8_t* const start = reader.at;
    const uint64_t tag = reader.next();
    const uint8_t* const value = reader.at;
    reader.skip_field(tag);
    const Span field{start, reader.at};
    if (tag == kLayerVersion || tag == kLayerExtent) {
      layer.head.push_back(field);
    } else if (tag == kLayerName) {
      Reader text{value, reader.at};
      const uint64_t length = text.next();
      const std::string name(reinterpret_cast<const char*>(text.at), length);
      const auto found = std::find(layer_names_.begin(), layer_names_.end(), name);
      if (named || found == layer_names_.end()) return false;
      named = true;
      layer.number = static_cast<uint8_t>(found - layer_names_.begin());
      layer.head.push_back(field);
    } else if (tag == kLayerKeys) {
      Reader text{value, reader.at};
      const uint64_t length = text.next();
      if (key_.compare(0, std::string::npos, reinterpret_cast<const char*>(text.at), length) == 0) return false;
      layer.keys.push_back(field);
    } else if (tag == kLayerValues) {
      layer.values.push_back(field);
    } else if (tag == kLayerFeatures) {
      Reader inner{value, reader.at};
      inner.next();
      if (!read_feature(inner.at, reader.at, layer)) return false;
    } else {
      return false;
    }
  }
  const auto same = [&](const SourceLayer& other) { return other.number == layer.number; };
  if (!named || layer.keys.size() > 127 || std::any_of(layers_.begin(), layers_.end(), same)) return false;
  layers_.push_back(std::move(layer));
  return true;
}

bool TileSource::read_feature(const uint8_t* from, const uint8_t* to, SourceLayer& layer) {
  SourceFeature feature{};
  uint64_t row = 0;
  for (Reader reader{from, to}; !reader.done();) {
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
    *place = field;
    if (tag == kFeatureTags) {
      Reader inner{value, reader.at};
      inner.next();
      place->from = inner.at;
    } else if (tag == kFeatureId) {
      Reader inner{value, reader.at};
      row = inner.next();
      if (row >= row_count_ || row > UINT32_MAX) return false;
    }
  }
  if (feature.id.from == nullptr) return false;
  const auto [found, added] = place_.emplace(static_cast<uint32_t>(row), static_cast<uint16_t>(rows_.size()));
  if (added) {
    if (rows_.size() == kMostTemplateRows) return false;
    rows_.push_back(static_cast<uint32_t>(row));
  }
  feature.row_place = found->second;
  layer.features.push_back(feature);
  return true;
}

}  // namespace fields
