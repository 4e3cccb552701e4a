#include "genai/compression/archive.h"

#include <algorithm>
#include <set>

#include "genai/base/bytes.h"
#include "genai/base/fields.h"
#include "genai/base/gzip.h"
#include "genai/base/hash.h"
#include "genai/base/json.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

constexpr std::string_view kMark = "\x89genai\r\n";
constexpr uint32_t kVersion = 1;
constexpr size_t kFixed = 16, kChecksum = 64;  // bytes before the header and behind the code
constexpr uint64_t kMostHeader = uint64_t{1} << 26;

const EnumNames<ArchiveItem::Kind> kKindNames = {{ArchiveItem::Kind::text, "text"},
                                                 {ArchiveItem::Kind::picture, "picture"},
                                                 {ArchiveItem::Kind::idx, "idx"}};

Json header_of(const Archive& archive) {
  Json items = Json::array();
  for (const ArchiveItem& item : archive.items) {
    Json one = {{"name", item.name}, {"kind", enum_name(kKindNames, item.kind)}};
    if (item.kind != ArchiveItem::Kind::picture) one["size"] = item.size;
    if (item.kind == ArchiveItem::Kind::text) one["symbols"] = item.symbols;
    items.push_back(one);
  }
  return {{"weights_sha256", archive.weights_sha256},
          {"arithmetic", archive.arithmetic},
          {"content_sha256", archive.content_sha256},
          {"items", items}};
}

int64_t checked_number(const Json& json, const char* key, int64_t least, int64_t most) {
  const Json& value = json.at(key);
  const int64_t number = value.is_number_integer() ? value.get<int64_t>() : least - 1;
  if (number < least || number > most) {
    fail(ErrorKind::data, "'", key, "': expected ", least, " to ", most, ", found ", value.dump());
  }
  return number;
}

ArchiveItem item_from_json(const Json& json) {
  ArchiveItem item{.name = json.at("name").get<std::string>(), .size = 1};
  check_item_name(item.name, ErrorKind::data);
  const std::string kind = json.at("kind").get<std::string>();
  const auto found =
      std::ranges::find_if(kKindNames, [&](const auto& entry) { return entry.second == kind; });
  if (found == kKindNames.end()) fail(ErrorKind::data, "an item of the unknown kind '", kind, "'");
  item.kind = found->first;
  if (item.kind == ArchiveItem::Kind::idx) item.size = checked_number(json, "size", 1, kMostImages);
  if (item.kind == ArchiveItem::Kind::text) {
    item.size = checked_number(json, "size", 0, kMostText);
    item.symbols = checked_number(json, "symbols", item.size > 0, item.size);
  }
  return item;
}

/// Throws what reading JSON throws, and Error{data}.
void read_header(const Json& header, Archive& archive) {
  archive.weights_sha256 = header.at("weights_sha256").get<std::string>();
  archive.arithmetic = header.at("arithmetic").get<std::string>();
  archive.content_sha256 = header.at("content_sha256").get<std::string>();
  std::set<std::string> names;
  int64_t texts = 0, bytes = 0, images = 0;
  for (const Json& json : header.at("items")) {
    const ArchiveItem item = item_from_json(json);
    if (!names.insert(item.name).second)
      fail(ErrorKind::data, "two items are called '", item.name, "'");
    const bool text = item.kind == ArchiveItem::Kind::text;
    texts += text;
    (text ? bytes : images) += item.size;
    if (bytes > kMostText || images > kMostImages)
      fail(ErrorKind::data, "its items have more than ", kMostText, " bytes of text or ",
           kMostImages, " images");
    archive.items.push_back(item);
  }
  if (archive.items.empty() || (texts > 0 && images > 0))
    fail(ErrorKind::data, "expected texts or pictures as its items");
}

}  // namespace

void check_item_name(const std::string& name, ErrorKind kind) {
  const bool plain = std::ranges::none_of(name, [](char c) {
    return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (plain && !name.empty() && name.size() <= 255 && name != "." && name != ".." && is_utf8(name))
    return;
  fail(kind, "'", visible_text(name),
       "' is no name for a file here: expected 1 to 255 bytes of UTF-8 without '/', '\\' and "
       "control "
       "characters");
}

void check_items(const std::vector<ArchiveItem>& items) {
  std::set<std::string> names;
  for (const ArchiveItem& item : items) {
    check_item_name(item.name, ErrorKind::usage);
    if (!names.insert(item.name).second)
      fail(ErrorKind::usage, "two files are called '", item.name,
           "'; expected another name for each, whatever folder it is in");
  }
}

std::string write_archive(const Archive& archive) {
  check_items(archive.items);
  const std::string header = gzip(header_of(archive).dump());
  std::string bytes(kMark);
  append_little_endian(kVersion, 4, bytes);
  append_little_endian(header.size(), 4, bytes);
  bytes += header;
  bytes += archive.code;
  return bytes + sha256(bytes);
}

bool is_archive(std::string_view bytes) {
  return bytes.starts_with(kMark);
}

Archive read_archive(std::string_view bytes, const std::string& name) {
  if (!is_archive(bytes)) {
    fail(ErrorKind::data, name, ": expected a file that `genai compress` wrote, found ",
         bytes.empty() ? "an empty one" : "something else");
  }
  const uint32_t version = read_number(bytes, 8, 4, true).value_or(kVersion);
  if (version != kVersion) {
    fail(ErrorKind::data, name, ": its format is version ", version, ", this genai ", GENAI_VERSION,
         " reads version ", kVersion);
  }
  if (bytes.size() < kFixed + kChecksum ||
      sha256(bytes.substr(0, bytes.size() - kChecksum)) != bytes.substr(bytes.size() - kChecksum)) {
    fail(ErrorKind::data, name, ": damaged or truncated (its checksum is wrong); get it again");
  }
  const std::string_view inside = bytes.substr(kFixed, bytes.size() - kFixed - kChecksum);
  const uint32_t size = *read_number(bytes, 12, 4, true);
  if (size > inside.size()) {
    fail(ErrorKind::data, name, ": its header should have ", size, " bytes of the ", inside.size(),
         " there are");
  }
  Archive archive;
  try {
    const std::string header = gunzip(inside.substr(0, size), kMostHeader, "of the header");
    read_header(parse_json(header, "the header", ErrorKind::data, {.bytes = kMostHeader}), archive);
  } catch (const std::exception& error) {
    fail(ErrorKind::data, name, ": a header that none of ours has: ", reason_of(error));
  }
  archive.code = inside.substr(size);
  return archive;
}

}  // namespace genai
