#include "genai/core/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "genai/base/error.h"
#include "genai/base/json.h"

namespace genai {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxDimensions = 16;

const std::vector<std::pair<std::string, at::ScalarType>> kTypes = {
    {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
    {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
    {"U8", at::kByte},    {"BOOL", at::kBool}};

const std::string& type_name(at::ScalarType type) {
  for (const auto& [name, value] : kTypes) {
    if (value == type) return name;
  }
  throw std::logic_error(concat("no safetensors type for ", at::toString(type)));
}

uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 8; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

/// One tensor's entry in the header, checked.
struct Entry {
  std::string name;
  at::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin, end;
};

class HeaderReader {
 public:
  HeaderReader(const std::string& file, uint64_t data_size) : file_(file), data_size_(data_size) {}

  std::vector<Entry> read(const Json& header) {
    if (!header.is_object()) bad("its header is not a JSON object");
    std::vector<Entry> entries;
    for (const auto& [name, json] : header.items()) {
      if (name == "__metadata__") {
        check_metadata(json);
      } else {
        entries.push_back(entry(name, json));
      }
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    uint64_t position = 0;
    for (const Entry& e : entries) {
      if (e.begin != position)
        bad(concat("tensor '", e.name, "' starts at byte ", e.begin, ", expected ", position,
                   " (hole or overlap)"));
      position = e.end;
    }
    if (position != data_size_) {
      bad(concat("its tensors end at byte ", position, " of ", data_size_));
    }
    return entries;
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    fail(ErrorKind::data, file_, ": not a valid safetensors file: ", what);
  }

  void check_metadata(const Json& json) const {
    const bool good = json.is_object() && std::all_of(json.begin(), json.end(),
                                                      [](const Json& v) { return v.is_string(); });
    if (!good) bad("__metadata__ must map text to text");
  }

  uint64_t whole(const Json& json, const std::string& what) const {
    if (!json.is_number_unsigned() || json.get<uint64_t>() > uint64_t{INT64_MAX}) {
      bad(what + " must be a whole number >= 0, found " + json.dump());
    }
    return json.get<uint64_t>();
  }

  Entry entry(const std::string& name, const Json& json) const {
    const std::string where = "tensor '" + name + "': ";
    const bool good = json.is_object() && json.size() == 3 && json.contains("dtype") &&
                      json["dtype"].is_string() && json.contains("shape") &&
                      json["shape"].is_array() && json.contains("data_offsets") &&
                      json["data_offsets"].is_array() && json["data_offsets"].size() == 2;
    if (!good) bad(where + "expected dtype, shape and two data_offsets");
    Entry e{.name = name, .type = at::kFloat, .shape = {}, .begin = 0, .end = 0};
    const std::string type = json["dtype"];
    const auto known = std::find_if(kTypes.begin(), kTypes.end(),
                                    [&](const auto& pair) { return pair.first == type; });
    if (known == kTypes.end()) bad(where + "type " + type + " is not supported");
    e.type = known->second;
    if (json["shape"].size() > kMaxDimensions) bad(where + "more than 16 dimensions");
    uint64_t bytes = at::elementSize(e.type);
    int64_t strides = static_cast<int64_t>(bytes);  // of an empty tensor must fit too
    bool overflow = false;
    for (const Json& dimension : json["shape"]) {
      const uint64_t n = whole(dimension, where + "a dimension");
      overflow = __builtin_mul_overflow(bytes, n, &bytes) || overflow;
      overflow = __builtin_mul_overflow(strides, std::max<uint64_t>(n, 1), &strides) || overflow;
      e.shape.push_back(static_cast<int64_t>(n));
    }
    e.begin = whole(json["data_offsets"][0], where + "an offset");
    e.end = whole(json["data_offsets"][1], where + "an offset");
    if (overflow || e.end < e.begin || e.end - e.begin != bytes || e.end > data_size_) {
      bad(concat(where, "bytes ", e.begin, " to ", e.end, " do not fit its shape or the file"));
    }
    return e;
  }

  const std::string& file_;
  uint64_t data_size_;
};

}  // namespace

std::string write_safetensors(const Tensors& tensors,
                              const std::map<std::string, std::string>& metadata) {
  std::vector<std::pair<std::string, Tensor>> sorted;
  for (const auto& [name, tensor] : tensors) {
    sorted.emplace_back(name, tensor.detach().to(at::kCPU).contiguous());
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second.element_size() > b.second.element_size();
  });
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t position = 0;
  for (const auto& [name, tensor] : sorted) {
    const uint64_t end = position + tensor.nbytes();
    header[name] = {{"dtype", type_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // tensor data stays 8-byte aligned
  std::string file;
  file.reserve(8 + text.size() + position);
  for (int i = 0; i < 8; ++i) file += static_cast<char>(text.size() >> (8 * i) & 0xff);
  file += text;
  for (const auto& [name, tensor] : sorted) {
    file.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  }
  return file;
}

Tensors read_safetensors(std::string_view bytes, const std::string& name) {
  if (bytes.size() < 8) {
    fail(ErrorKind::data, name, ": ", bytes.size(), " bytes; not a safetensors file");
  }
  const uint64_t header_size = little_endian(bytes);
  if (header_size > kMaxHeader || header_size > bytes.size() - 8 || bytes.size() == 8 ||
      bytes[8] != '{') {
    fail(ErrorKind::data, name, ": not a valid safetensors file: header of ", header_size,
         " bytes in a file of ", bytes.size());
  }
  const Json header = parse_json(bytes.substr(8, header_size), name, ErrorKind::data,
                                 {.bytes = kMaxHeader, .depth = 4, .comments = false});
  const std::string_view data = bytes.substr(8 + header_size);
  Tensors tensors;
  for (const Entry& entry : HeaderReader(name, data.size()).read(header)) {
    Tensor tensor = at::empty(entry.shape, entry.type);
    if (tensor.nbytes()) {
      std::memcpy(tensor.mutable_data_ptr(), data.data() + entry.begin, tensor.nbytes());
    }
    if (entry.type == at::kBool && tensor.view(at::kByte).gt(1).any().item<bool>()) {
      fail(ErrorKind::data, name, ": tensor '", entry.name, "' holds a BOOL that is not 0 or 1");
    }
    tensors[entry.name] = tensor;
  }
  return tensors;
}

}  // namespace genai
