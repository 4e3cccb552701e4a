// `sample` and `show next` of models that write.
#pragma once
#include "command.h"
#include "genai/decode/decoder.h"
#include "genai/run/checkpoint.h"

namespace genai::tool {

/// What only texts take: --prompt and so on.
struct TextOptions {
  std::string prompt, weights = "float32";
  int64_t length = 500;
  std::vector<std::string> stops;
  bool interactive = false;
  /// The options as groups of `command`.
  void add(Command& command);
  /// Those given although the run makes pictures: a usage error.
  static void refuse(const Command& command);
  /// The prompt itself, or what is in the file of "@FILE" without the line end behind it, as
  /// plain_text has it (data/text_file.h).
  std::string prompt_text() const;
  std::vector<std::string> stop_texts() const;
};

struct TextJob {
  const RunReference& reference;
  const Checkpoint& checkpoint;
  const Manifest& manifest;
  const TextOptions& text;
  const ComputeOption& compute;
  Json sampling;  ///< the resolved sampling fields
  int64_t first = 0, count = 1;
  std::string out;  ///< a file, "" or "-" for standard output
  bool json = false, metadata = true;
};

/// Writes the texts: one as it comes about, several one after the other.
int sample_texts(const TextJob& job);

/// Forecasts a series from the values of the prompt: a fan as PNG and its numbers as CSV.
int sample_series(const TextJob& job);

/// --weights, of `sample` and `evaluate`.
void add_weights_option(CLI::App& app, std::string& weights);
/// Throws Error{usage} for an unknown name.
WeightFormat weight_format(const std::string& name);

}  // namespace genai::tool
