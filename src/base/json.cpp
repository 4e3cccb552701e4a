#include "genai/base/json.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <unordered_set>
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

/// Builds the document from the parser's events. nlohmann's own builder keeps the last of two equal
/// keys without a word, looks for each key of an object among all before it, and takes any depth
/// (but then overflows the stack in copy and dump).
class StrictBuilder : public nlohmann::json_sax<Json> {
 public:
  StrictBuilder(std::string_view text, const std::string& name, ErrorKind kind, JsonLimits limits)
      : text_(text), name_(name), kind_(kind), limits_(limits), read_(text.data()) {}

  Json run() {
    // nlohmann takes a zero byte for the end.
    if (const size_t zero = text_.find('\0'); zero != std::string_view::npos) {
      fail(kind_, name_, ": not valid JSON at ", position(text_, zero), ": a zero byte");
    }
    const char* end = text_.data() + text_.size();
    Json::sax_parse(Cursor{text_.data(), &read_}, Cursor{end, &read_}, this,
                    Json::input_format_t::json, true, limits_.comments);
    return std::move(root_);
  }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override {
    if (value > uint64_t{INT64_MAX}) {
      if (limits_.large_integers) return add(static_cast<double>(value));
      beyond(std::to_string(value));
    }
    return add(value);
  }
  bool number_float(double value, const std::string& token) override {
    // An integer beyond 64 bits arrives here: only its text tells.
    if (token.find_first_of(".eE") == token.npos && !limits_.large_integers) beyond(token);
    return add(value);
  }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }  // not of JSON texts
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    if (!open_.back().keys.insert(name).second) {
      fail(kind_, name_, ": the key '", name, "' appears twice; keep one (", here(), ")");
    }
    key_ = std::move(name);
    return true;
  }

  bool parse_error(size_t byte, const std::string&, const Json::exception& error) override {
    const bool parsing = dynamic_cast<const Json::parse_error*>(&error) != nullptr;
    fail(kind_, name_, ": not valid JSON at ",
         parsing ? position(text_, byte ? byte - 1 : 0) : here(), ": ", reason_of(error));
  }

 private:
  struct Open {
    Json* value;
    std::unordered_set<std::string> keys;
  };

  std::string here() const {
    const auto offset = static_cast<size_t>(read_ - text_.data());
    return position(text_, offset ? offset - 1 : 0);
  }

  [[noreturn]] void beyond(const std::string& token) const {
    fail(kind_, name_, ": the integer ", token, " is beyond 64 bits (", here(), ")");
  }

  /// Puts a value where the text has it; the pointer is good until its container closes, since only
  /// the innermost container grows.
  Json* put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& into = *open_.back().value;
    if (into.is_array()) {
      into.push_back(std::move(value));
      return &into.back();
    }
    // As a vector: the map's own insertion walks through all keys.
    using Entries = std::vector<std::pair<const std::string, Json>>;
    auto& entries = static_cast<Entries&>(into.get_ref<Json::object_t&>());
    return &entries.emplace_back(std::move(key_), std::move(value)).second;
  }

  bool add(Json value) {
    put(std::move(value));
    return true;
  }

  bool open(Json container) {
    if (static_cast<int64_t>(open_.size()) >= limits_.depth) {
      fail(kind_, name_, ": nested deeper than ", limits_.depth, " levels at ", here());
    }
    open_.push_back({put(std::move(container)), {}});
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  const std::string& name_;
  ErrorKind kind_;
  JsonLimits limits_;
  const char* read_;
  Json root_;
  std::string key_;
  std::vector<Open> open_;
};

/// `,"crc32c":"0123abcd"}` of a line that ends with the brace.
std::string checksum_member(std::string_view line) {
  return concat(",\"", kChecksumKey, "\":\"", checksum_text(line), "\"}");
}

}  // namespace

Json parse_json(std::string_view text, const std::string& name, ErrorKind kind, JsonLimits limits) {
  if (text.size() > limits.bytes) {
    fail(kind, name, ": ", text.size(), " bytes of JSON; at most ", limits.bytes, " are read");
  }
  return StrictBuilder(text, name, kind, limits).run();
}

std::string checksum_text(std::string_view bytes) {
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", crc32c(bytes));
  return digits;
}

std::string checked_line(const Json& object) {
  std::string line = object.dump();
  const std::string sum = checksum_member(line);
  line.pop_back();
  return line + sum;
}

CheckedLine read_checked_line(std::string_view line, const std::string& name, JsonLimits limits) {
  const size_t length = checksum_member("").size();
  const std::string rest =
      std::string(line.substr(0, line.size() - std::min(length, line.size()))) + '}';
  const bool checked = line.substr(rest.size() - 1) == checksum_member(rest);
  CheckedLine read{parse_json(checked ? rest : line, name, ErrorKind::data, limits), checked};
  if (!read.object.is_object()) {
    fail(ErrorKind::data, name, ": expected an object, found ", read.object.type_name());
  }
  if (!checked && read.object.contains(kChecksumKey)) {
    fail(ErrorKind::data, name, ": its checksum does not match; the line is damaged");
  }
  return read;
}

CheckedLines read_checked_lines(std::string_view text, const std::string& name, JsonLimits limits) {
  CheckedLines read;
  read.torn = !text.empty() && text.back() != '\n';
  if (read.torn) text = text.substr(0, text.find_last_of('\n') + 1);  // npos + 1 is 0
  std::vector<NumberedLine> unchecked;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string where = concat(name, ", line ", number);
    try {
      auto [object, checked] = read_checked_line(text.substr(0, end), where, limits);
      if (checked) {
        read.lines.push_back({number, std::move(object)});
      } else {
        unchecked.push_back({number, std::move(object)});
      }
    } catch (const Error& error) {
      read.damaged.push_back(error.what());
    }
    text.remove_prefix(end + 1);
  }
  const bool old = read.lines.empty();
  for (NumberedLine& line : unchecked) {
    if (old) {
      read.lines.push_back(std::move(line));
    } else {
      read.damaged.push_back(concat(name, ", line ", line.number,
                                    ": has no checksum though others have; the line is damaged"));
    }
  }
  return read;
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
