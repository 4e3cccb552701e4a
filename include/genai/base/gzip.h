// Strict gzip reading (RFC 1952, by zlib).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace genai {

/// Do the bytes start like gzip?
bool is_gzip(std::string_view bytes);

/// The content of exactly one gzip member, its CRC and length verified. Throws ErrorKind::data,
/// naming `name`, when it is damaged or truncated, expands beyond `max_output` bytes (never more
/// than that is allocated), or is followed by further bytes.
std::string gunzip(std::string_view bytes, uint64_t max_output, const std::string& name);

}  // namespace genai
