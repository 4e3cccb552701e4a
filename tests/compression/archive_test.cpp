#include "genai/compression/archive.h"

#include <gtest/gtest.h>

#include "base/temp_folder.h"
#include "genai/base/bytes.h"
#include "genai/base/gzip.h"
#include "genai/base/hash.h"

namespace genai {
namespace {

using Kind = ArchiveItem::Kind;

Archive small() {
  return {.weights_sha256 = std::string(64, 'a'),
          .arithmetic = "genai",
          .content_sha256 = std::string(64, 'b'),
          .items = {{.kind = Kind::text, .name = "a.txt", .size = 30, .symbols = 20},
                    {.kind = Kind::text, .name = "empty", .size = 0, .symbols = 0}},
          .code = std::string("0123456789ab\0", 13)};
}

/// As write_archive, around any header.
std::string with_header(const std::string& header, uint32_t version = 1) {
  const std::string packed = gzip(header);
  std::string bytes = "\x89genai\r\n";
  append_little_endian(version, 4, bytes);
  append_little_endian(packed.size(), 4, bytes);
  bytes += packed + "code";
  return bytes + sha256(bytes);
}

std::string header(const std::string& items) {
  return R"({"weights_sha256": "a", "arithmetic": "b", "content_sha256": "c", "items": )" + items +
         "}";
}

TEST(ArchiveFile, IsTheSameAfterWritingAndReading) {
  const Archive archive = small();
  const std::string bytes = write_archive(archive);
  EXPECT_EQ(read_archive(bytes, "x"), archive);
  Archive pictures = archive;
  pictures.items = {{.kind = Kind::picture, .name = "a.png", .size = 1},
                    {.kind = Kind::idx, .name = "t10k", .size = 10'000}};
  EXPECT_EQ(read_archive(write_archive(pictures), "x"), pictures);
}

TEST(ArchiveFile, EveryTruncationAndEveryFlippedBitIsRefused) {
  const std::string bytes = write_archive(small());
  for (size_t size = 0; size < bytes.size(); ++size) {
    expect_error(ErrorKind::data, "x: ", [&] { read_archive(bytes.substr(0, size), "x"); });
  }
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    expect_error(ErrorKind::data, "x: ", [&] { read_archive(flipped, "x"); });
  }
  expect_error(ErrorKind::data, "damaged", [&] { read_archive(bytes + "0", "x"); });
}

TEST(ArchiveFile, AnotherVersionAndOtherFilesAreNamed) {
  expect_error(ErrorKind::data, "version 2",
               [] { read_archive(with_header(header("[]"), 2), "x"); });
  expect_error(ErrorKind::data, "something else", [] { read_archive("PK\x03\x04 a ZIP", "x"); });
  expect_error(ErrorKind::data, "an empty one", [] { read_archive("", "x"); });
}

TEST(ArchiveFile, LyingSizesAreRefused) {
  const auto refuse = [](const std::string& part, const std::string& items) {
    expect_error(ErrorKind::data, part, [&] { read_archive(with_header(header(items)), "x"); });
  };
  const std::string far = "1152921504606846976";  // 2^60
  refuse("'size'", R"([{"name": "a", "kind": "text", "size": )" + far + R"(, "symbols": 1}])");
  refuse("'size'", R"([{"name": "a", "kind": "idx", "size": )" + far + "}]");
  refuse("'symbols'", R"([{"name": "a", "kind": "text", "size": 3, "symbols": )" + far + "}]");
  refuse("'symbols'", R"([{"name": "a", "kind": "text", "size": 3, "symbols": 4}])");
  refuse("'symbols'", R"([{"name": "a", "kind": "text", "size": 3, "symbols": 0}])");
  refuse("'size'", R"([{"name": "a", "kind": "text", "size": -1, "symbols": 0}])");
  refuse("'size'", R"([{"name": "a", "kind": "text", "size": 1e3, "symbols": 1}])");
  const std::string most = R"("kind": "text", "size": 67108864, "symbols": 9)";
  refuse("more than", R"([{"name": "a", )" + most + R"(}, {"name": "b", )" + most + "}]");
  refuse("texts or pictures", "[]");
  refuse(
      "texts or pictures",
      R"([{"name": "a", "kind": "picture"}, {"name": "b", "kind": "text", "size": 0, "symbols": 0}])");
  refuse("unknown kind", R"([{"name": "a", "kind": "video"}])");
  // Of the header itself, and of what it unpacks to.
  std::string bytes = "\x89genai\r\n";
  append_little_endian(1, 4, bytes);
  append_little_endian(0xffffffff, 4, bytes);
  expect_error(ErrorKind::data, "should have 4294967295 bytes",
               [&] { read_archive(bytes + sha256(bytes), "x"); });
  expect_error(ErrorKind::data, "expands",
               [] { read_archive(with_header(std::string(80'000'000, ' ')), "x"); });
  expect_error(ErrorKind::data, "none of ours", [] { read_archive(with_header("{}"), "x"); });
}

TEST(ArchiveFile, NamesThatLeaveTheFolderAreRefused) {
  for (const char* name : {"", ".", "..", "../a", "/etc/passwd", "a/b", "a\\\\b", "a\\nb"}) {
    expect_error(ErrorKind::data, "is no name", [&] {
      read_archive(with_header(header(concat(R"([{"kind": "picture", "name": ")", name, R"("}])"))),
                   "x");
    });
  }
  expect_error(ErrorKind::data, "is no name",
               [] { check_item_name(std::string(256, 'a'), ErrorKind::data); });
  check_item_name("größe 1.txt", ErrorKind::data);
  Archive twice = small();
  twice.items[1].name = "a.txt";
  expect_error(ErrorKind::usage, "two files", [&] { write_archive(twice); });
  expect_error(ErrorKind::data, "two items", [] {
    read_archive(with_header(header(
                     R"([{"kind": "picture", "name": "a"}, {"kind": "picture", "name": "a"}])")),
                 "x");
  });
}

}  // namespace
}  // namespace genai
