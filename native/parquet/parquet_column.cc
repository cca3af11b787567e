// Encodings.md of github.com/apache/parquet-format.
#include "parquet/parquet_column.h"

#include <algorithm>
#include <cstring>

#ifdef FIELDS_LIBDEFLATE
#include <libdeflate.h>
#endif

namespace fields {
namespace {

constexpr uint8_t kPlain = 0, kPlainDictionary = 2, kRle = 3, kDeltaPacked = 5, kDeltaLength = 6, kDeltaBytes = 7,
                  kRleDictionary = 8;

[[noreturn]] void damaged(const char* what) { throw std::runtime_error(what); }

uint64_t read_varint(const uint8_t*& at, const uint8_t* end) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at == end) damaged("values are cut short");
    const uint8_t next = *at++;
    value |= static_cast<uint64_t>(next & 127) << shift;
    if (next < 128) return value;
  }
  damaged("a number is too long");
}

int64_t read_zigzag(const uint8_t*& at, const uint8_t* end) {
  const uint64_t value = read_varint(at, end);
  return static_cast<int64_t>((value >> 1) ^ (0 - (value & 1)));
}

// Number i of bit-packed numbers of `width` bits (at most 64), lowest bit first. Bits beyond `end` are 0.
uint64_t packed(const uint8_t* at, const uint8_t* end, uint64_t i, uint32_t width) {
  const uint64_t bit = i * width;
  const auto left = static_cast<uint64_t>(end - at);
  const uint64_t byte = bit >> 3;
  if (byte >= left) return 0;
  const uint32_t shift = bit & 7;
  uint64_t low = 0, high = 0;
  std::memcpy(&low, at + byte, std::min<uint64_t>(8, left - byte));
  if (shift + width > 64 && byte + 8 < left) high = at[byte + 8];
  uint64_t value = low >> shift;
  if (shift > 0) value |= high << (64 - shift);
  return width == 64 ? value : value & ((uint64_t{1} << width) - 1);
}

// Runs and bit-packed groups of eight; exactly `count` values.
void read_hybrid(const uint8_t* at, const uint8_t* end, uint32_t width, size_t count, std::vector<uint32_t>& out) {
  out.resize(count);
  for (size_t done = 0; done < count;) {
    const uint64_t head = read_varint(at, end);
    const uint64_t length = head >> 1;
    if ((head & 1) != 0) {
      if (length == 0) damaged("an empty run of values");
      // Some writers pad the last group, even with whole groups; others cut it after the last value.
      const size_t n = length > count ? count - done : std::min<uint64_t>(length * 8, count - done);
      if ((n * width + 7) / 8 > static_cast<size_t>(end - at)) damaged("values are cut short");
      for (size_t i = 0; i < n; i++) out[done + i] = static_cast<uint32_t>(packed(at, end, i, width));
      const auto left = static_cast<uint64_t>(end - at);
      if (width > 0) at += length > left ? left : std::min<uint64_t>(length * width, left);
      done += n;
    } else {
      const uint32_t size = (width + 7) / 8;
      if (size > static_cast<size_t>(end - at)) damaged("values are cut short");
      uint32_t value = 0;
      std::memcpy(&value, at, size);
      at += size;
      if (length == 0) damaged("an empty run of values");
      const size_t n = std::min<uint64_t>(length, count - done);
      std::fill_n(out.begin() + static_cast<ptrdiff_t>(done), n, value);
      done += n;
    }
  }
}

// Exactly `count` numbers; advances `at`.
void read_deltas(const uint8_t*& at, const uint8_t* end, size_t count, std::vector<int64_t>& out) {
  const uint64_t block = read_varint(at, end), miniblocks = read_varint(at, end), total = read_varint(at, end);
  auto value = static_cast<uint64_t>(read_zigzag(at, end));
  if (block == 0 || block > (1u << 20) || miniblocks == 0 || block % miniblocks != 0 || block / miniblocks % 8 != 0) {
    damaged("blocks of deltas of a size that cannot be");
  }
  if (total != count) damaged("another number of values than rows");
  const size_t each = block / miniblocks;
  out.resize(count);
  if (count == 0) return;
  out[0] = static_cast<int64_t>(value);
  for (size_t done = 1; done < count;) {
    const auto least = static_cast<uint64_t>(read_zigzag(at, end));
    if (miniblocks > static_cast<size_t>(end - at)) damaged("values are cut short");
    const uint8_t* widths = at;
    at += miniblocks;
    for (size_t m = 0; m < miniblocks && done < count; m++) {
      const uint32_t width = widths[m];
      if (width > 64) damaged("a number is too long");
      const size_t n = std::min(each, count - done);
      const auto left = static_cast<size_t>(end - at);
      if ((n * width + 7) / 8 > left) damaged("values are cut short");
      for (size_t i = 0; i < n; i++) {
        value += least + packed(at, end, i, width);
        out[done + i] = static_cast<int64_t>(value);
      }
      at += std::min<size_t>(each * width / 8, left);
      done += n;
    }
  }
}

uint32_t crc_of(const uint8_t* bytes, size_t size) {
#ifdef FIELDS_LIBDEFLATE
  return libdeflate_crc32(0, bytes, size);
#else
  uint32_t crc = ~0u;
  for (size_t i = 0; i < size; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xedb88320u & (0 - (crc & 1)));
  }
  return ~crc;
#endif
}

}  // namespace

ColumnReader::ColumnReader(const File& file, const ColumnPart& part)
    : part_(part),
      decompressor_(part.codec),
      dictionary_(file, part.dictionary_offset, part.dictionary_offset + part.dictionary_bytes),
      pages_(file, part.offset, part.offset + part.bytes),
      skip_(part.skip),
      left_(part.rows) {}

bool ColumnReader::next(Rows& rows) {
  while (left_ > 0) {
    PageStream& pages = dictionary_.ended() ? pages_ : dictionary_;
    const uint64_t place = pages.offset();
    try {
      const PageHeader page = pages.header();
      const bool data = page.kind == PageKind::kData || page.kind == PageKind::kDataV2;
      if (data && page.values > part_.chunk_values) damaged("more values than rows");
      // A part that begins inside a chunk need not decode the pages before it.
      if (page.kind == PageKind::kIndex || (data && page.values <= skip_)) {
        if (data) skip_ -= page.values;
        pages.skip(page.compressed_bytes);
        continue;
      }
      const uint8_t* body = pages.peek(page.compressed_bytes);
      if (page.has_crc && crc_of(body, page.compressed_bytes) != page.crc) damaged("checksum differs");
      if (!data) {
        take_dictionary(page, body);
        pages.skip(page.compressed_bytes);
        continue;
      }
      decode(page, body);
      // Decoded values may point into `body`, which the stream keeps until the next read.
      pages.skip(page.compressed_bytes);
      const size_t n = std::min<uint64_t>(page.values - skip_, left_);
      rows = {n, present_.empty() ? nullptr : present_.data() + skip_,
              part_.type == PhysicalType::kByteArray ? bytes_.data() + skip_ : nullptr,
              part_.type == PhysicalType::kByteArray ? nullptr : integers_.data() + skip_};
      skip_ = 0;
      left_ -= n;
      return true;
    } catch (const UnsupportedParquet&) {
      throw;
    } catch (const std::runtime_error& error) {
      throw std::runtime_error("page at byte " + std::to_string(place) + ": " + error.what());
    }
  }
  return false;
}

// The decompressed page, without the levels of version 2.
const uint8_t* ColumnReader::plain_of(const PageHeader& page, const uint8_t* body, size_t& size) {
  if (page.level_bytes > page.compressed_bytes || page.level_bytes > page.plain_bytes)
    damaged("levels beyond the page");
  const uint8_t* from = body + page.level_bytes;
  const size_t from_size = page.compressed_bytes - page.level_bytes;
  size = page.plain_bytes - page.level_bytes;
  if (part_.codec == Codec::kNone || !page.compressed) {
    if (from_size != size) damaged("page is of another size than it says");
    return from;
  }
  if (size > capacity_) {
    plain_.reset(new uint8_t[size]);
    capacity_ = size;
  }
  if (size == 0 && from_size == 0) return from;
  if (!decompressor_.run(from, from_size, plain_.get(), size)) damaged("page cannot be decompressed");
  return plain_.get();
}

// Copied, because the next pages reuse the buffers.
void ColumnReader::take_dictionary(const PageHeader& page, const uint8_t* body) {
  if (has_dictionary_) damaged("a second dictionary");
  if (page.encoding != kPlain && page.encoding != kPlainDictionary) {
    throw UnsupportedParquet("encoding " + std::to_string(page.encoding) + " of a dictionary");
  }
  size_t size;
  const uint8_t* plain = plain_of(page, body, size);
  dictionary_plain_.reset(new uint8_t[size]);
  if (size > 0) std::memcpy(dictionary_plain_.get(), plain, size);
  decode_values(kPlain, dictionary_plain_.get(), size, page.values);
  bytes_.swap(dictionary_bytes_);
  integers_.swap(dictionary_integers_);
  has_dictionary_ = true;
}

void ColumnReader::decode(const PageHeader& page, const uint8_t* body) {
  size_t size;
  const uint8_t* at = plain_of(page, body, size);
  const size_t count = page.values;
  size_t there = count;
  present_.clear();
  if (part_.optional) {
    const uint8_t* levels = body;
    size_t level_bytes = page.level_bytes;
    if (page.kind == PageKind::kData) {
      if (page.level_encoding != kRle) throw UnsupportedParquet("levels that are not run-length encoded");
      uint32_t length;
      if (size < sizeof length) damaged("values are cut short");
      std::memcpy(&length, at, sizeof length);
      if (length > size - sizeof length) damaged("levels beyond the page");
      levels = at + sizeof length;
      level_bytes = length;
      at = levels + length;
      size -= sizeof length + length;
    }
    read_hybrid(levels, levels + level_bytes, 1, count, levels_);
    there = static_cast<size_t>(std::count(levels_.begin(), levels_.end(), 1u));
    if (there < count) {
      present_.resize(count);
      for (size_t i = 0; i < count; i++) present_[i] = levels_[i] == 1;
    }
  } else if (page.level_bytes > 0) {
    damaged("levels where none can be");
  }
  decode_values(page.encoding, at, size, there);
  if (there < count) spread(count);
}

void ColumnReader::decode_values(uint8_t encoding, const uint8_t* at, size_t size, size_t count) {
  const uint8_t* end = at + size;
  const bool text = part_.type == PhysicalType::kByteArray;
  if (count == 0) {
    bytes_.clear();
    integers_.clear();
    return;
  }
  if (encoding == kPlain && text) {
    if (count > size / 4) damaged("values are cut short");
    bytes_.resize(count);
    for (Bytes& value : bytes_) {
      uint32_t length;
      if (static_cast<size_t>(end - at) < sizeof length) damaged("values are cut short");
      std::memcpy(&length, at, sizeof length);
      at += sizeof length;
      if (length > static_cast<size_t>(end - at)) damaged("a value reaches beyond its page");
      value = {at, length};
      at += length;
    }
    return;
  }
  if (encoding == kPlain) {
    const size_t width = part_.type == PhysicalType::kInt32 ? 4 : 8;
    if (count > size / width) damaged("values are cut short");
    integers_.resize(count);
    if (width == 8) {
      if (count > 0) std::memcpy(integers_.data(), at, 8 * count);
    } else {
      for (size_t i = 0; i < count; i++) {
        int32_t value;
        std::memcpy(&value, at + 4 * i, 4);
        integers_[i] = part_.is_unsigned ? static_cast<int64_t>(static_cast<uint32_t>(value)) : value;
      }
    }
    return;
  }
  if (encoding == kRleDictionary || encoding == kPlainDictionary) {
    if (!has_dictionary_) damaged("no dictionary");
    const size_t entries = text ? dictionary_bytes_.size() : dictionary_integers_.size();
    text ? bytes_.resize(count) : integers_.resize(count);
    if (size == 0) damaged("values are cut short");
    if (*at > 32) damaged("a number is too long");
    read_hybrid(at + 1, end, *at, count, levels_);
    for (size_t i = 0; i < count; i++) {
      const uint32_t entry = levels_[i];
      if (entry >= entries) damaged("a value that the dictionary does not have");
      if (text) {
        bytes_[i] = dictionary_bytes_[entry];
      } else {
        integers_[i] = dictionary_integers_[entry];
      }
    }
    return;
  }
  if (encoding == kDeltaPacked && !text && part_.type != PhysicalType::kDouble) {
    read_deltas(at, end, count, integers_);
    if (part_.type == PhysicalType::kInt32) {
      // Sums wrap around at the column's width.
      for (int64_t& value : integers_) {
        const auto low = static_cast<uint32_t>(value);
        value = part_.is_unsigned ? static_cast<int64_t>(low) : static_cast<int32_t>(low);
      }
    }
    return;
  }
  if (encoding == kDeltaLength && text) {
    read_deltas(at, end, count, integers_);
    bytes_.resize(count);
    for (size_t i = 0; i < count; i++) {
      const int64_t length = integers_[i];
      if (length < 0 || length > end - at) damaged("a value reaches beyond its page");
      bytes_[i] = {at, static_cast<size_t>(length)};
      at += length;
    }
    return;
  }
  if (encoding == kDeltaBytes && text) {
    // Length of the prefix shared with the previous value, then the suffixes.
    read_deltas(at, end, count, suffixes_);
    read_deltas(at, end, count, integers_);
    size_t total = 0, before = 0, left = static_cast<size_t>(end - at);
    for (size_t i = 0; i < count; i++) {
      const int64_t prefix = suffixes_[i], rest = integers_[i];
      if (prefix < 0 || static_cast<uint64_t>(prefix) > before || rest < 0 || static_cast<uint64_t>(rest) > left) {
        damaged("a value reaches beyond its page");
      }
      left -= static_cast<size_t>(rest);
      before = static_cast<size_t>(prefix + rest);
      total += before;
      if (total > INT32_MAX) damaged("values of a page that are larger than a page can be");
    }
    joined_.resize(total);
    bytes_.resize(count);
    uint8_t* to = joined_.data();
    for (size_t i = 0; i < count; i++) {
      const auto prefix = static_cast<size_t>(suffixes_[i]), rest = static_cast<size_t>(integers_[i]);
      if (prefix > 0) std::memcpy(to, bytes_[i - 1].at, prefix);
      if (rest > 0) std::memcpy(to + prefix, at, rest);
      bytes_[i] = {to, prefix + rest};
      at += rest;
      to += prefix + rest;
    }
    return;
  }
  throw UnsupportedParquet("encoding " + std::to_string(encoding));
}

// Moves values to their rows, from the last one: each moves up or stays.
void ColumnReader::spread(size_t count) {
  const auto move = [&](auto& values, const auto& nothing) {
    size_t from = values.size();
    values.resize(count, nothing);
    for (size_t i = count; i-- > 0;) values[i] = present_[i] != 0 ? values[--from] : nothing;
  };
  part_.type == PhysicalType::kByteArray ? move(bytes_, Bytes{nullptr, 0}) : move(integers_, int64_t{0});
}

}  // namespace fields
