#include "tiles/rewrite.h"

#include <algorithm>
#include <utility>

#include "tiles/protobuf.h"

namespace fields {
namespace {

// A length-delimited field.
void append_field(Buffer& out, uint64_t tag, const uint8_t* bytes, size_t length) {
  uint8_t* const start = out.room(2 * kMaxVarint + length);
  uint8_t* to = put_number(put_number(start, tag), length);
  if (length > 0) to = put_bytes(to, bytes, length);
  out.size += static_cast<size_t>(to - start);
}

}  // namespace

struct TileRewriter::Layer {
  const std::vector<AttributeColumn>& columns;
  // Where features are ticked off; null where they are not.
  uint8_t* seen;
  // How many the layer has so far, those that are added included.
  uint32_t keys = 0, values = 0;
  // Number of each column's first key in this layer; kNone until a feature has it.
  std::vector<uint32_t> first_key;
};

namespace {
constexpr uint32_t kNone = 0xffffffff;
}

TileRewriter::TileRewriter(std::vector<MarkedLayer> layers, EncodedValues values, uint64_t rows)
    : layers_(std::move(layers)),
      values_(values),
      rows_(rows),
      value_number_(values.count),
      value_stamp_(values.count) {}

void TileRewriter::rewrite(const uint8_t* tile, size_t size, const std::vector<AttributeColumn>& columns, bool mark,
                           Buffer& out) {
  out.size = 0;
  Reader reader{tile, tile + size};
  while (!reader.done()) {
    const uint8_t* const start = reader.at;
    const uint64_t tag = reader.next();
    if (tag >> 3 == kTileLayers >> 3) {
      if (tag != kTileLayers) wrong_type(tag);
      const uint64_t length = reader.next();
      const uint8_t* const body = reader.at;
      reader.skip(length);
      rewrite_layer(body, reader.at, columns, mark);
      append_field(out, kTileLayers, body_.data(), body_.size);
    } else {
      reader.skip_field(tag);
      out.append(start, static_cast<size_t>(reader.at - start));
    }
  }
}

void TileRewriter::rewrite_layer(const uint8_t* from, const uint8_t* to, const std::vector<AttributeColumn>& columns,
                                 bool mark) {
  // Keys and values may stand after the features, whose tags count on from them.
  Layer layer{columns, nullptr, 0, 0, std::vector<uint32_t>(columns.size(), kNone)};
  const MarkedLayer* known = nullptr;
  for (Reader reader{from, to}; !reader.done();) {
    const uint64_t tag = reader.next();
    const uint64_t field = tag >> 3;
    const bool ours = field >= kLayerName >> 3 && field <= kLayerValues >> 3;
    if (!ours) {
      reader.skip_field(tag);
      continue;
    }
    if ((tag & 7) != 2) wrong_type(tag);
    const uint64_t length = reader.next();
    const char* const text = reinterpret_cast<const char*>(reader.at);
    reader.skip(length);
    if (tag == kLayerName) {
      const auto same = [&](const MarkedLayer& one) {
        return one.name.compare(0, std::string::npos, text, length) == 0;
      };
      const auto found = std::find_if(layers_.begin(), layers_.end(), same);
      if (found == layers_.end()) throw TileError("layer was not announced");
      known = &*found;
    } else if (tag == kLayerKeys) {
      layer.keys++;
      for (const AttributeColumn& column : columns) {
        for (const std::string& key : column.keys) {
          if (key.compare(0, std::string::npos, text, length) == 0)
            throw TileError("attribute is there already: " + key);
        }
      }
    } else if (tag == kLayerValues) {
      layer.values++;
    }
  }
  if (known == nullptr) throw TileError("layer has no name");
  layer.seen = mark ? known->seen : nullptr;
  if (++stamp_ == 0) {
    std::fill(value_stamp_.begin(), value_stamp_.end(), 0);
    stamp_ = 1;
  }

  body_.size = new_keys_.size = new_values_.size = 0;
  const uint8_t* copied = from;
  for (Reader reader{from, to}; !reader.done();) {
    const uint8_t* const start = reader.at;
    const uint64_t tag = reader.next();
    if (tag != kLayerFeatures) {
      reader.skip_field(tag);
      continue;
    }
    const uint64_t length = reader.next();
    const uint8_t* const body = reader.at;
    reader.skip(length);
    body_.append(copied, static_cast<size_t>(start - copied));
    copied = reader.at;
    rewrite_feature(start, body, reader.at, layer);
  }
  body_.append(copied, static_cast<size_t>(to - copied));
  body_.append(new_keys_.data(), new_keys_.size);
  body_.append(new_values_.data(), new_values_.size);
}

void TileRewriter::rewrite_feature(const uint8_t* from, const uint8_t* body, const uint8_t* to, Layer& layer) {
  uint64_t row = kMaxNumber;
  // The last field of tags, and how many numbers all of them hold.
  const uint8_t *field = nullptr, *tags = nullptr, *after = nullptr;
  size_t numbers = 0;
  for (Reader reader{body, to}; !reader.done();) {
    const uint8_t* const start = reader.at;
    const uint64_t tag = reader.next();
    if (tag == kFeatureId) {
      row = reader.next();
    } else if (tag == kFeatureTags) {
      const uint64_t length = reader.next();
      field = start;
      tags = reader.at;
      reader.skip(length);
      after = reader.at;
      for (const uint8_t* byte = tags; byte < after; byte++) numbers += *byte < 0x80;
      if (length > 0 && after[-1] >= 0x80) throw TileError("number extends past the end");
    } else {
      if (tag >> 3 == kFeatureId >> 3 || tag >> 3 == kFeatureTags >> 3) wrong_type(tag);
      reader.skip_field(tag);
    }
  }
  if (row == kMaxNumber) throw TileError("feature has no id");
  if (row >= rows_) throw TileError("feature's id is no row: " + std::to_string(row));
  if (numbers % 2 != 0) throw TileError("feature's tags are not pairs");
  // Threads write the same byte, and only ever a 1.
  if (layer.seen != nullptr) __atomic_store_n(&layer.seen[row], uint8_t{1}, __ATOMIC_RELAXED);

  pairs_.size = 0;
  add_pairs(row, layer);
  if (pairs_.size == 0) {
    body_.append(from, static_cast<size_t>(to - from));
    return;
  }
  if (field == nullptr) field = tags = after = to;
  const size_t before_tags = static_cast<size_t>(field - body), old_tags = static_cast<size_t>(after - tags),
               after_tags = static_cast<size_t>(to - after), new_tags = old_tags + pairs_.size;
  const size_t size = before_tags + 1 + number_size(new_tags) + new_tags + after_tags;
  uint8_t* const start = body_.room(size + 1 + kMaxVarint);
  uint8_t* out = put_number(put_number(start, kLayerFeatures), size);
  out = put_bytes(out, body, before_tags);
  out = put_number(put_number(out, kFeatureTags), new_tags);
  out = put_bytes(out, tags, old_tags);
  out = put_bytes(out, pairs_.data(), pairs_.size);
  out = put_bytes(out, after, after_tags);
  body_.size += static_cast<size_t>(out - start);
}

void TileRewriter::add_pairs(uint64_t row, Layer& layer) {
  for (size_t c = 0; c < layer.columns.size(); c++) {
    const AttributeColumn& column = layer.columns[c];
    const uint32_t entry = column.at(row);
    if (entry == 0) continue;
    if (entry > column.entries) throw TileError("row has no entry in the palette: " + std::to_string(row));
    const size_t width = column.keys.size();
    if (layer.first_key[c] == kNone) {
      layer.first_key[c] = layer.keys;
      layer.keys += static_cast<uint32_t>(width);
      for (const std::string& key : column.keys) {
        append_field(new_keys_, kLayerKeys, reinterpret_cast<const uint8_t*>(key.data()), key.size());
      }
    }
    for (size_t k = 0; k < width; k++) {
      const uint32_t value = column.palette[(entry - 1) * width + k];
      if (value_stamp_[value] != stamp_) {
        value_stamp_[value] = stamp_;
        value_number_[value] = layer.values++;
        const int32_t* const offset = values_.offsets + value;
        append_field(new_values_, kLayerValues, values_.bytes + offset[0], static_cast<size_t>(offset[1] - offset[0]));
      }
      uint8_t* const start = pairs_.room(2 * kMaxVarint);
      const uint8_t* const end = put_number(put_number(start, layer.first_key[c] + k), value_number_[value]);
      pairs_.size += static_cast<size_t>(end - start);
    }
  }
}

}  // namespace fields
