#include "genai/base/html.h"

#include "genai/base/json.h"

namespace genai {
namespace {

/// As the JSON library sees it: what is not UTF-8 becomes U+FFFD.
std::string valid_utf8(std::string_view text) {
  const Json json = std::string(text);
  return Json::parse(json.dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

bool is_void(const std::string& name) {
  return name == "img" || name == "meta";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char c : valid_utf8(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        // DEL too; bytes of a longer character have their highest bit set.
        escaped += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? ' ' : c == 0x7F ? ' ' : c;
    }
  }
  return escaped;
}

std::string element(const std::string& name, const Attributes& attributes,
                    const std::string& content) {
  std::string text = "<" + name;
  for (const auto& [key, value] : attributes) text += " " + key + "=\"" + escape_html(value) + "\"";
  text += ">";
  return is_void(name) ? text : text + content + "</" + name + ">";
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += k <= n ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

}  // namespace genai
