#include "genai/base/json.h"

#include <iterator>
#include <set>
#include <vector>

#include "genai/base/hash.h"

namespace genai {
namespace {

constexpr int kIndent = 1;

/// "line 3, column 14" of a byte offset.
std::string position(std::string_view text, size_t offset) {
  int line = 1, column = 1;
  for (size_t i = 0; i < offset && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return concat("line ", line, ", column ", column);
}

/// Walks through the text and tells how far the parser has read.
struct Cursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  const char** read;

  reference operator*() const { return *at; }
  Cursor& operator++() {
    *read = ++at;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at == other.at; }
};

/// nlohmann keeps the last of two equal keys without a word and parses any depth (but then
/// overflows the stack in copy and dump), so both are checked while parsing.
class StrictParse {
 public:
  StrictParse(std::string_view text, const std::string& name, ErrorKind kind, JsonLimits limits)
      : text_(text), name_(name), kind_(kind), limits_(limits), read_(text.data()) {}

  Json run() {
    // nlohmann takes a zero byte for the end.
    if (const size_t zero = text_.find('\0'); zero != std::string_view::npos) {
      fail(kind_, name_, ": not valid JSON at ", position(text_, zero), ": a zero byte");
    }
    const char* end = text_.data() + text_.size();
    try {
      return Json::parse(
          Cursor{text_.data(), &read_}, Cursor{end, &read_},
          [this](int depth, Json::parse_event_t event, Json& value) {
            on_event(depth, event, value);
            return true;
          },
          true, limits_.comments);
    } catch (const Json::parse_error& error) {
      fail(kind_, name_, ": not valid JSON at ", position(text_, error.byte ? error.byte - 1 : 0),
           ": ", reason(error.what()));
    } catch (const Json::exception& error) {
      fail(kind_, name_, ": not valid JSON at ", here(), ": ", reason(error.what()));
    }
  }

 private:
  std::string here() const {
    const auto offset = static_cast<size_t>(read_ - text_.data());
    return position(text_, offset ? offset - 1 : 0);
  }

  void on_event(int depth, Json::parse_event_t event, Json& value) {
    const bool opens = event == Json::parse_event_t::object_start ||
                       event == Json::parse_event_t::array_start;
    if (opens && depth >= limits_.depth) {
      fail(kind_, name_, ": nested deeper than ", limits_.depth, " levels at ", here());
    }
    switch (event) {
      case Json::parse_event_t::object_start:
        keys_.emplace_back();
        break;
      case Json::parse_event_t::object_end:
        keys_.pop_back();
        break;
      case Json::parse_event_t::key:
        if (!keys_.back().insert(value.get<std::string>()).second) {
          fail(kind_, name_, ": the key '", value.get<std::string>(), "' appears twice; keep one (",
               here(), ")");
        }
        break;
      case Json::parse_event_t::value:
        check_number(value);
        break;
      default:
        break;
    }
  }

  void check_number(const Json& value) {
    if (!value.is_number()) return;
    // An integer beyond 64 bits arrives here as a double: only its text tells.
    constexpr std::string_view kDigits = "0123456789+-.eE";
    std::string_view token = text_.substr(0, static_cast<size_t>(read_ - text_.data()));
    if (kDigits.find(token.back()) == std::string_view::npos) token.remove_suffix(1);
    token.remove_prefix(token.find_last_not_of(kDigits) + 1);  // npos + 1 is 0
    const bool rounded = value.is_number_float() && token.find_first_of(".eE") == token.npos;
    if (rounded || (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX})) {
      fail(kind_, name_, ": the integer ", token, " is beyond 64 bits (", here(), ")");
    }
  }

  static std::string reason(std::string what) {
    const size_t colon = what.rfind("; last read");
    const size_t start = what.find(": ", what.find("]"));
    if (colon != std::string::npos) what.resize(colon);
    return start == std::string::npos || start > what.size() ? what : what.substr(start + 2);
  }

  std::string_view text_;
  const std::string& name_;
  ErrorKind kind_;
  JsonLimits limits_;
  const char* read_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& name, ErrorKind kind, JsonLimits limits) {
  if (text.size() > limits.bytes) {
    fail(kind, name, ": ", text.size(), " bytes of JSON; at most ", limits.bytes, " are read");
  }
  return StrictParse(text, name, kind, limits).run();
}

std::string seal_json(const Json& content) {
  Json sealed;
  sealed["content"] = content;
  sealed["sha256"] = sha256(content.dump());
  return sealed.dump(kIndent) + "\n";
}

Json open_sealed_json(std::string_view text, const std::string& name, JsonLimits limits) {
  const Json sealed = parse_json(text, name, ErrorKind::data, limits);
  // Writing it again catches what a hash of the content cannot see: white space, number forms.
  const bool whole = sealed.is_object() && sealed.size() == 2 && sealed.contains("content") &&
                     sealed.contains("sha256") && sealed["sha256"].is_string() &&
                     sealed["sha256"].get<std::string>() == sha256(sealed["content"].dump()) &&
                     sealed.dump(kIndent) + "\n" == text;
  if (!whole) fail(ErrorKind::data, name, ": its SHA-256 does not match; the file is damaged");
  return sealed["content"];
}

}  // namespace genai
