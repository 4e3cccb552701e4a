#include "genai/base/fields.h"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace genai {
namespace {

std::string number_text(double x) {
  if (x == std::floor(x) && std::abs(x) < 1e15) return std::to_string(static_cast<int64_t>(x));
  return Json(x).dump();
}

std::string range_text(const Range& range) {
  const bool low = std::isfinite(range.min), high = std::isfinite(range.max);
  const std::string from = (range.open_min ? "> " : ">= ") + number_text(range.min);
  const std::string to = (range.open_max ? "< " : "<= ") + number_text(range.max);
  if (low && high) return from + " and " + to;
  return low ? from : high ? to : "";
}

std::string list_text(const std::vector<std::string>& items) {
  return std::accumulate(items.begin(), items.end(), std::string(),
                         [](const std::string& text, const std::string& item) {
                           return text.empty() ? item : text + ", " + item;
                         });
}

bool is_number_in(const Field& field, const Json& value, bool whole) {
  if (whole ? !value.is_number_integer() : !value.is_number()) return false;
  if (whole && value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}) {
    return false;
  }
  const double x = value.get<double>();
  return std::isfinite(x) && field.range.contains(x);
}

/// Of one side or of both.
bool is_extent_in(const Field& field, const Json& value) {
  if (!value.is_string()) return is_number_in(field, value, true);
  const auto extent = extent_from_text(value.get<std::string>());
  if (!extent || !extent->given()) return false;
  return extent->width > 0 && extent->height > 0 &&
         field.range.contains(static_cast<double>(extent->width)) &&
         field.range.contains(static_cast<double>(extent->height));
}

template <class Number>
Json number_from_text(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole_text = error == std::errc() && end == text.data() + text.size();
  // from_chars reads "nan" and "inf" too.
  return whole_text && std::isfinite(static_cast<double>(number)) ? Json(number) : Json(text);
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substitute = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substitute});
    }
  }
  return row.back();
}

/// Visits every leaf; an empty object is one too, so that none is passed over.
void flatten(const Json& object, const std::string& prefix,
             const std::function<void(const std::string&, const Json&)>& visit) {
  for (const auto& [key, value] : object.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object() && !value.empty()) {
      flatten(value, path, visit);
    } else {
      visit(path, value);
    }
  }
}

}  // namespace

std::string extent_text(const Extent& extent) {
  return extent.width == extent.height ? std::to_string(extent.width)
                                       : concat(extent.width, "x", extent.height);
}

std::optional<Extent> extent_from_text(const std::string& text) {
  const size_t cross = std::min(text.find('x'), text.size());
  const Json width = number_from_text<int64_t>(text.substr(0, cross));
  const Json height =
      cross < text.size() ? number_from_text<int64_t>(text.substr(cross + 1)) : width;
  if (!width.is_number() || !height.is_number()) return std::nullopt;
  const Extent extent(width.get<int64_t>(), height.get<int64_t>());
  if (extent.width < 0 || extent.height < 0) return std::nullopt;
  return extent;
}

Json to_json(const ClassChoice& choice) {
  return choice.name.empty() ? Json(choice.label) : Json(choice.name);
}

ClassChoice class_choice_from_json(const Json& json) {
  return json.is_string() ? ClassChoice{.name = json.get<std::string>(), .label = -1}
                          : ClassChoice{.name = {}, .label = json.get<int64_t>()};
}

std::string check_value(const Field& field, const Json& value) {
  bool good = false;
  switch (field.type) {
    case FieldType::boolean:
      good = value.is_boolean() || (field.automatic && value == "auto");
      break;
    case FieldType::integer:
      good = is_number_in(field, value, true);
      break;
    case FieldType::number:
      good = is_number_in(field, value, false);
      break;
    case FieldType::text:
    case FieldType::run:
      good = value.is_string();
      break;
    case FieldType::texts:
      good = value.is_array() &&
             std::ranges::all_of(value, [](const Json& text) { return text.is_string(); });
      break;
    case FieldType::choice:
      good = value.is_string() && std::find(field.choices.begin(), field.choices.end(),
                                            value.get<std::string>()) != field.choices.end();
      break;
    case FieldType::integers:
      good = value.is_array() && std::all_of(value.begin(), value.end(), [&](const Json& x) {
               return is_number_in(field, x, true);
             });
      break;
    case FieldType::extent:
      good = is_extent_in(field, value);
      break;
    case FieldType::classes:
      good = value.is_array() && std::all_of(value.begin(), value.end(), [&](const Json& x) {
               return x.is_string() ? !x.get_ref<const std::string&>().empty()
                                    : is_number_in(field, x, true);
             });
      break;
  }
  if (good) return "";
  std::string problem = concat("expected ", describe_type(field), ", found ", value.dump());
  if (field.type == FieldType::choice && value.is_string()) {
    const std::string near = nearest(value.get<std::string>(), field.choices);
    if (!near.empty()) problem += concat("; did you mean '", near, "'?");
  }
  return problem;
}

Json value_from_text(const Field& field, const std::string& text) {
  switch (field.type) {
    case FieldType::boolean:
      return text == "true" ? Json(true) : text == "false" ? Json(false) : Json(text);
    case FieldType::integer:
      return number_from_text<int64_t>(text);
    case FieldType::number:
      return number_from_text<double>(text);
    case FieldType::integers: {
      Json list = Json::array();
      for (size_t start = 0; start <= text.size() && !text.empty();) {
        const size_t comma = std::min(text.find(',', start), text.size());
        list.push_back(number_from_text<int64_t>(text.substr(start, comma - start)));
        start = comma + 1;
      }
      return list;
    }
    case FieldType::extent: {
      const auto extent = extent_from_text(text);
      return extent && extent->width == extent->height ? Json(extent->width) : Json(text);
    }
    case FieldType::classes: {
      Json list = Json::array();
      for (size_t start = 0; start <= text.size() && !text.empty();) {
        const size_t comma = std::min(text.find(',', start), text.size());
        list.push_back(text.substr(start, comma - start));
        start = comma + 1;
      }
      return list;
    }
    case FieldType::texts:
      return Json::array({text});
    case FieldType::text:
    case FieldType::run:
    case FieldType::choice:
      return Json(text);
  }
  return Json(text);
}

std::string describe_type(const Field& field) {
  const std::string range = range_text(field.range);
  const auto with_range = [&](const char* type) {
    return range.empty() ? std::string(type) : std::string(type) + " " + range;
  };
  switch (field.type) {
    case FieldType::boolean:
      return field.automatic ? "true, false or auto" : "true or false";
    case FieldType::integer:
      return with_range("integer");
    case FieldType::number:
      return with_range("number");
    case FieldType::text:
    case FieldType::run:
      return "text";
    case FieldType::texts:
      return "list of texts";
    case FieldType::choice:
      return "one of: " + list_text(field.choices);
    case FieldType::integers:
      return with_range("list of integers");
    case FieldType::extent:
      return with_range("integer or \"WIDTHxHEIGHT\"");
    case FieldType::classes:
      return "list of class names or numbers";
  }
  return "";
}

std::string last_part(std::string_view path) {
  return std::string(path.substr(path.rfind('.') + 1));
}

const Field* find_field(const FieldTable& table, std::string_view name) {
  const auto it = std::find_if(table.begin(), table.end(),
                               [&](const Field& field) { return field.name == name; });
  return it == table.end() ? nullptr : &*it;
}

bool holds_fields(const FieldTable& table, std::string_view path) {
  const std::string prefix = concat(path, ".");
  return std::any_of(table.begin(), table.end(),
                     [&](const Field& field) { return field.name.rfind(prefix, 0) == 0; });
}

void read_fields(const FieldTable& table, const Json& object, const std::string& name, void* into) {
  std::string problems;
  const auto problem = [&](const std::string& path, const std::string& what) {
    problems += concat(problems.empty() ? "" : "\n", name, ": ", path, ": ", what);
  };
  if (!object.is_object()) fail(ErrorKind::usage, name, ": expected an object of settings");
  flatten(object, "", [&](const std::string& path, const Json& value) {
    const Field* field = find_field(table, path);
    if (!field) {
      const bool nothing = value.is_object() && holds_fields(table, path);
      if (!nothing) problem(path, "unknown setting");
      return;
    }
    const std::string wrong = check_value(*field, value);
    if (wrong.empty()) {
      field->set(into, value);
    } else {
      problem(path, wrong);
    }
  });
  if (!problems.empty()) throw Error(ErrorKind::usage, problems);
}

Json write_fields(const FieldTable& table, const void* object) {
  Json json = Json::object();
  for (const Field& field : table) set_path(json, field.name, field.get(object));
  return json;
}

Json json_schema(const FieldTable& table) {
  Json schema = {{"type", "object"}, {"additionalProperties", false}};
  schema["properties"] = Json::object();
  for (const Field& field : table) {
    Json* node = &schema;
    std::string_view rest = field.name;
    for (size_t dot; (dot = rest.find('.')) != std::string_view::npos;
         rest.remove_prefix(dot + 1)) {
      Json& inner = (*node)["properties"][std::string(rest.substr(0, dot))];
      if (inner.is_null()) {
        inner = {{"type", "object"}, {"additionalProperties", false}};
        inner["properties"] = Json::object();
      }
      node = &inner;
    }
    Json entry;
    Json* bounded = &entry;
    switch (field.type) {
      case FieldType::boolean:
        if (field.automatic) {
          entry["enum"] = {true, false, "auto"};
        } else {
          entry["type"] = "boolean";
        }
        break;
      case FieldType::integer:
        entry["type"] = "integer";
        break;
      case FieldType::number:
        entry["type"] = "number";
        break;
      case FieldType::text:
      case FieldType::run:
        entry["type"] = "string";
        break;
      case FieldType::texts:
        entry["type"] = "array";
        entry["items"] = {{"type", "string"}};
        break;
      case FieldType::choice:
        entry["enum"] = field.choices;
        break;
      case FieldType::integers:
        entry["type"] = "array";
        entry["items"] = {{"type", "integer"}};
        bounded = &entry["items"];
        break;
      case FieldType::extent:
        entry["type"] = {"integer", "string"};
        entry["pattern"] = "^[0-9]+x[0-9]+$";
        break;
      case FieldType::classes:
        entry["type"] = "array";
        entry["items"] = {{"type", {"integer", "string"}}};
        bounded = &entry["items"];
        break;
    }
    if (std::isfinite(field.range.min)) {
      (*bounded)[field.range.open_min ? "exclusiveMinimum" : "minimum"] = field.range.min;
    }
    if (std::isfinite(field.range.max)) {
      (*bounded)[field.range.open_max ? "exclusiveMaximum" : "maximum"] = field.range.max;
    }
    entry["description"] = field.doc;
    entry["default"] = field.default_value;
    (*node)["properties"][std::string(rest)] = std::move(entry);
  }
  return schema;
}

const Json* find_path(const Json& object, std::string_view path) {
  const Json* node = &object;
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    const auto it = node->is_object() ? node->find(std::string(path.substr(0, dot))) : node->end();
    if (it == node->end()) return nullptr;
    node = &*it;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return node;
}

void set_path(Json& object, std::string_view path, Json value) {
  Json* node = &object;
  for (size_t dot; (dot = path.find('.')) != std::string_view::npos; path.remove_prefix(dot + 1)) {
    node = &(*node)[std::string(path.substr(0, dot))];
  }
  (*node)[std::string(path)] = std::move(value);
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    // A forgotten prefix ("width" for "encoder.width") is near, whatever its length.
    const size_t distance =
        std::min(edit_distance(word, candidate), edit_distance(word, last_part(candidate)) + 1);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace genai
