// Swap templates: vector tiles compressed once for all years, in which only the codes of a year's crops are open.
//
// A tile that a template makes has the same length in every year. Each layer's values begin with `slots` places for
// crops, `22 03 28 lo hi`, a class of up to 14 bits in two bytes; so the index of a crop is one byte, and what follows
// does not move. Each feature's tags begin with the crop's pair. Open are the slots, and three bytes of each feature:
// `N key D`, the tags' length, the crop's key, the index of its slot. Where a row has no crop they are
// `N-2|80 80 00`, the length of the tags that remain, padded to as many bytes.
//
// No match of the compressed text covers or copies a slot or an index, so that their codes, and nothing else, are a
// year's. `N key` may be the end of a match, copied from another feature.
//
// A record, little-endian, holds one tile:
//
//   u32 check          CRC-32 of all that follows
//   u32 plain_size     bytes of the tile
//   u32 plain_crc      CRC-32 of the tile when `lo`, `hi` and `D` are 0
//   u32 static_bits
//   u32 slot_power     x^(8 d) mod the CRC's polynomial, d being the bytes behind the slots, summed over layers
//   u16 rows           different ones
//   u8  layers, slots, blocks, variants
//   u16 reserved
//   u32 row[rows], power[rows], null_change[rows]   `power`: as slot_power, d being the bytes behind each D of the row;
//                      `null_change`: how the CRC changes when the row has no crop
//   slots x u8         the slot of the crop that is 1st, 2nd ... in the tile
//   blocks x slots x { u16 bits, u8 length }        code of each slot's index
//   variants x { u8 block, five codes, each u8 length, then whole bytes: of `N key`; of `N-2|80 80 00`; of `00`; and,
//   where a
//                match ends with `N key`, of its length and of one that is shorter by these two }
//   layers x { u8 layer, u8 inline, u32 gap, u32 features }   `inline`: slots are written here, after `gap` static bits
//   by layer, u32 gap << 8 | variant of each feature: static bits between the indexes
//   by layer, u16 place of each feature's row in `row`
//   by layer, u16 back: which feature before this one `N key` is copied from, 0 for literals
//   by layer, u8 bits of the match's distance, which lie before the index
//   static_bits, and 8 bytes of zeros
//
// The static bits are those of a tile in which every row has a crop. A feature without one has its own end of the bits
// before the index: literals, and a match that is shorter by two when only one of the two features has a crop.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tiles/gzip.h"

namespace fields {

constexpr uint32_t kMostSlots = 127, kMostVariants = 256 - 1, kMostTemplateRows = 65535;
// Classes from here on do not fit a slot.
constexpr uint32_t kSlotClasses = 1 << 14;

// A record that cannot be what was written.
struct TemplateError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// How many different crops a tile of so many rows may have.
uint32_t slots_for(uint32_t rows);

// Makes records. Not for several threads at once.
class TemplateMaker {
 public:
  // `layers`: names of those that tiles may have; `key`: of the attribute that features get.
  TemplateMaker(std::vector<std::string> layers, std::string key, uint64_t rows);
  ~TemplateMaker();

  // Appends the record of a plain tile, nothing where a template cannot take it: it is not as tippecanoe writes tiles.
  // Throws TileError where it is no tile.
  bool make(const uint8_t* tile, size_t size, Buffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A year's crops.
struct TemplateYear {
  // By row, either bytes or 16-bit words: 0 for none, else 1 + a place in `codes`.
  const uint8_t* narrow = nullptr;
  const uint16_t* wide = nullptr;
  const uint32_t* codes = nullptr;
  uint32_t entries = 0;

  uint32_t at(uint32_t row) const { return narrow != nullptr ? narrow[row] : wide[row]; }
};

// Fills records. Not for several threads at once.
class TemplateFiller {
 public:
  // `seen`: by layer, a byte a row, set to 1 for every feature of a marked tile; threads share it.
  TemplateFiller(std::vector<uint8_t*> seen, uint64_t rows);
  ~TemplateFiller();

  // Read a record, which is kept as long as it is filled. Throws TemplateError.
  void open(const uint8_t* record, size_t size);
  // What the record that is open can take at most.
  size_t most_bytes() const;
  // Write the year's tile as gzip, and tell its size; 0: it has more crops than slots, or one that fits no slot. Throws
  // TemplateError where the room is less than `most_bytes`.
  size_t fill(const TemplateYear& year, bool mark, uint8_t* to, size_t room);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fields
