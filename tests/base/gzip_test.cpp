#include "genai/base/gzip.h"

#include <zlib.h>

#include "genai/base/packers.h"
#include "temp_folder.h"

namespace genai {
namespace {

std::string pack(std::string_view bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(bytes.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string sample(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 1;
  for (char& c : bytes) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 28);
  return bytes;
}

TEST(Gzip, RoundTrip) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{65536}, size_t{300'000}}) {
    const std::string bytes = sample(size);
    EXPECT_EQ(gunzip(pack(bytes), size, "x.gz"), bytes) << size;
  }
  EXPECT_TRUE(is_gzip(pack("a")));
  EXPECT_FALSE(is_gzip("\x1f"));
  EXPECT_FALSE(is_gzip("hello"));
}

TEST(Gzip, BombStopsAtTheCap) {
  const std::string bomb = pack(std::string(20'000'000, '\0'));
  EXPECT_LT(bomb.size(), 30'000u);
  expect_error(ErrorKind::data, "bomb.gz: it expands to more than the expected 1000 bytes",
               [&] { gunzip(bomb, 1000, "bomb.gz"); });
  expect_error(ErrorKind::data, "more than the expected 19999999 bytes",
               [&] { gunzip(bomb, 19'999'999, "bomb.gz"); });
}

TEST(Gzip, EveryTruncationIsFound) {
  const std::string packed = pack(sample(500));
  for (size_t size = 0; size < packed.size(); ++size)
    expect_error(ErrorKind::data, "x.gz", [&] { gunzip(packed.substr(0, size), 500, "x.gz"); });
}

TEST(Gzip, NoBitFlipChangesTheContent) {
  const std::string bytes = sample(300), packed = pack(bytes);
  for (size_t bit = 0; bit < packed.size() * 8; ++bit) {
    std::string broken = packed;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    const size_t byte = bit / 8;
    try {
      EXPECT_EQ(gunzip(broken, 300, "x.gz"), bytes) << "bit " << bit;
      // Not protected by the format: flags, time and system; the padding after the last code.
      EXPECT_TRUE((byte >= 3 && byte <= 9) || byte == packed.size() - 9) << "bit " << bit;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
    }
  }
}

TEST(Gzip, MembersFollowEachOther) {
  const std::string empty = pack(""), a = pack("abc"), b = pack(sample(70'000));
  EXPECT_EQ(gunzip(a + a, 6, "x.gz"), "abcabc");
  EXPECT_EQ(gunzip(empty + a + empty + b + empty, 80'000, "x.gz"), "abc" + sample(70'000));
  EXPECT_EQ(gunzip(a + std::string(1000, '\0'), 3, "x.gz"), "abc");
  expect_error(ErrorKind::data, "more than the expected 5 bytes",
               [&] { gunzip(a + a, 5, "x.gz"); });
  expect_error(ErrorKind::data, "truncated", [&] { gunzip(a + a.substr(0, 15), 9, "x.gz"); });
  std::string broken = a + a;
  broken[a.size() + 12] = static_cast<char>(broken[a.size() + 12] ^ 1);
  expect_error(ErrorKind::data, "damaged", [&] { gunzip(broken, 9, "x.gz"); });
}

TEST(Gzip, NothingElseMayFollow) {
  const std::string packed = pack("abc");
  expect_error(ErrorKind::data, "found 1 more bytes", [&] { gunzip(packed + "x", 9, "x.gz"); });
  expect_error(ErrorKind::data, "found 3 more bytes",
               [&] { gunzip(packed + packed + std::string("\0\0x", 3), 9, "x.gz"); });
  expect_error(ErrorKind::data, "gzip header", [&] { gunzip("plain text", 9, "x.gz"); });
}

TEST(Gzip, WhatIsPackedComesBack) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += concat(i * 7919 % 1000, " ");
  for (const std::string& bytes : {std::string(), std::string("a"), std::string(3, '\0'), text}) {
    const std::string packed = gzip(bytes);
    EXPECT_TRUE(is_gzip(packed));
    EXPECT_EQ(gunzip(packed, bytes.size(), "x"), bytes);
    EXPECT_EQ(gzip(bytes), packed);
  }
  EXPECT_LT(gzip(text).size(), text.size() / 2);
}

TEST(Packers, AreNamedAndPack) {
  const std::string zeros(100'000, '\0');
  std::vector<std::string> names;
  for (const PackedSize& packed : packed_sizes(zeros)) {
    names.push_back(packed.packer);
    EXPECT_LT(packed.bytes, 300u) << packed.packer;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"gzip", "bzip2", "xz"}));
  for (const PackedSize& packed : packed_sizes("")) EXPECT_GT(packed.bytes, 0u) << packed.packer;
}

}  // namespace
}  // namespace genai
