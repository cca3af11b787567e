// Precompressed tiles: vector tiles compressed once for all years, with gaps for a year's crop codes.
//
// A record's tile has the same length in every year. Each layer's values begin with `slots` slots for crops,
// `22 03 28 lo hi`, a class of up to 14 bits in two bytes; so the index of a crop is one byte, and nothing after it
// moves. Each feature's tags begin with the crop's pair. The gaps are the slots and three bytes of each feature:
// `N key D`, the tags' length, the crop's key, the index of its slot. For a row without a crop they are
// `N-2|80 80 00`, the length of the remaining tags, padded to the same size.
//
// The bytes between gaps are compressed once; no match covers or copies a slot or one of the three bytes. But bytes
// that end with `N key` are equal in most features: they are one match, copied from the last feature of the layer with
// the same N (if it is within reach). If only one of the two has no crop, a year writes a match that is two bytes
// shorter, and literals. (Always using literals would cost 4 %.)
//
// A record, little-endian, holds one tile:
//
//   u8  kind           kRecordKind; a tile that cannot be a record is stored as gzip, which begins with 1f
//   u8  layers, slots, blocks
//   u32 check          CRC-32 of all but these four bytes
//   u32 plain_size     bytes of the tile
//   u32 plain_crc      CRC-32 of the tile when `lo`, `hi` and `D` are 0 and every row has a crop
//   u32 static_bits
//   u32 slot_power     x^(8 d) mod the CRC's polynomial, d being the bytes behind the slots, summed over layers
//   u32 variants
//   slots x u8         the slot of the crop that is 1st, 2nd ... in the tile
//   blocks x slots x { u16 bits, u8 length }        code of each slot's index
//   variants x { u8 block, N, key, five codes, each u8 length, then whole bytes: of `N key`; of `N-2|80 80 00`; of
//                `00`; and, where a match ends with `N key`, of its length and of one that is shorter by these two }
//   layers x { u8 layer, u8 inline, u16 0, u32 slot_gap, u32 feature_gap, u32 features }   `inline`: slots are written
//                here, after `slot_gap` static bits; else they are copied from the layer before. `feature_gap`: static
//                bits from there to the layer's features
//   by layer, by feature { u32 row, u32 power, u32 gap << 13 | tail << 8 | variant }   `power`: as slot_power, d being
//                the bytes behind D; `gap`: static bits from the last feature to D; `tail`: how many of them are the
//                match's distance
//   static_bits, and 8 bytes of zeros
//
// The static bits are those of a tile in which every row has a crop.
#pragma once
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tiles/gzip.h"

namespace fields {

constexpr uint8_t kRecordKind = 1;
constexpr uint32_t kMaxSlots = 127;
// Classes from this one on do not fit into a slot.
constexpr uint32_t kSlotClasses = 1 << 14;

// A damaged record.
struct RecordError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline bool is_gzip_tile(const uint8_t* record, size_t size) { return size > 0 && record[0] == 0x1f; }

// Number of slots for a tile whose largest layer has this many features.
uint32_t slots_for(uint32_t features);

constexpr uint32_t kTrialShare = 8;

// Makes records. Not thread-safe.
class RecordMaker {
 public:
  // `layers`: names of all that tiles may have; `key`: of the attribute that features get. Feature ids are below
  // `rows`.
  RecordMaker(std::vector<std::string> layers, std::string key, uint64_t rows);
  ~RecordMaker();

  // Append the record of an uncompressed tile. One record of kTrialShare is filled with some crops and decompressed, so
  // that a mistake here is found before a year is. A tile that no record can hold (unknown fields, tags of more than
  // 127 bytes, 64 KiB of geometry in one feature) is appended as gzip: false. Throws TileError where it is no tile, or
  // has the attribute already.
  bool append(const uint8_t* tile, size_t size, Buffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A year's crops.
struct YearCrops {
  // By row, either bytes or 16-bit words: 0 for none, else 1 + a place in `codes`.
  const uint8_t* narrow = nullptr;
  const uint16_t* wide = nullptr;
  const uint32_t* codes = nullptr;
  uint32_t entries = 0;
  // Mask of a row's bits that count.
  uint32_t row_mask = UINT32_MAX;

  uint32_t at(uint32_t row) const {
    row &= row_mask;
    return narrow != nullptr ? narrow[row] : wide != nullptr ? wide[row] : 0;
  }
};

// Fills records. Not thread-safe.
class RecordFiller {
 public:
  // `seen`: by layer, a byte a row, set to 1 for every feature of a marked tile; threads share it.
  RecordFiller(std::vector<uint8_t*> seen, uint64_t rows);
  ~RecordFiller();

  // Read a record, which must outlive the filling. Throws RecordError.
  void open(const uint8_t* record, size_t size);
  // Of the current record: the number of slots, and the maximum size of its tile in bytes.
  uint32_t slots() const;
  size_t max_bytes() const;
  // Write the year's tile as gzip, and return its size; 0: it has more crops than slots, or one that fits no slot.
  // Throws RecordError where `capacity` is less than `max_bytes`.
  size_t fill(const YearCrops& year, bool mark, uint8_t* to, size_t capacity);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fields
