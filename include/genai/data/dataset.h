// A data set in memory, and what a model must know of it.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "genai/base/fields.h"
#include "genai/base/png.h"
#include "genai/core/tensors.h"
#include "genai/data/image_set.h"
#include "genai/data/series.h"
#include "genai/data/tokenizer.h"

namespace genai {

/// How grey values become 0 or 1. Likelihoods under different rules are not comparable, so the
/// rule is part of every metric's name.
enum class Binarize {
  none,     ///< grey values stay: x / 255
  dynamic,  ///< Bernoulli(x / 255), drawn anew each time an image is seen; one fixed draw for test
  fixed,    ///< Bernoulli(x / 255), drawn once for each image
  threshold,  ///< x >= 128
};
extern const EnumNames<Binarize> kBinarizeNames;

/// In what order running text is read.
enum class Windows {
  shuffled,     ///< windows that cover the text once an epoch, in a new order and at new cuts
  consecutive,  ///< row b of a batch goes on where row b of the batch before ended: for models that
                ///< carry their state along (truncated backpropagation through time)
};
extern const EnumNames<Windows> kWindowsNames;
extern const EnumNames<Ground> kGroundNames;

/// What a family learns from.
enum class DataKind {
  images,
  text,  ///< a series of numbers, too
};

struct DataConfig {
  std::string source = "mnist";
  std::string dir;
  Extent size;
  int64_t channels = 0;
  Ground ground = Ground::white;
  double test_share = 0.1;
  int64_t limit = 0;
  std::vector<ClassChoice> leave_out;
  Binarize binarize = Binarize::none;
  std::string tokenizer = "characters";
  int64_t vocabulary = 0;
  int64_t context = 0;
  bool lines = false;
  std::string validation;
  Windows windows = Windows::shuffled;
  std::string column;
  std::string series;
  int64_t season = 0;
  Missing missing = Missing::fill;
  /// No setting: runs of version 0.1 read the bytes of texts as they are (data/text_file.h).
  bool raw = false;
};
/// All, and those that data of a kind has.
const FieldTable& data_fields();
FieldTable data_fields(DataKind kind);

/// Stored with the weights, so that sampling needs no data set.
struct DataInfo {
  std::string source;  ///< "mnist", "mnist-without-9", or the name of a folder
  int64_t channels = 1, height = 28, width = 28;
  std::vector<std::string> classes;  ///< names by label; empty: no labels
  Binarize binarize = Binarize::none;
  int64_t train_count = 0, test_count = 0;
  std::string fingerprint;  ///< SHA-256 of what defines the images or the text

  // Of texts; what is above on images does not count then.
  std::shared_ptr<const Tokenizer> tokenizer;  ///< null: images
  bool lines = false;                          ///< each line is an item of its own
  int64_t context = 0;                         ///< T: tokens of a window; lines are as long at most
  Windows windows = Windows::shuffled;

  bool is_text() const { return tokenizer != nullptr; }
  /// Numbers that follow each other; a text, too.
  bool is_series() const { return is_text() && tokenizer->changes(); }
  int64_t vocabulary() const { return tokenizer ? tokenizer->size() : 0; }
  int64_t pixels() const { return channels * height * width; }
  int64_t class_count() const { return static_cast<int64_t>(classes.size()); }
};
/// The label of a class: the one of that name (in another case, or as another way to write the same
/// number), else the number of a label, unless all classes are numbers themselves.
/// Throws Error{usage} naming `option` and the classes.
int64_t find_label(const DataInfo& info, const std::string& text, const std::string& option);
/// "cat, dog": the names, or the first dozen and how many there are.
std::string class_list(const DataInfo& info);
/// Throws Error{data} unless images of `found` have the shape that a model of `expected` takes.
void check_same_shape(const DataInfo& expected, const DataInfo& found);
Json to_json(const DataInfo& info);
/// @param tokenizer  the one that `json` only names; null: it is in `json`, where there is one
DataInfo data_info_from_json(const Json& json,
                             std::shared_ptr<const Tokenizer> tokenizer = nullptr);

struct Split {
  Tensor images{};  ///< uint8 [N, C, H, W]
  Tensor labels{};  ///< int64 [N], or undefined
  Tensor tokens{};  ///< int32 [N], one text or lines each with its end
  Tensor
      starts{};  ///< int64 [lines + 1]: line i is tokens starts[i] to starts[i + 1]; else undefined
  Tensor values{};  ///< float64 [lead + N]: of a series (data/series.h), those before the first
                    ///< change and after each
  int64_t context = 0;
  /// Images, lines or windows: window i has the tokens i T to (i + 1) T and their next ones.
  int64_t size() const;
  Split first(int64_t count) const;
  /// The items whose label is in `labels` (or, with `inside` false, is not).
  Split with_labels(const std::vector<int64_t>& labels, bool inside = true) const;
};

struct Dataset {
  DataInfo info;
  Split train, test;
  std::vector<std::string> notes;  ///< what the user should know
};

/// Finds, reads and checks the set that config names: a built-in or known set, a folder of images
/// or a text file. `download` allows fetching a known set. Throws Error{data} when it is missing or
/// damaged.
/// @param tokenizer  of texts: the one to use; null: made as config says
/// @param known      of images: the set that this is to be, read in its shape and with its order of
///                   classes where config leaves them open; null: as config says
Dataset load_dataset(const DataConfig& config, bool download = true,
                     std::shared_ptr<const Tokenizer> tokenizer = nullptr,
                     const DataInfo* known = nullptr);

/// Throws Error{usage} where a setting of image folders is given for a set that comes with its own
/// test images.
void refuse_settings_of_folders(const DataConfig& config);

/// What was read of images, in one line: size, channels, splits, classes and all notes.
std::string describe_images(const Dataset& data);

/// The folder that data sets are looked for in: `dir` if given, $GENAI_DATA, or "data".
std::filesystem::path data_folder(const std::string& dir);

/// uint8 [N, C, H, W] of our images.
Tensor to_tensor(const LabelledImages& images);

}  // namespace genai
