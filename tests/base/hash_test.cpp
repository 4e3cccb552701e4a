#include "genai/base/hash.h"

#include "temp_folder.h"

namespace genai {
namespace {

// FIPS 180-4 examples.
constexpr const char* kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kMillionA =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Hash, Sha256) {
  EXPECT_EQ(sha256(""), kEmpty);
  EXPECT_EQ(sha256("abc"), kAbc);
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')), kMillionA);
}

TEST(Hash, Sha256OfFiles) {
  TempFolder folder;
  put(folder / "empty", "");
  put(folder / "a", std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_file(folder / "empty"), kEmpty);
  EXPECT_EQ(sha256_file(folder / "a"), kMillionA);
  expect_error(ErrorKind::data, "No such file", [&] { sha256_file(folder / "none"); });
  expect_error(ErrorKind::data, "Is a directory", [&] { sha256_file(folder.path()); });
}

TEST(Hash, Crc32c) {  // RFC 3720, B.4
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xE3069283u);
}

}  // namespace
}  // namespace genai
