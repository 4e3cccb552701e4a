// SHA-256 (FIPS 180-4, by OpenSSL) for files, CRC-32C (Castagnoli, RFC 3720) for TensorBoard and
// lines of logs.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace genai {

/// 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);

/// The same of a file, read piece by piece. Throws ErrorKind::data when it cannot be read.
std::string sha256_file(const std::filesystem::path& path);

/// `seed`: the value of the bytes before these, so that crc32c(b, crc32c(a)) == crc32c(a + b).
uint32_t crc32c(std::string_view bytes, uint32_t seed = 0);

}  // namespace genai
