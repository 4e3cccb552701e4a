// Transformers in the folders of Hugging Face's `transformers`, as GPT2LMHeadModel.save_pretrained
// writes them: config.json, model.safetensors (or several files and their index) and the
// tokenizer's tokenizer.json, or vocab.json and merges.txt.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "genai/run/checkpoint.h"

namespace genai {

/// Why a model of these settings (the "model" of a configuration) is none of GPT-2's, a line each;
/// empty: it can be exported.
std::vector<std::string> gpt2_obstacles(const Json& settings);

/// Writes a folder that GPT2LMHeadModel.from_pretrained reads. Biases that the model lacks are
/// zeros. Beside the files of a BPE tokenizer there is always genai-tokenizer.json
/// (Tokenizer::to_json), which read_gpt2 prefers.
/// @param folder  new or empty
/// The tokenizer's special tokens are tokens of the model. Throws Error{usage}: all of
/// gpt2_obstacles, a folder in use.
void export_gpt2(const Checkpoint& checkpoint, const std::filesystem::path& folder);

/// What a run is made from.
struct ImportedModel {
  Json config;  ///< resolved, as Manifest has it
  DataInfo data;
  Tensors weights;
};

/// Strict: every tensor in its shape, of the type that config.json says (else float32), finite, and
/// no other, but for the buffers of old versions (attn.bias, attn.masked_bias) and an
/// lm_head.weight equal to wte.weight. Names may lack "transformer.". A model may have more rows
/// than its tokenizer tokens (a table that was rounded up): they stay, as tokens without a text.
/// eos_token_id ends texts. Throws Error{data} naming the file and what was expected and found.
ImportedModel read_gpt2(const std::filesystem::path& folder);

/// Writes config.json and a checkpoint of step 0: what load_model and `train --init` take.
/// @param run  new or empty
void save_run(const ImportedModel& model, const std::filesystem::path& run,
              const Numerics& numerics);

}  // namespace genai
