// The file that `compress` writes: what a model's code is wrapped in.
//
//   8 bytes   the mark "\x89genai\r\n"
//   4 bytes   the version of the format; this and the next with the lowest byte first
//   4 bytes   the size of the header
//             the header, JSON packed by gzip
//             the code (core/ans.h)
//   64 bytes  SHA-256 of all that is before, in hexadecimal digits
//
// The header says which model is needed and what is inside, so that a file of another model, one
// that is damaged and one that lies about its sizes are told before anything is decoded.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "genai/base/error.h"

namespace genai {

struct ArchiveItem {
  enum class Kind {
    text,     ///< bytes of any kind
    picture,  ///< comes back as a PNG
    idx,      ///< images in a file of MNIST's format
  };
  Kind kind = Kind::text;
  std::string name;     ///< of a file: no folder before it
  int64_t size = 0;     ///< bytes of a text, images of IDX, 1 for a picture
  int64_t symbols = 0;  ///< of a text: what it was coded as, no more than its bytes

  bool operator==(const ArchiveItem&) const = default;
};

struct Archive {
  std::string weights_sha256;  ///< of the model
  std::string arithmetic;      ///< what it was computed with: for messages
  std::string content_sha256;  ///< of all items, one after the other, as they were given
  std::vector<ArchiveItem> items;
  std::string code;

  bool operator==(const Archive&) const = default;
};

/// The bytes of all texts together, and the images of all pictures.
inline constexpr int64_t kMostText = int64_t{1} << 26, kMostImages = int64_t{1} << 24;

/// Throws Error{usage} for a name that no archive may hold (check_item_name) or that is there
/// twice.
void check_items(const std::vector<ArchiveItem>& items);

/// Throws what check_items throws.
std::string write_archive(const Archive& archive);

/// Does a file begin like one?
bool is_archive(std::string_view bytes);

/// Bytes of one, at most.
inline constexpr uint64_t kMostArchive = uint64_t{1} << 31;

/// Takes no more memory than a few times the size of `bytes`. Throws Error{data} naming `name`: no
/// archive, one of another version, damaged, or with sizes and names that none of ours has.
Archive read_archive(std::string_view bytes, const std::string& name);

/// Throws Error{kind} unless it is UTF-8 of 1 to 255 bytes, without '/', '\' and control
/// characters, and neither "." nor "..": nothing that leaves a folder.
void check_item_name(const std::string& name, ErrorKind kind);

}  // namespace genai
