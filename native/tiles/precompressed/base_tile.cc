#include "tiles/precompressed/base_tile.h"

#include "tiles/protobuf.h"

namespace fields {
namespace {

void append_span(Buffer& out, const Span& span) { out.append(span.from, span.size()); }

void append_number(Buffer& out, uint64_t number) {
  uint8_t* const from = out.room(kMaxVarint);
  out.size += static_cast<size_t>(put_number(from, number) - from);
}

// A length-delimited field.
void append_field(Buffer& out, uint64_t tag, const Buffer& content) {
  append_number(out, tag);
  append_number(out, content.size);
  out.append(content.data(), content.size);
}

}  // namespace

BaseTileReader::BaseTileReader(std::vector<std::string> layers, uint64_t rows)
    : filler_(std::vector<uint8_t*>(layers.size()), rows), parts_(std::move(layers), rows) {}

void BaseTileReader::read(const uint8_t* record, size_t size, Gzip& gzip, Buffer& out) {
  if (is_gzip_tile(record, size)) return gzip.inflate(record, size, out);
  filler_.open(record, size);
  filled_.size = 0;
  const size_t capacity = filler_.max_bytes();
  const size_t filled = filler_.fill({}, false, filled_.room(capacity), capacity);
  gzip.inflate(filled_.data(), filled, plain_);
  if (!parts_.read(plain_.data(), plain_.size)) throw RecordError("record makes another tile than it was made from");
  const uint32_t slots = filler_.slots();
  out.size = 0;
  Buffer feature, tags;
  for (const LayerParts& layer : parts_) {
    if (layer.values.size() < slots || layer.keys.empty()) throw RecordError("record makes a tile without its slots");
    body_.size = 0;
    for (const Span& field : layer.head) append_span(body_, field);
    for (const FeatureParts& from : layer.features) {
      feature.size = tags.size = 0;
      uint32_t numbers = 0;
      for (Reader reader{from.tags.from, from.tags.to}; !reader.done(); numbers++) {
        const uint64_t number = reader.next();
        // Values count on from the slots.
        if ((numbers & 1) != 0 && number < slots) throw RecordError("record has a crop in its base tile");
        append_number(tags, (numbers & 1) != 0 ? number - slots : number);
      }
      append_span(feature, from.id);
      if (tags.size > 0) append_field(feature, kFeatureTags, tags);
      append_span(feature, from.type);
      append_span(feature, from.geometry);
      append_field(body_, kLayerFeatures, feature);
    }
    // The last key is the crop's.
    for (size_t k = 0; k + 1 < layer.keys.size(); k++) append_span(body_, layer.keys[k]);
    for (size_t v = slots; v < layer.values.size(); v++) append_span(body_, layer.values[v]);
    append_field(out, kTileLayers, body_);
  }
}

}  // namespace fields
