// What the items of data sets are: images, texts, series of numbers. All that the program knows of
// one is an entry of a table.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "genai/base/fields.h"
#include "genai/base/image.h"
#include "genai/core/tensors.h"

namespace genai {

struct DataConfig;  // data/dataset.h
struct DataInfo;
struct Dataset;
class Tokenizer;

/// What families compute on, whatever it stands for.
enum class ItemKind {
  grid,      ///< numbers [C, H, W]
  sequence,  ///< tokens, one after the other
};

struct LoadOptions {
  bool download = true;                                  ///< a known set may be fetched
  std::shared_ptr<const Tokenizer> tokenizer = nullptr;  ///< of sequences: the one to use; null:
                                                         ///< made as the configuration says
  const DataInfo* known = nullptr;  ///< the set that this is to be, where the configuration leaves
                                    ///< something open (shape and classes of images)
};

class Modality {
 public:
  virtual ~Modality() = default;
  virtual std::string name() const = 0;  ///< "images"
  virtual ItemKind kind() const = 0;

  /// Its settings in a configuration, beside those that every data set has.
  virtual FieldTable settings() const = 0;
  /// Is the data that config names of this modality? Throws what finding that out throws.
  /// @param tokenizer  that it is to be read with, or null
  virtual bool claims(const DataConfig& config, const Tokenizer* tokenizer) const = 0;
  /// Finds, reads, checks and splits what it claims. Throws Error{usage} for settings that do not
  /// fit, Error{data} for what is missing or damaged.
  virtual Dataset load(const DataConfig& config, const LoadOptions& options) const = 0;
  /// Throws Error{usage} for settings that say nothing of this data; older runs may have some.
  virtual void refuse_idle_settings(const DataConfig&) const {}

  /// What is stored of the spec of its items, and what is stored, checked. read throws Error{data}
  /// or Json::exception.
  virtual void write(const DataInfo& info, Json& json) const = 0;
  virtual void read(const Json& json, DataInfo& info) const = 0;

  /// What items are called: "images", "lines".
  virtual std::string items(const DataInfo& info) const = 0;
  /// What the items are, for people: "28x28 grey, 10 classes: 0, 1, ...".
  virtual std::string describe(const DataInfo& info) const = 0;
  /// Throws Error{data} unless items of `found` are what a model of `expected` takes.
  virtual void check_same_items(const DataInfo& expected, const DataInfo& found) const;
  /// The groups of metrics (evaluation/evaluate.h) that can be measured, by name.
  virtual std::vector<std::string> metrics() const = 0;
  /// Of grids: pictures of items [N, C, H, W], for sheets. Throws std::logic_error for sequences.
  virtual std::vector<Image> pictures(const Tensor& items) const;
};

/// The first one that claims data wins.
const std::vector<const Modality*>& modalities();

/// For programs that bring a modality of their own, before any data is loaded. It is asked before
/// those that are there.
void add_modality(const Modality& modality);

/// Throws Error{data} naming those there are.
const Modality& find_modality(const std::string& name);

/// The modality of what config names. Throws Error{data} where there is no such data.
const Modality& modality_of(const DataConfig& config, const Tokenizer* tokenizer = nullptr);

/// Of what was stored with nothing but its tokens, or with none (null).
const Modality& modality_of_tokens(const Tokenizer* tokenizer);

/// "text and series": those of a kind.
std::string modality_names(ItemKind kind);

// The built-in ones.
const Modality& image_modality();
const Modality& text_modality();
const Modality& series_modality();

}  // namespace genai
