// HTML as text, right by construction: what an element opens it closes, and texts are escaped.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace genai {

/// Any bytes as text for an element or an attribute: `&<>"'` as entities, bytes that are not UTF-8
/// as U+FFFD, control characters as spaces.
std::string escape_html(std::string_view text);

using Attributes = std::vector<std::pair<std::string, std::string>>;

/// <name key="value">content</name>; values are escaped here, the content is HTML already. An
/// element that HTML leaves open (img, meta) has no content.
std::string element(const std::string& name, const Attributes& attributes,
                    const std::string& content = "");

/// RFC 4648, section 4.
std::string base64(std::string_view bytes);

}  // namespace genai
