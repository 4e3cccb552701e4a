#include "genai/base/hash.h"

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "genai/base/error.h"

namespace genai {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void update(const void* bytes, size_t size) {
    check(EVP_DigestUpdate(context_.get(), bytes, size) == 1);
  }
  std::string hex() {
    std::array<unsigned char, 32> digest{};
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
    std::string text;
    for (const unsigned char byte : digest) {
      text += "0123456789abcdef"[byte >> 4];
      text += "0123456789abcdef"[byte & 15];
    }
    return text;
  }

 private:
  static void check(bool ok) {
    if (!ok) fail(ErrorKind::failure, "OpenSSL cannot compute SHA-256; check its installation");
  }
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

constexpr std::array<uint32_t, 256> crc32c_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0x82F63B78u : 0u);
    table[i] = value;
  }
  return table;
}

}  // namespace

std::string sha256(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes.data(), bytes.size());
  return hash.hex();
}

std::string sha256_file(const std::filesystem::path& path) {
  const auto cannot_read = [&] {
    fail(ErrorKind::data, "cannot read ", path, ": ", std::generic_category().message(errno),
         "; check the path");
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             std::fclose);
  if (!file) cannot_read();
  Sha256 hash;
  std::string piece(256 * 1024, '\0');
  while (const size_t n = std::fread(piece.data(), 1, piece.size(), file.get()))
    hash.update(piece.data(), n);
  if (std::ferror(file.get())) cannot_read();
  return hash.hex();
}

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
  static constexpr auto kTable = crc32c_table();
  uint32_t crc = ~seed;
  for (const char byte : bytes)
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
  return ~crc;
}

}  // namespace genai
