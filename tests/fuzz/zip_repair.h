// Makes ZIPs of bytes that nearly are, since a fuzzer does not guess checksums and offsets.
#pragma once
#include <zlib.h>

#include <string>
#include <string_view>

#include "fuzz.h"

namespace genai {

inline std::string zip_number(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

/// A ZIP of files that lie one behind the other in `bytes`, each as a byte that says how it is
/// stored (1: deflated, of what zlib makes; 2: deflated, the bytes as they are; 4: flagged as
/// encrypted; 8: a wrong size; else stored), its name and its content, both ended by a zero byte.
inline std::string zip_of(std::string_view bytes) {
  std::string zip, directory;
  int count = 0;
  for (; !bytes.empty() && count < 100; ++count) {
    const uint8_t how = take_byte(bytes);
    const std::string name(take_until(bytes, '\0'));
    const std::string content(take_until(bytes, '\0'));
    std::string stored = content;
    if (how & 1) {
      uLongf size = compressBound(content.size());
      std::string out(size, '\0');
      compress(reinterpret_cast<Bytef*>(out.data()), &size,
               reinterpret_cast<const Bytef*>(content.data()), content.size());
      stored = out.substr(2, size - 6);  // without zlib's own header and checksum
    }
    const uLong sum =
        crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
    // APPNOTE 6.3.10, sections 4.3.7 and 4.3.12: what both headers of a file hold.
    const std::string header = zip_number(20, 2) + zip_number(how & 4 ? 1 : 0, 2) +
                               zip_number(how & 3 ? 8 : 0, 2) + zip_number(0, 4) +
                               zip_number(sum, 4) + zip_number(stored.size(), 4) +
                               zip_number(content.size() + (how & 8 ? 1'000'000'000 : 0), 4) +
                               zip_number(name.size(), 2) + zip_number(0, 2);
    directory += "PK\1\2" + zip_number(20, 2) + header + std::string(10, '\0') +
                 zip_number(zip.size(), 4) + name;
    zip += "PK\3\4" + header + name + stored;
  }
  const size_t start = zip.size();
  return zip + directory + "PK\5\6" + zip_number(0, 4) +
         zip_number(static_cast<uint64_t>(count), 2) + zip_number(static_cast<uint64_t>(count), 2) +
         zip_number(directory.size(), 4) + zip_number(start, 4) + zip_number(0, 2);
}

}  // namespace genai
