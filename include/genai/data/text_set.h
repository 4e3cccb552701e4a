// Texts as a modality: running text or lines, in the tokens of a vocabulary.
#pragma once
#include "genai/data/sequences.h"
#include "genai/data/text_data.h"

namespace genai {

struct TextSettings {
  std::string tokenizer = "characters";
  int64_t vocabulary = 0;
  bool lines = false;
  std::string validation;
  WindowSettings window;
};

/// How load_text reads what config names.
TextOptions text_options(const DataConfig& config, const TextSettings& settings);

/// Is this a known text, a file that is text, or a folder of texts?
bool is_text_source(const std::string& source);

}  // namespace genai
