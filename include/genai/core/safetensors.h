// The safetensors format, strictly: github.com/huggingface/safetensors, section "Format".
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "genai/core/tensors.h"

namespace genai {

/// Tensors (any device, any layout) as a safetensors file; data in logical row-major order,
/// sorted by alignment and name, so that equal tensors give equal bytes.
std::string write_safetensors(const Tensors& tensors,
                              const std::map<std::string, std::string>& metadata = {});

/// All tensors of a file, on the CPU. `name` is for messages. Throws Error{data} unless the file
/// is valid: header <= 100 MB and well-formed JSON without duplicate keys; known dtypes;
/// shape times element size equal to the byte range, without overflow; ranges that follow each
/// other without hole or overlap and end at the end of the file.
Tensors read_safetensors(std::string_view bytes, const std::string& name);

}  // namespace genai
