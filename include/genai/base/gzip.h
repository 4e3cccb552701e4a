// gzip (RFC 1952, by zlib), read strictly.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace genai {

/// Do the bytes start like gzip?
bool is_gzip(std::string_view bytes);

/// The content of all members of a gzip file, one after the other (as `cat a.gz b.gz`, bgzip and
/// pigz make them), each with its CRC and length verified; zeros behind the last one are padding.
/// Throws ErrorKind::data, naming `name`, when it is damaged or truncated, expands beyond
/// `max_output` bytes (never more than that is allocated), or is followed by other bytes.
std::string gunzip(std::string_view bytes, uint64_t max_output, const std::string& name);

/// The reverse, at the highest level. Equal bytes give equal bytes (with the same zlib).
std::string gzip(std::string_view bytes);

}  // namespace genai
