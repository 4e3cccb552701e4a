// Transformers in the folders of Hugging Face's `transformers`, as GPT2LMHeadModel.save_pretrained
// writes them: config.json, model.safetensors and the tokenizer's vocab.json and merges.txt.
#pragma once
#include <filesystem>

#include "genai/run/checkpoint.h"

namespace genai {

/// Writes a folder that GPT2LMHeadModel.from_pretrained reads. Biases that the model lacks are
/// zeros. Beside the files of a BPE tokenizer there is always genai-tokenizer.json
/// (Tokenizer::to_json), which read_gpt2 prefers.
/// @param folder  new or empty
/// Throws Error{usage} for another family, a setting that GPT-2 lacks, a folder in use.
void export_gpt2(const Checkpoint& checkpoint, const std::filesystem::path& folder);

/// What a run is made from.
struct ImportedModel {
  Json config;   ///< resolved, as Manifest has it
  DataInfo data;
  Tensors weights;
};

/// Strict: every tensor in its shape and no other, but for the buffers of old versions (attn.bias,
/// attn.masked_bias) and an lm_head.weight equal to wte.weight. Names may lack "transformer.".
/// Throws Error{data} naming the file and what was expected and found.
ImportedModel read_gpt2(const std::filesystem::path& folder);

/// Writes config.json and a checkpoint of step 0: what load_model and `train --init` take.
/// @param run  new or empty
void save_run(const ImportedModel& model, const std::filesystem::path& run,
              const Numerics& numerics);

}  // namespace genai
