#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "tiles/protobuf.h"
#include "tiles/template/crc.h"
#include "tiles/template/lz77.h"
#include "tiles/template/template.h"
#include "tiles/template/template_source.h"

namespace fields {
namespace {

constexpr uint32_t kSlotBytes = 5;
constexpr uint8_t kSlot[kSlotBytes] = {kLayerValues, 3, 5 << 3, 0x80, 0};
// Tokens are counted in sixteenths: how often an index will occur is a guess.
constexpr uint32_t kCount = 16;
// The commonest crop has about this share of a tile's fields, each next one this share of what is left.
constexpr double kRankShare = 0.45;
constexpr int kPasses = 3;

struct OpenFeature {
  // Of the byte N in the text.
  uint32_t place;
  uint16_t row_place;
  uint8_t length;
};

struct TextLayer {
  uint8_t number = 0, key = 0;
  // Places in the text: the layer, its slots, its first feature, its end.
  uint32_t from = 0, slots = 0, features_from = 0, to = 0;
  bool inline_slots = false;
  std::vector<OpenFeature> features;
};

// Tokens of a stretch of the text; blocks are made of whole pieces.
struct Piece {
  uint32_t from, to;
  const TextLayer* layer;
  // Begins with a copy of the first layer's slots after `head` bytes.
  bool copies_slots;
  bool has_features;
  std::vector<Token> tokens{};
  LitLenCounts litlen{};
  DistanceCounts distance{};
};

void put_varint(std::vector<uint8_t>& out, uint64_t value) {
  uint8_t bytes[kMaxVarint];
  out.insert(out.end(), bytes, put_number(bytes, value));
}

void put_span(std::vector<uint8_t>& out, const Span& span) { out.insert(out.end(), span.from, span.to); }

void put_length(const std::array<Code, kLitLenSymbols>& litlen, uint32_t length, BitWriter& out) {
  const LengthCode code = length_code(length);
  out.put(litlen[code.symbol]);
  out.put(length - code.base, code.extra_bits);
}

template <typename T>
void append(Buffer& out, const T& value) {
  out.append(&value, sizeof value);
}

// Bits of a block of these counts, but for extra bits, which are the same in any.
double block_bits(const LitLenCounts& litlen, const DistanceCounts& distance) {
  const BlockCodes codes = BlockCodes::from(litlen, distance);
  uint64_t bits = 0;
  for (uint32_t s = 0; s < kLitLenSymbols; s++) bits += uint64_t{litlen[s]} * codes.litlen[s].length;
  for (uint32_t s = 0; s < kDistanceSymbols; s++) bits += uint64_t{distance[s]} * codes.distance[s].length;
  BitWriter head;
  codes.write_head(head, false);
  return static_cast<double>(bits) / kCount + static_cast<double>(head.size());
}

}  // namespace

uint32_t slots_for(uint32_t rows) {
  const auto some = static_cast<uint32_t>(std::lround(6 + 1.5 * std::sqrt(rows)));
  return std::max(1u, std::min({rows, some, kMostSlots}));
}

struct TemplateMaker::State {
  std::string key;
  TileSource source;

  State(std::vector<std::string> layer_names, std::string name, uint64_t rows)
      : key(std::move(name)), source(std::move(layer_names), key, rows) {}

  uint32_t slots = 0;
  std::vector<uint8_t> text, body;
  std::vector<TextLayer> layers;
  std::vector<uint32_t> stops, seams;
  std::vector<Piece> pieces;
  // Slot of the crop of each rank.
  std::vector<uint8_t> slot_of_rank;
  std::vector<uint32_t> rank_count;
  Lz77 lz;

  bool write_text();
  bool write_layer(const SourceLayer& layer);
  void cut_pieces();
  void cut(Piece& piece, const TokenCosts& costs);
  void count(Piece& piece);
  // Whether a match that ends at `end` has taken `N key` with it.
  bool takes_seam(const Token& token, uint32_t end) const { return token.length >= 5 && seams[end - 1] == end - 1; }
  std::vector<size_t> group();
  void add_counts(size_t from, size_t to, LitLenCounts& litlen, DistanceCounts& distance) const;
  bool write(const std::vector<size_t>& groups, Buffer& out);
};

TemplateMaker::TemplateMaker(std::vector<std::string> layers, std::string key, uint64_t rows)
    : state_(new State(std::move(layers), std::move(key), rows)) {}

TemplateMaker::~TemplateMaker() = default;

bool TemplateMaker::make(const uint8_t* tile, size_t size, Buffer& out) {
  State& state = *state_;
  if (!state.source.read(tile, size)) return false;
  if (!state.write_text()) return false;
  state.cut_pieces();
  const std::vector<size_t> groups = state.group();
  return state.write(groups, out);
}

bool TemplateMaker::State::write_text() {
  slots = slots_for(static_cast<uint32_t>(source.rows().size()));
  text.clear();
  layers.clear();
  for (const SourceLayer& layer : source.layers()) {
    if (!write_layer(layer)) return false;
  }
  const auto size = static_cast<uint32_t>(text.size());
  stops.assign(size, size);
  seams.assign(size, size);
  for (const TextLayer& layer : layers) {
    for (uint32_t i = 0; i < slots * kSlotBytes; i++) stops[layer.slots + i] = layer.slots + i;
    for (const OpenFeature& feature : layer.features) {
      for (const uint32_t i : {feature.place, feature.place + 1}) seams[i] = i;
      stops[feature.place + 2] = feature.place + 2;
    }
  }
  for (uint32_t i = size - 1; i-- > 0;) {
    stops[i] = std::min(stops[i], stops[i + 1]);
    seams[i] = std::min(seams[i], seams[i + 1]);
  }
  return true;
}

bool TemplateMaker::State::write_layer(const SourceLayer& source_layer) {
  TextLayer layer;
  layer.number = source_layer.number;
  layer.key = static_cast<uint8_t>(source_layer.keys.size());
  body.clear();
  for (uint32_t s = 0; s < slots; s++) body.insert(body.end(), kSlot, kSlot + kSlotBytes);
  for (const Span& field : source_layer.head) put_span(body, field);
  for (const Span& field : source_layer.keys) put_span(body, field);
  put_varint(body, kLayerKeys);
  put_varint(body, key.size());
  body.insert(body.end(), key.begin(), key.end());
  for (const Span& field : source_layer.values) put_span(body, field);
  layer.features_from = static_cast<uint32_t>(body.size());
  std::vector<uint8_t> tags;
  for (const SourceFeature& feature : source_layer.features) {
    tags.clear();
    uint32_t numbers = 0;
    for (Reader reader{feature.tags.from, feature.tags.to}; !reader.done(); numbers++) {
      const uint64_t number = reader.next();
      put_varint(tags, (numbers & 1) != 0 ? number + slots : number);
    }
    if (numbers % 2 != 0 || tags.size() + 2 > 127) return false;
    const size_t size = 4 + tags.size() + feature.type.size() + feature.id.size() + feature.geometry.size();
    put_varint(body, kLayerFeatures);
    put_varint(body, size);
    // What is alike in most features stands together, before the crop's pair.
    put_span(body, feature.geometry);
    put_span(body, feature.type);
    put_varint(body, kFeatureTags);
    const auto length = static_cast<uint8_t>(tags.size() + 2);
    layer.features.push_back({static_cast<uint32_t>(body.size()), feature.row_place, length});
    body.push_back(length);
    body.push_back(layer.key);
    body.push_back(0);
    body.insert(body.end(), tags.begin(), tags.end());
    put_span(body, feature.id);
  }
  if (text.size() + body.size() > UINT32_MAX >> 5) return false;
  layer.from = static_cast<uint32_t>(text.size());
  put_varint(text, kTileLayers);
  put_varint(text, body.size());
  layer.slots = static_cast<uint32_t>(text.size());
  layer.inline_slots = layers.empty() || layer.slots - layers.back().slots > kMostDistance;
  layer.features_from += layer.slots;
  for (OpenFeature& feature : layer.features) feature.place += layer.slots;
  text.insert(text.end(), body.begin(), body.end());
  layer.to = static_cast<uint32_t>(text.size());
  layers.push_back(std::move(layer));
  return true;
}

void TemplateMaker::State::cut_pieces() {
  lz.open(text.data(), stops.data(), seams.data(), static_cast<uint32_t>(text.size()));
  slot_of_rank.resize(slots);
  for (uint32_t s = 0; s < slots; s++) slot_of_rank[s] = static_cast<uint8_t>(s);
  pieces.clear();
  for (const TextLayer& layer : layers) {
    const uint32_t from = layer.inline_slots ? layer.slots + slots * kSlotBytes : layer.from;
    pieces.push_back({from, layer.features_from, &layer, !layer.inline_slots, false});
    pieces.push_back({layer.features_from, layer.to, &layer, false, true});
  }
  const TokenCosts guess = TokenCosts::guess();
  for (Piece& piece : pieces) cut(piece, guess);
  // An index that is a frequent literal anyway costs least: the commonest crops get those slots.
  std::vector<uint32_t> seen(slots);
  for (Piece& piece : pieces) {
    count(piece);
    if (piece.has_features) {
      for (uint32_t s = 0; s < slots; s++) seen[s] += piece.litlen[s];
    }
  }
  std::stable_sort(slot_of_rank.begin(), slot_of_rank.end(), [&](uint8_t a, uint8_t b) { return seen[a] > seen[b]; });
}

void TemplateMaker::State::cut(Piece& piece, const TokenCosts& costs) {
  piece.tokens.clear();
  uint32_t from = piece.from;
  if (piece.copies_slots) {
    const TextLayer& layer = *piece.layer;
    lz.cut(from, layer.slots, costs, piece.tokens);
    // Of the layer before, which lies no farther back than a match may reach.
    const auto before =
        std::find_if(layers.begin(), layers.end(), [&](const TextLayer& l) { return &l == &layer; }) - 1;
    const auto distance = static_cast<uint16_t>(layer.slots - before->slots - 1);
    for (uint32_t left = slots * kSlotBytes; left > 0;) {
      const uint32_t take = left <= kMostMatch ? left : std::min(kMostMatch, left - kLeastMatch);
      piece.tokens.push_back({static_cast<uint16_t>(take), distance});
      left -= take;
    }
    from = layer.slots + slots * kSlotBytes;
  }
  lz.cut(from, piece.to, costs, piece.tokens);
}

void TemplateMaker::State::count(Piece& piece) {
  piece.litlen.fill(0);
  piece.distance.fill(0);
  uint32_t place = piece.from;
  const auto occurs = [&](uint32_t symbol) { piece.litlen[symbol] = std::max(piece.litlen[symbol], 1u); };
  for (const Token& token : piece.tokens) {
    if (token.length == 0) {
      piece.litlen[text[place++]] += kCount;
      continue;
    }
    piece.litlen[length_code(token.length).symbol] += kCount;
    piece.distance[distance_code(token.distance()).symbol] += kCount;
    place += token.length;
    if (takes_seam(token, place)) occurs(length_code(token.length - 2u).symbol);
  }
  if (!piece.has_features) return;
  const auto features = static_cast<uint32_t>(piece.layer->features.size());
  // Their D was counted as 0.
  piece.litlen[0] -= features * kCount;
  double share = kRankShare;
  for (uint32_t rank = 0; rank < slots; rank++, share *= 1 - kRankShare) {
    piece.litlen[slot_of_rank[rank]] += std::max(1u, static_cast<uint32_t>(std::lround(features * kCount * share)));
  }
  // Needed where a row has no crop, or the row before it.
  for (const uint32_t symbol : {0u, 0x80u, uint32_t{piece.layer->key}}) occurs(symbol);
  for (const OpenFeature& feature : piece.layer->features) {
    occurs(feature.length);
    occurs((feature.length - 2u) | 0x80);
  }
}

// Ends of the groups of pieces that are a block each; cuts them anew by the groups' costs.
std::vector<size_t> TemplateMaker::State::group() {
  const size_t n = pieces.size();
  std::vector<size_t> ends;
  for (int pass = 0; pass < kPasses; pass++) {
    for (Piece& piece : pieces) count(piece);
    if (pass < 2) {
      std::vector<double> best(n + 1, 1e300);
      std::vector<size_t> start(n + 1);
      best[0] = 0;
      for (size_t from = 0; from < n; from++) {
        LitLenCounts litlen{};
        DistanceCounts distance{};
        for (size_t to = from; to < n; to++) {
          // Inline slots are a block of their own.
          if (to > from && pieces[to].layer != pieces[to - 1].layer && pieces[to].layer->inline_slots) break;
          add_counts(to, to + 1, litlen, distance);
          const double bits = best[from] + block_bits(litlen, distance);
          if (bits < best[to + 1]) {
            best[to + 1] = bits;
            start[to + 1] = from;
          }
        }
      }
      ends.clear();
      for (size_t end = n; end > 0; end = start[end]) ends.insert(ends.begin(), end);
    }
    if (pass + 1 == kPasses) break;
    size_t from = 0;
    for (const size_t end : ends) {
      LitLenCounts litlen{};
      DistanceCounts distance{};
      add_counts(from, end, litlen, distance);
      const TokenCosts costs = TokenCosts::from(litlen, distance);
      for (size_t p = from; p < end; p++) cut(pieces[p], costs);
      from = end;
    }
  }
  return ends;
}

// A block of these pieces.
void TemplateMaker::State::add_counts(size_t from, size_t to, LitLenCounts& litlen, DistanceCounts& distance) const {
  litlen[kEndOfBlock] = kCount;
  for (size_t p = from; p < to; p++) {
    for (uint32_t s = 0; s < kLitLenSymbols; s++) litlen[s] += pieces[p].litlen[s];
    for (uint32_t s = 0; s < kDistanceSymbols; s++) distance[s] += pieces[p].distance[s];
  }
}

bool TemplateMaker::State::write(const std::vector<size_t>& groups, Buffer& out) {
  struct Open {
    uint32_t gap_and_variant;
    uint16_t back;
    uint8_t distance_bits;
  };
  struct LayerRecord {
    uint8_t number, inline_slots;
    uint32_t gap;
    std::vector<Open> opens;
  };
  struct Variant {
    uint8_t block, length, key;
    uint16_t match;
    bool operator==(const Variant& o) const {
      return block == o.block && length == o.length && key == o.key && match == o.match;
    }
  };
  BitWriter bits;
  std::vector<LayerRecord> records;
  std::vector<Variant> variants;
  std::vector<BlockCodes> blocks;
  // Of all features so far, the places of their seams.
  std::vector<uint32_t> seam_places;
  size_t open_from = 0;
  bool fits = true;
  const auto gap = [&] {
    const size_t between = bits.size() - open_from;
    open_from = bits.size();
    return static_cast<uint32_t>(between);
  };
  size_t from = 0;
  for (size_t g = 0; g < groups.size(); g++) {
    const size_t end = groups[g];
    LitLenCounts litlen{};
    DistanceCounts distance{};
    add_counts(from, end, litlen, distance);
    const BlockCodes codes = BlockCodes::from(litlen, distance);
    for (size_t p = from; p < end; p++) {
      const Piece& piece = pieces[p];
      const TextLayer& layer = *piece.layer;
      if (!piece.has_features) {
        records.push_back({layer.number, layer.inline_slots, 0, {}});
        if (layer.inline_slots) {
          const BlockCodes& fixed = BlockCodes::fixed();
          fixed.write_head(bits, false);
          for (uint32_t i = layer.from; i < layer.slots; i++) bits.put(fixed.litlen[text[i]]);
          records.back().gap = gap();
          bits.put(fixed.litlen[kEndOfBlock]);
        }
      }
      if (p == from) codes.write_head(bits, g + 1 == groups.size());
      uint32_t place = piece.from;
      auto feature = layer.features.begin();
      Token before{0, 0};
      for (const Token& token : piece.tokens) {
        if (token.length > 0) {
          codes.write_match(bits, token.length, token.distance());
          place += token.length;
          before = token;
          continue;
        }
        if (!piece.has_features || feature == layer.features.end() || place < feature->place + 2) {
          bits.put(codes.litlen[text[place++]]);
          before = token;
          continue;
        }
        // The index of the crop's slot.
        Variant variant{static_cast<uint8_t>(blocks.size()), feature->length, layer.key, 0};
        Open open{0, 0, 0};
        if (before.length > 0) {
          const auto source =
              std::lower_bound(seam_places.begin(), seam_places.end(), feature->place - before.distance());
          variant.match = before.length;
          const LengthCode code = distance_code(before.distance());
          open.distance_bits = static_cast<uint8_t>(codes.distance[code.symbol].length + code.extra_bits);
          open.back = static_cast<uint16_t>(seam_places.end() - source);
        }
        auto found = std::find(variants.begin(), variants.end(), variant);
        if (found == variants.end()) found = variants.insert(found, variant);
        const uint32_t between = gap();
        fits = fits && between < 1 << 24;
        open.gap_and_variant = between << 8 | static_cast<uint32_t>(found - variants.begin());
        records.back().opens.push_back(open);
        seam_places.push_back(feature->place);
        ++feature;
        place++;
        before = token;
      }
    }
    bits.put(codes.litlen[kEndOfBlock]);
    blocks.push_back(codes);
    from = end;
  }
  if (!fits || variants.size() > kMostVariants) return false;

  // Powers of x^8 from the end.
  const auto size = static_cast<uint32_t>(text.size());
  std::vector<uint32_t> power(source.rows().size()), null_change(source.rows().size());
  uint32_t slot_power = 0, now = kCrcOne;
  uint32_t place = size;
  const auto walk_to = [&](uint32_t to) {
    for (; place > to; place--) now = crc_times_x8(now);
    return now;
  };
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    for (auto feature = layer->features.rbegin(); feature != layer->features.rend(); ++feature) {
      power[feature->row_place] ^= walk_to(feature->place + 3);
      const auto length_change = static_cast<uint8_t>(feature->length ^ ((feature->length - 2) | 0x80));
      uint32_t& change = null_change[feature->row_place];
      change ^= crc_change(static_cast<uint8_t>(layer->key ^ 0x80), walk_to(feature->place + 2));
      change ^= crc_change(length_change, walk_to(feature->place + 1));
    }
    slot_power ^= walk_to(layer->slots + slots * kSlotBytes);
  }

  const size_t begin = out.size;
  append(out, uint32_t{0});
  append(out, size);
  append(out, crc32_of(0, text.data(), size));
  append(out, static_cast<uint32_t>(bits.size()));
  append(out, slot_power);
  append(out, static_cast<uint16_t>(source.rows().size()));
  append(out, static_cast<uint8_t>(records.size()));
  append(out, static_cast<uint8_t>(slots));
  append(out, static_cast<uint8_t>(blocks.size()));
  append(out, static_cast<uint8_t>(variants.size()));
  append(out, uint16_t{0});
  for (const std::vector<uint32_t>& list : {source.rows(), power, null_change}) {
    out.append(list.data(), list.size() * sizeof(uint32_t));
  }
  out.append(slot_of_rank.data(), slots);
  for (const BlockCodes& codes : blocks) {
    for (uint32_t s = 0; s < slots; s++) {
      append(out, codes.litlen[s].bits);
      append(out, codes.litlen[s].length);
    }
  }
  for (const Variant& variant : variants) {
    const auto& codes = blocks[variant.block].litlen;
    const auto put_code = [&](const BitWriter& code) {
      append(out, static_cast<uint8_t>(code.size()));
      out.append(code.bytes().data(), code.bytes().size());
    };
    BitWriter pair, none, none_after_match, whole, shorter;
    pair.put(codes[variant.length]);
    pair.put(codes[variant.key]);
    none.put(codes[(variant.length - 2) | 0x80]);
    none.put(codes[0x80]);
    none.put(codes[0]);
    none_after_match.put(codes[0]);
    if (variant.match > 0) {
      put_length(codes, variant.match, whole);
      put_length(codes, variant.match - 2u, shorter);
    }
    append(out, variant.block);
    for (const BitWriter* code : {&pair, &none, &none_after_match, &whole, &shorter}) put_code(*code);
  }
  for (const LayerRecord& record : records) {
    append(out, record.number);
    append(out, record.inline_slots);
    append(out, record.gap);
    append(out, static_cast<uint32_t>(record.opens.size()));
  }
  for (const LayerRecord& record : records) {
    for (const Open& open : record.opens) append(out, open.gap_and_variant);
  }
  for (const TextLayer& layer : layers) {
    for (const OpenFeature& feature : layer.features) append(out, feature.row_place);
  }
  for (const LayerRecord& record : records) {
    for (const Open& open : record.opens) append(out, open.back);
  }
  for (const LayerRecord& record : records) {
    for (const Open& open : record.opens) append(out, open.distance_bits);
  }
  out.append(bits.bytes().data(), bits.bytes().size());
  append(out, uint64_t{0});
  const uint32_t check = crc32_of(0, out.data() + begin + 4, out.size - begin - 4);
  std::memcpy(out.data() + begin, &check, 4);
  return true;
}

}  // namespace fields
