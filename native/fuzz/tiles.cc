// Vector tiles, sound and damaged, through rewriting and precompressing, under the sanitizers: fuzz [rounds] [seed].
// README.md has the command that builds it. A filled record must hold what rewriting its base tile makes.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tiles/precompressed/base_tile.h"
#include "tiles/precompressed/matcher.h"
#include "tiles/precompressed/record.h"
#include "tiles/precompressed/tile_parts.h"
#include "tiles/protobuf.h"
#include "tiles/rewrite.h"

namespace {

using namespace fields;
using Bytes = std::vector<uint8_t>;

std::mt19937_64 engine;

uint32_t below(uint32_t n) { return static_cast<uint32_t>(engine() % n); }

void put_number(Bytes& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<uint8_t>(value | 0x80));
  out.push_back(static_cast<uint8_t>(value));
}

void put_field(Bytes& out, uint32_t number, const Bytes& bytes) {
  put_number(out, number << 3 | 2);
  put_number(out, bytes.size());
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Bytes text(const std::string& from) { return Bytes(from.begin(), from.end()); }

void flip_bits(Bytes& bytes, size_t from = 0) {
  for (uint32_t flips = below(4); flips > 0 && bytes.size() > from; flips--) {
    bytes[from + below(static_cast<uint32_t>(bytes.size() - from))] ^= static_cast<uint8_t>(1 << below(8));
  }
}

constexpr uint32_t kRows = 500;
const std::vector<std::string> kLayers = {"fields", "centroids"};

// A vector tile, valid or, before it is damaged, mostly valid.
Bytes tile(bool sound) {
  Bytes out;
  const uint32_t layers = below(3);
  for (uint32_t l = 0; l < layers; l++) {
    Bytes layer;
    put_field(layer, 1, text(kLayers[sound ? l : below(2)]));
    const uint32_t keys = below(3), values = below(below(4) == 0 ? 5000 : 200);
    const bool large = below(16) == 0;
    for (uint32_t features = below(large ? 900 : 6); features > 0; features--) {
      Bytes feature, tags;
      for (uint32_t pairs = below(3); pairs > 0; pairs--) {
        if (sound && (keys == 0 || values == 0)) continue;
        put_number(tags, sound ? below(keys) : below(200));
        put_number(tags, sound ? below(values) : below(200));
      }
      put_number(feature, 1 << 3);
      put_number(feature, !sound && below(50) == 0 ? engine() : below(kRows));
      if (below(4) != 0) put_field(feature, 2, tags);
      if (below(2) == 0) {
        put_number(feature, 3 << 3);
        put_number(feature, 1 + below(3));
      }
      Bytes geometry(below(below(8) == 0 ? 600 : 40));
      for (uint8_t& byte : geometry) byte = static_cast<uint8_t>(below(below(2) == 0 ? 3 : 128));
      if (below(8) != 0) put_field(feature, !sound && below(4) == 0 ? 99 : 4, geometry);
      put_field(layer, 2, feature);
    }
    for (uint32_t k = 0; k < keys; k++) {
      put_field(layer, 3, text(!sound && below(20) == 0 ? "crop_code" : "key " + std::to_string(k)));
    }
    for (uint32_t v = 0; v < values; v++) {
      Bytes value{1 << 3 | 2};
      put_number(value, 4);
      for (uint32_t i = 0; i < 4; i++) value.push_back(static_cast<uint8_t>(below(4)));
      put_field(layer, 4, value);
    }
    put_field(out, 3, layer);
  }
  if (sound) return out;
  flip_bits(out);
  if (below(4) == 0) out.resize(below(static_cast<uint32_t>(out.size()) + 1));
  // Allocated exactly, so reading one byte too many is found.
  out.shrink_to_fit();
  return out;
}

// Features as texts: layer, row, type, geometry, attributes by name; a crop by its number, however it is written.
std::vector<std::string> features_of(const Buffer& bytes) {
  std::vector<std::string> features;
  if (bytes.size == 0) return features;
  TileParts parts(kLayers, kRows);
  if (!parts.read(bytes.data(), bytes.size)) std::abort();
  const auto string_of = [](const Span& span) {
    return std::string(reinterpret_cast<const char*>(span.from), span.size());
  };
  for (const LayerParts& layer : parts) {
    for (const FeatureParts& feature : layer.features) {
      std::vector<std::string> pairs;
      for (Reader reader{feature.tags.from, feature.tags.to}; !reader.done();) {
        const std::string key = string_of(key_text(layer.keys.at(reader.next())));
        const Span value = key_text(layer.values.at(reader.next()));
        if (key != "crop_code") {
          pairs.push_back(key + "=" + string_of(value));
          continue;
        }
        Reader number{value.from, value.to};
        if (number.next() != 5 << 3) std::abort();
        pairs.push_back(key + "=" + std::to_string(number.next()));
      }
      std::sort(pairs.begin(), pairs.end());
      std::string all = std::to_string(layer.number) + "|" + std::to_string(feature.row) + "|" +
                        string_of(feature.type) + "|" + string_of(feature.geometry);
      for (const std::string& pair : pairs) all += "|" + pair;
      features.push_back(std::move(all));
    }
  }
  return features;
}

// Rewrite a tile, compress the result, and damage it; true if it was accepted as a tile.
bool rewrite_tile(Gzip& gzip) {
  std::vector<uint8_t> index(kRows), seen(kRows);
  for (uint8_t& entry : index) entry = static_cast<uint8_t>(below(4));
  if (below(20) == 0) index[below(kRows)] = 200;
  const uint32_t palette[] = {0, 1, 1, 2, 2, 0};
  const uint8_t values[] = {40, 1, 40, 5, 10, 1, 'x'};
  const int32_t offsets[] = {0, 2, 4, 7};
  std::vector<AttributeColumn> columns(1);
  columns[0].keys = {"crop_code", "crop_name"};
  columns[0].narrow = index.data();
  columns[0].palette = palette;
  columns[0].entries = 3;
  TileRewriter rewriter({{"fields", seen.data()}, {"centroids", seen.data()}}, {values, offsets, 3}, kRows);
  Buffer out, packed, plain;
  const Bytes bytes = tile(false);
  try {
    rewriter.rewrite(bytes.data(), bytes.size(), columns, below(2) == 0, out);
  } catch (const TileError&) {
    return false;
  }
  gzip.deflate(out.data(), out.size, packed);
  const bool damaged = below(2) == 0;
  Bytes stored(packed.data(), packed.data() + packed.size);
  if (damaged) stored[below(static_cast<uint32_t>(stored.size()))] ^= static_cast<uint8_t>(1 << below(8));
  try {
    gzip.inflate(stored.data(), stored.size(), plain);
  } catch (const TileError&) {
    if (!damaged) std::abort();
    return true;
  }
  if (damaged) return true;
  const bool same = plain.size == out.size && (out.size == 0 || std::memcmp(plain.data(), out.data(), out.size) == 0);
  if (!same) std::abort();
  return true;
}

// Prefix codes for any counts are complete and not too long.
void lengths_complete() {
  std::vector<uint32_t> counts(2 + below(284));
  uint32_t a = 1, b = 1;
  const uint32_t kind = below(3);
  for (uint32_t& count : counts) {
    // Fibonacci numbers make the longest codes.
    count = kind == 0 ? below(4) : kind == 1 ? 1u << below(22) : a;
    std::tie(a, b) = std::make_pair(b, a + b < (1u << 22) ? a + b : 1u);
  }
  const uint32_t longest = counts.size() > 100 ? 15 : 7 + below(9);
  std::vector<uint8_t> lengths(counts.size());
  code_lengths(counts.data(), counts.size(), longest, lengths.data());
  uint64_t used = 0;
  size_t symbols = 0;
  for (size_t s = 0; s < counts.size(); s++) {
    if ((counts[s] > 0) != (lengths[s] > 0) || lengths[s] > longest) std::abort();
    if (lengths[s] == 0) continue;
    symbols++;
    used += uint64_t{1} << (longest - lengths[s]);
  }
  if (symbols > 1 && used != uint64_t{1} << longest) std::abort();
}

// Text with positions that no match may cover, compressed and decompressed; several texts by one matcher.
void deflate_text(Gzip& gzip, Matcher& matcher) {
  const uint32_t size = 1 + below(below(8) == 0 ? 70000 : 2000);
  Bytes text(size + 8);
  const uint32_t letters = 1 + below(below(2) == 0 ? 4 : 255);
  for (uint32_t i = 0; i < size; i++) {
    const uint32_t back = 1 + below(300);
    text[i] = static_cast<uint8_t>(below(3) == 0 || back > i ? below(letters) : text[i - back]);
  }
  std::vector<uint8_t> runs(size + 8);
  const uint32_t step = below(4) == 0 ? 3000 : 60;
  for (uint32_t i = below(50); i < size; i += 1 + below(step)) runs[i] = 1;  // a stop, for now
  uint32_t left = 0;
  for (uint32_t i = size; i-- > 0;) {
    left = runs[i] == 1 ? 0 : std::min(left + 1, 255u);
    runs[i] = static_cast<uint8_t>(left);
  }
  matcher.open(text.data(), runs.data(), size);
  std::vector<Token> tokens;
  SymbolCounts counts;
  for (uint32_t from = 0; from < size;) {
    uint32_t to = from;
    while (to < size && runs[to] > 0) to++;
    matcher.cut(from, to, tokens, counts);
    if (to < size) {
      tokens.push_back(text[to]);
      counts.litlen[text[to]]++;
    }
    from = to + 1;
  }
  counts.litlen[kEndOfBlock]++;
  const BlockCodes codes = BlockCodes::from(counts);
  const BlockCodes& block = below(4) == 0 ? BlockCodes::fixed() : codes;
  const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
  Buffer stored;
  stored.append(head, sizeof head);
  BitWriter bits(stored);
  block.write_header(bits, true);
  uint32_t place = 0;
  for (const Token token : tokens) {
    if (token < kMatchToken) {
      bits.put(block.litlen[token]);
      place++;
      continue;
    }
    const uint32_t length = token_length(token), distance = token_distance(token);
    if (length < kMinMatch || distance > place) std::abort();
    if (runs[place] < length || runs[place - distance] < length) std::abort();
    block.write_length(bits, length);
    block.write_distance(bits, distance);
    place += length;
  }
  if (place != size) std::abort();
  bits.put(block.litlen[kEndOfBlock]);
  bits.finish();
  const uint32_t tail[] = {crc32_of(0, text.data(), size), size};
  stored.append(tail, sizeof tail);
  Buffer plain;
  gzip.inflate(stored.data(), stored.size, plain);
  if (plain.size != size || std::memcmp(plain.data(), text.data(), size) != 0) std::abort();
}

// A valid record: its base tile equals the original tile, and the filled tile equals the rewritten one.
bool fill_sound(Gzip& gzip, RecordMaker& maker) {
  std::vector<uint8_t> index(kRows), seen(kRows), seen_rewritten(kRows);
  const uint32_t crops = 1 + below(below(3) == 0 ? 200 : 6);
  const uint32_t none_share = below(3) == 0 ? 0 : 1 + below(10);
  for (uint8_t& entry : index) entry = static_cast<uint8_t>(below(10) < none_share ? 0 : 1 + below(crops));
  std::vector<uint32_t> codes, palette;
  Bytes values;
  std::vector<int32_t> offsets{0};
  for (uint32_t c = 0; c < crops; c++) {
    codes.push_back(c * (kSlotClasses / crops) + below(kSlotClasses / crops));
    palette.push_back(c);
    values.push_back(5 << 3);
    put_number(values, codes.back());
    offsets.push_back(static_cast<int32_t>(values.size()));
  }
  Buffer from, record, base, filled, plain, rewritten;
  const Bytes bytes = tile(true);
  from.append(bytes.data(), bytes.size());
  const bool is_record = maker.append(from.data(), from.size, record);
  BaseTileReader(kLayers, kRows).read(record.data(), record.size, gzip, base);
  if (features_of(base) != features_of(from)) std::abort();
  if (!is_record) return false;
  RecordFiller filler({seen.data(), seen.data()}, kRows);
  filler.open(record.data(), record.size);
  Bytes room(filler.max_bytes());
  const YearCrops year{index.data(), nullptr, codes.data(), crops};
  const size_t size = filler.fill(year, true, room.data(), room.size());
  if (size == 0) return false;
  gzip.inflate(room.data(), size, plain);
  std::vector<AttributeColumn> columns(1);
  columns[0].keys = {"crop_code"};
  columns[0].narrow = index.data();
  columns[0].palette = palette.data();
  columns[0].entries = crops;
  TileRewriter rewriter({{"fields", seen_rewritten.data()}, {"centroids", seen_rewritten.data()}},
                        {values.data(), offsets.data(), crops}, kRows);
  rewriter.rewrite(from.data(), from.size, columns, true, rewritten);
  if (features_of(plain) != features_of(rewritten) || seen != seen_rewritten) std::abort();
  return true;
}

// A damaged tile, or the damaged record of a valid one, with a correct checksum.
void fill_damaged(Gzip& gzip, RecordMaker& maker) {
  Buffer made, plain;
  try {
    const Bytes bytes = tile(below(4) != 0);
    if (!maker.append(bytes.data(), bytes.size(), made)) return;
  } catch (const TileError&) {
    return;
  }
  Bytes record(made.data(), made.data() + made.size);
  flip_bits(record, 8);
  if (below(8) == 0) record.resize(8 + below(static_cast<uint32_t>(record.size() - 8)));
  const uint32_t check = crc32_of(crc32_of(0, record.data(), 4), record.data() + 8, record.size() - 8);
  std::memcpy(record.data() + 4, &check, 4);
  record.shrink_to_fit();
  std::vector<uint8_t> index(kRows), seen(kRows);
  for (uint8_t& entry : index) entry = static_cast<uint8_t>(below(4));
  const uint32_t codes[] = {1, 5, 176};
  try {
    BaseTileReader(kLayers, kRows).read(record.data(), record.size(), gzip, plain);
  } catch (const std::runtime_error&) {
  }
  try {
    RecordFiller filler({seen.data(), seen.data()}, kRows);
    filler.open(record.data(), record.size());
    if (filler.max_bytes() > size_t{1} << 24) return;
    Bytes room(filler.max_bytes());
    filler.fill({index.data(), nullptr, codes, 3}, true, room.data(), room.size());
  } catch (const RecordError&) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? std::atol(argv[1]) : 10000;
  engine.seed(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  long rewritten = 0, corrupt = 0, filled = 0, others = 0;
  Gzip gzip(5);
  Matcher matcher;
  RecordMaker maker(kLayers, "crop_code", kRows);
  for (long round = 0; round < rounds; round++) {
    (rewrite_tile(gzip) ? rewritten : corrupt)++;
    (fill_sound(gzip, maker) ? filled : others)++;
    fill_damaged(gzip, maker);
    lengths_complete();
    deflate_text(gzip, matcher);
  }
  std::printf("tiles rewritten %ld, corrupt %ld; records filled %ld, others %ld\n", rewritten, corrupt, filled, others);
  std::printf("executions %ld\n", 5 * rounds);
  return 0;
}
