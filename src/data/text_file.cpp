#include "genai/data/text_file.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/gzip.h"
#include "genai/base/text.h"
#include "genai/data/picture_files.h"
#include "genai/data/split_names.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxText = uint64_t{1} << 30;
constexpr std::string_view kMark = "\xEF\xBB\xBF";
/// Looked at to tell what a file is.
constexpr size_t kBeginning = 4096;

void note(std::vector<std::string>* notes, const std::string& name, const char* what) {
  if (notes) notes->push_back(name + ": " + what);
}

enum class ByteOrder { little, big };

/// Latin letters have a zero in every second byte of UTF-16, and nothing else has.
std::optional<ByteOrder> utf16_without_mark(std::string_view bytes) {
  const std::string_view begin = bytes.substr(0, kBeginning);
  if (bytes.size() % 2 != 0 || begin.size() < 8) return {};
  size_t zeros[2] = {0, 0};
  for (size_t i = 0; i < begin.size(); ++i) zeros[i % 2] += begin[i] == '\0';
  const size_t many = begin.size() / 4;
  if (zeros[0] == 0 && zeros[1] >= many) return ByteOrder::little;
  if (zeros[1] == 0 && zeros[0] >= many) return ByteOrder::big;
  return {};
}

/// Empty where the bytes are no UTF-16; `at` is then where.
std::optional<std::string> from_utf16(std::string_view bytes, ByteOrder order, size_t& at) {
  const auto unit = [&](size_t i) {
    const auto first = static_cast<uint8_t>(bytes[i]), second = static_cast<uint8_t>(bytes[i + 1]);
    return order == ByteOrder::little ? first | second << 8 : first << 8 | second;
  };
  std::string text;
  text.reserve(bytes.size());
  for (at = 0; at < bytes.size(); at += 2) {
    if (at + 1 == bytes.size()) return {};
    int32_t code_point = unit(at);
    if (code_point >= 0xD800 && code_point < 0xE000) {
      const int32_t low = at + 3 < bytes.size() ? unit(at + 2) : 0;
      if (code_point >= 0xDC00 || low < 0xDC00 || low >= 0xE000) return {};
      code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
      at += 2;
    }
    text += to_utf8(code_point);
  }
  return text;
}

/// The text of UTF-16 as UTF-8, others as they are.
std::string from_other_encodings(std::string bytes, const std::string& name,
                                 std::vector<std::string>* notes) {
  using namespace std::string_view_literals;
  const std::string_view all = bytes;
  if (all.starts_with("\xFF\xFE\0\0"sv) || all.starts_with("\0\0\xFE\xFF"sv)) {
    fail(ErrorKind::data, name, ": is UTF-32; expected UTF-8 or UTF-16 (iconv converts it)");
  }
  size_t at = 0;
  const bool little = all.starts_with("\xFF\xFE");
  if (little || all.starts_with("\xFE\xFF")) {
    auto text = from_utf16(all.substr(2), little ? ByteOrder::little : ByteOrder::big, at);
    if (!text) fail(ErrorKind::data, name, ": its mark says UTF-16, but byte ", at + 2, " is none");
    note(notes, name, "converted from UTF-16");
    return std::move(*text);
  }
  if (const auto order = utf16_without_mark(all)) {
    if (auto text = from_utf16(all, *order, at)) {
      note(notes, name, "converted from UTF-16, which has no byte order mark here");
      return std::move(*text);
    }
  }
  if (all.starts_with(kMark)) bytes.erase(0, kMark.size());
  return bytes;
}

bool has_zero(std::string_view bytes) {
  return bytes.find('\0') != bytes.npos;
}

struct TextFiles {
  std::vector<fs::path> texts;
  std::string other;  // one that is no text
  int64_t others = 0;
  bool pictures = false;
};

/// Does the file begin like a text?
bool begins_like_text(const fs::path& path) {
  std::string bytes(kBeginning, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), kBeginning);
  bytes.resize(static_cast<size_t>(file.gcount()));
  if (is_gzip(bytes)) bytes = gunzip(read_file(path, kMaxText), kMaxText, path.string());
  const std::string_view all = bytes;
  return !all.empty() && (all.starts_with("\xFF\xFE") || all.starts_with("\xFE\xFF") ||
                          utf16_without_mark(all) || !has_zero(all.substr(0, kBeginning)));
}

TextFiles find_texts(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->path().filename().string().starts_with('.')) {
      it.disable_recursion_pending();
    } else if (std::error_code none; it->is_regular_file(none)) {  // no link that leads nowhere
      paths.push_back(it->path());
    }
  }
  if (error) fail(ErrorKind::data, folder.string(), ": cannot be read: ", error.message());
  TextFiles found;
  found.pictures = std::any_of(paths.begin(), paths.end(), is_picture_name);
  if (found.pictures) return found;
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    if (begins_like_text(path)) {
      found.texts.push_back(path);
    } else {
      ++found.others;
      found.other = path.filename().string();
    }
  }
  return found;
}

}  // namespace

std::string plain_text(std::string bytes, const std::string& name,
                       std::vector<std::string>* notes) {
  if (is_gzip(bytes)) bytes = gunzip(bytes, kMaxText, name);
  std::string text = from_other_encodings(std::move(bytes), name, notes);
  if (text.find('\r') == text.npos || has_zero(text)) return text;
  size_t kept = 0;
  bool windows = false, mac = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool lone = text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n');
    windows = windows || (text[i] == '\r' && !lone);
    mac = mac || (lone && !(windows && i + 1 == text.size()));  // cut behind its CR
    if (text[i] != '\r' || lone) text[kept++] = lone ? '\n' : text[i];
  }
  text.resize(kept);
  if (windows) note(notes, name, "line ends of Windows (CR LF) became plain ones (LF)");
  if (mac) note(notes, name, "line ends of old Macs (CR) became plain ones (LF)");
  return text;
}

namespace {

/// One after the other, each ended by a line end.
std::string joined_texts(const fs::path& folder, const std::vector<fs::path>& files,
                         std::vector<std::string>* notes) {
  std::string text;
  for (const fs::path& file : files) {
    text += plain_text(read_file(file, kMaxText), file.string(), notes);
    if (!text.ends_with('\n')) text += '\n';
    if (text.size() > kMaxText) {
      fail(ErrorKind::data, folder.string(), ": its texts are more than the ", kMaxText,
           " bytes that are read");
    }
  }
  return text;
}

/// "val" of val.txt, wiki.valid.tokens, my-validation.txt.gz and of all in a folder dev/; "" of
/// others.
std::string split_of(const fs::path& relative) {
  if (relative.has_parent_path()) return split_named(relative.begin()->string());
  fs::path name = relative.filename();
  if (lower_case(name.extension().string()) == ".gz") name = name.stem();
  if (std::string split = split_named(name.stem().string()); !split.empty()) return split;
  const std::string last = name.stem().extension().string();
  return last.empty() ? "" : split_named(last.substr(1));
}

std::string counted_texts(size_t count) {
  return concat(count, count == 1 ? " text" : " texts");
}

}  // namespace

TextParts read_text_parts(const fs::path& path, bool raw, std::vector<std::string>* notes) {
  std::error_code error;
  TextParts parts;
  if (!fs::is_directory(path, error)) {
    parts.text = read_file(path, kMaxText);
    if (!raw) parts.text = plain_text(std::move(parts.text), path.string(), notes);
    if (parts.text.empty())
      fail(ErrorKind::data, path.string(), ": expected a text, found an empty file");
    return parts;
  }
  const TextFiles found = find_texts(path);
  std::map<std::string, std::vector<fs::path>> splits;
  std::set<std::string> names;
  for (const fs::path& file : found.texts) {
    const std::string split = split_of(file.lexically_relative(path));
    splits[split].push_back(file);
    names.insert(split);
  }
  std::string said;
  if (hold_splits(names)) {
    const std::string other = names.contains("val") ? "val" : "test";
    parts.text = joined_texts(path, splits["train"], notes);
    parts.validation = joined_texts(path, splits[other], notes);
    const auto first = [&](const std::string& split) {
      return splits[split].front().lexically_relative(path).string();
    };
    said = concat(counted_texts(splits["train"].size()), " to train on (", first("train"), "), ",
                  counted_texts(splits[other].size()), " to validate on (", first(other), ")");
    for (const std::string split : {"test", ""}) {
      if (split == other || !splits.contains(split)) continue;
      said += concat("; left out ", counted_texts(splits[split].size()), " of neither part, as ",
                     first(split));
    }
  } else {
    parts.text = joined_texts(path, found.texts, notes);
    said = counted_texts(found.texts.size()) +
           (found.texts.size() == 1 ? "" : ", one after the other");
  }
  if (parts.text.empty())
    fail(ErrorKind::data, path.string(), ": expected a text, found a folder without one");
  if (notes) {
    notes->push_back(concat(
        path.string(), ": ", said,
        found.others ? concat("; left out what is none: ", found.others, ", as ", found.other)
                     : ""));
  }
  return parts;
}

std::string read_text(const fs::path& path, bool raw, std::vector<std::string>* notes) {
  TextParts parts = read_text_parts(path, raw, notes);
  return std::move(parts.text) + parts.validation;
}

bool is_text_folder(const fs::path& folder) {
  const TextFiles found = find_texts(folder);
  // A readme beside data of another kind makes no texts of it.
  return !found.texts.empty() && static_cast<int64_t>(found.texts.size()) >= found.others;
}

}  // namespace genai
