// Described fields: one table per settings struct drives defaults, strict parsing, options, help,
// JSON Schema, docs, printing, provenance and saving.
#pragma once
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "genai/base/error.h"
#include "genai/base/extent.h"
#include "genai/base/json.h"

namespace genai {

enum class FieldType {
  boolean,
  integer,
  number,
  text,
  texts,  ///< a list of them; as an option: given several times
  choice,
  integers,
  extent,   ///< a side, 64, or "64x48"
  classes,  ///< a list of classes by name, "cat", or by label, 3
  run,      ///< a run that becomes a part of this one (run/parts.h); empty: none
};

/// A class of a data set as a user names it.
struct ClassChoice {
  std::string name{};  ///< where not empty: see find_label (data/dataset.h)
  int64_t label = -1;  ///< else its label

  bool operator==(const ClassChoice&) const = default;
};
Json to_json(const ClassChoice& choice);
ClassChoice class_choice_from_json(const Json& json);

/// The numbers a field may take; both ends belong to it unless open.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool open_min = false, open_max = false;

  bool contains(double x) const {
    return (open_min ? x > min : x >= min) && (open_max ? x < max : x <= max);
  }
};
inline Range at_least(double min) {
  return {.min = min};
}
inline Range above(double min) {
  return {.min = min, .open_min = true};
}
inline Range between(double min, double max) {
  return {.min = min, .max = max};
}
/// min <= x < max
inline Range from_below(double min, double max) {
  return {.min = min, .max = max, .open_max = true};
}

/// The names of an enum's values, in the order shown to users.
template <class E>
using EnumNames = std::vector<std::pair<E, std::string>>;

template <class E>
const std::string& enum_name(const EnumNames<E>& names, E value) {
  for (const auto& [v, name] : names) {
    if (v == value) return name;
  }
  throw std::logic_error("an enum value without a name");
}

struct Field {
  std::string name;  ///< JSON path inside its section: "encoder.width"
  std::string doc;   ///< one sentence, with units
  FieldType type;
  Json default_value{};
  Range range{};                       ///< numbers, and each element of a list
  std::vector<std::string> choices{};  ///< of a choice
  bool automatic = false;              ///< of a boolean: "auto" is a value too
  bool resumable = false;              ///< a resumed run may change it
  std::string option{};                ///< command-line name where the last part of `name` is unapt
  std::string hint{};                  ///< what a text stands for on the command line: "FILE"
  std::function<Json(const void*)> get{};
  std::function<void(void*, const Json&)> set{};
};

/// What is wrong with a value, or empty: "expected a number >= 1, found \"abc\"".
std::string check_value(const Field& field, const Json& value);

/// The value that a text on the command line means, or the text itself when it means none;
/// check_value judges it afterwards.
Json value_from_text(const Field& field, const std::string& text);

/// "integer >= 1", "one of: mlp, conv"
std::string describe_type(const Field& field);

/// "hidden" of "encoder.hidden"
std::string last_part(std::string_view path);

using FieldTable = std::vector<Field>;

const Field* find_field(const FieldTable& table, std::string_view name);

/// The table of struct T, built member by member:
///   describe<VaeConfig>().field("latent", &VaeConfig::latent, "size of z", at_least(1)).table()
template <class T>
class Describe {
 public:
  Describe& field(std::string name, bool T::*member, std::string doc) {
    return add(std::move(name), std::move(doc), FieldType::boolean, member, {});
  }
  /// A boolean that is decided where what it depends on is known: none stands for "auto".
  Describe& field(std::string name, std::optional<bool> T::*member, std::string doc) {
    const auto to_json = [](std::optional<bool> value) {
      return value ? Json(*value) : Json("auto");
    };
    Field field{.name = std::move(name), .doc = std::move(doc), .type = FieldType::boolean};
    field.default_value = to_json(T{}.*member);
    field.automatic = true;
    field.get = [member, to_json](const void* object) {
      return to_json(static_cast<const T*>(object)->*member);
    };
    field.set = [member](void* object, const Json& json) {
      std::optional<bool>& value = static_cast<T*>(object)->*member;
      if (json.is_boolean()) {
        value = json.get<bool>();
      } else {
        value.reset();
      }
    };
    table_.push_back(std::move(field));
    return *this;
  }
  Describe& field(std::string name, int64_t T::*member, std::string doc, Range range = {}) {
    return add(std::move(name), std::move(doc), FieldType::integer, member, range);
  }
  Describe& field(std::string name, double T::*member, std::string doc, Range range = {}) {
    return add(std::move(name), std::move(doc), FieldType::number, member, range);
  }
  Describe& field(std::string name, std::string T::*member, std::string doc) {
    return add(std::move(name), std::move(doc), FieldType::text, member, {});
  }
  Describe& field(std::string name, std::vector<std::string> T::*member, std::string doc) {
    return add(std::move(name), std::move(doc), FieldType::texts, member, {});
  }
  Describe& field(std::string name, std::vector<int64_t> T::*member, std::string doc,
                  Range range = {}) {
    return add(std::move(name), std::move(doc), FieldType::integers, member, range);
  }
  /// The range is that of either side.
  Describe& field(std::string name, Extent T::*member, std::string doc, Range range = {}) {
    Field field{.name = std::move(name), .doc = std::move(doc), .type = FieldType::extent};
    field.range = range;
    field.get = [member](const void* object) {
      return extent_json(static_cast<const T*>(object)->*member);
    };
    field.set = [member](void* object, const Json& json) {
      static_cast<T*>(object)->*member = json.is_string()
                                             ? *extent_from_text(json.get<std::string>())
                                             : Extent(json.get<int64_t>());
    };
    return add_with_default(std::move(field));
  }
  Describe& field(std::string name, std::vector<ClassChoice> T::*member, std::string doc) {
    Field field{.name = std::move(name), .doc = std::move(doc), .type = FieldType::classes};
    field.range = at_least(0);
    field.get = [member](const void* object) {
      Json list = Json::array();
      for (const auto& choice : static_cast<const T*>(object)->*member) {
        list.push_back(to_json(choice));
      }
      return list;
    };
    field.set = [member](void* object, const Json& json) {
      auto& choices = static_cast<T*>(object)->*member;
      choices.clear();
      for (const Json& choice : json) choices.push_back(class_choice_from_json(choice));
    };
    return add_with_default(std::move(field));
  }
  template <class E>
  Describe& field(std::string name, E T::*member, std::string doc, const EnumNames<E>& names) {
    Field field{.name = std::move(name), .doc = std::move(doc), .type = FieldType::choice};
    field.default_value = enum_name(names, T{}.*member);
    for (const auto& [value, text] : names) field.choices.push_back(text);
    field.get = [member, names](const void* object) {
      return Json(enum_name(names, static_cast<const T*>(object)->*member));
    };
    field.set = [member, names](void* object, const Json& json) {
      for (const auto& [value, text] : names) {
        if (text == json.get_ref<const std::string&>()) static_cast<T*>(object)->*member = value;
      }
    };
    table_.push_back(std::move(field));
    return *this;
  }
  /// The fields of a struct inside T, as "name.field"; without a name as "field".
  template <class N>
  Describe& nest(const std::string& name, N T::*member, const FieldTable& inner) {
    for (Field field : inner) {
      if (!name.empty()) field.name = name + "." + field.name;
      // The defaults of a member may differ from those of its struct alone.
      const T defaults{};
      field.default_value = field.get(&(defaults.*member));
      field.get = [get = field.get, member](const void* object) {
        return get(&(static_cast<const T*>(object)->*member));
      };
      field.set = [set = field.set, member](void* object, const Json& json) {
        set(&(static_cast<T*>(object)->*member), json);
      };
      table_.push_back(std::move(field));
    }
    return *this;
  }
  /// A resumed run may change the field described last.
  Describe& resumable() {
    table_.back().resumable = true;
    return *this;
  }
  /// The command-line name of the field described last.
  Describe& option(std::string name) {
    table_.back().option = std::move(name);
    return *this;
  }
  /// What stands for its value in help: "FILE".
  Describe& hint(std::string text) {
    table_.back().hint = std::move(text);
    return *this;
  }
  FieldTable table() { return std::move(table_); }

 private:
  Describe& add_with_default(Field field) {
    const T defaults{};
    field.default_value = field.get(&defaults);
    table_.push_back(std::move(field));
    return *this;
  }
  static Json extent_json(const Extent& extent) {
    return extent.width == extent.height ? Json(extent.width) : Json(extent_text(extent));
  }

  template <class V>
  Describe& add(std::string name, std::string doc, FieldType type, V T::*member, Range range) {
    Field field{.name = std::move(name), .doc = std::move(doc), .type = type};
    field.default_value = T{}.*member;
    field.range = range;
    field.get = [member](const void* object) {
      return Json(static_cast<const T*>(object)->*member);
    };
    field.set = [member](void* object, const Json& json) {
      static_cast<T*>(object)->*member = json.get<V>();
    };
    table_.push_back(std::move(field));
    return *this;
  }

  FieldTable table_;
};

template <class T>
Describe<T> describe() {
  return {};
}

/// True for the path of an object that holds fields: "encoder" of "encoder.width".
bool holds_fields(const FieldTable& table, std::string_view path);

/// Reads object (nested JSON, every leaf known to `table`) into T; keys that are absent keep their
/// default. Throws Error{usage} with all problems.
void read_fields(const FieldTable& table, const Json& object, const std::string& name, void* into);

template <class T>
T from_json(const FieldTable& table, const Json& object, const std::string& name) {
  T value;
  read_fields(table, object, name, &value);
  return value;
}

/// All fields of *object as nested JSON.
Json write_fields(const FieldTable& table, const void* object);

/// JSON Schema (draft 2020-12) of an object with these fields; unknown keys are not allowed.
Json json_schema(const FieldTable& table);

/// Reads and writes a leaf of nested JSON by its dotted path; null pointer when absent.
const Json* find_path(const Json& object, std::string_view path);
void set_path(Json& object, std::string_view path, Json value);

/// The entry of `known` nearest to `word` by edit distance, or empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace genai
