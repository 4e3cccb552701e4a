// What compress writes: bytes as they are, and as the header of a file whose checksum is right,
// with the code behind a zero byte.
#include "genai/compression/archive.h"

#include "fuzz.h"
#include "genai/base/bytes.h"
#include "genai/base/gzip.h"
#include "genai/base/hash.h"

using namespace genai;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = view(data, size);
  reads([&] { read_archive(bytes, "fuzz"); });
  const std::string header = gzip(take_until(bytes, '\0'));
  std::string file = "\x89genai\r\n";
  append_little_endian(1, 4, file);
  append_little_endian(header.size(), 4, file);
  file.append(header).append(bytes);
  file += sha256(file);
  Archive archive;
  if (!reads([&] { archive = read_archive(file, "fuzz"); })) return 0;
  promise(archive.code == bytes, "the code is what lies behind the header");
  promise(read_archive(write_archive(archive), "again") == archive,
          "an archive is the same after writing and reading");
  return 0;
}
