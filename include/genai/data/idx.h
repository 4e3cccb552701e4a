// IDX, the file format of MNIST: a big-endian header, then bytes (yann.lecun.com/exdb/mnist).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "genai/data/image_set.h"

namespace genai {

/// Reads one split from the unpacked bytes of an image file (magic 2051; count, rows, columns; a
/// byte a pixel) and a label file (magic 2049; count; a byte a label); the names are for messages.
/// Strict: sides 1 to 4096, at least one image, as many labels as images, each below `classes`, not
/// a byte missing or left over. Every size is checked against the real one before memory is taken.
/// Throws Error{data} with what was expected and found.
LabelledImages read_idx(std::string_view images, std::string_view labels,
                        const std::string& images_name, const std::string& labels_name,
                        int64_t classes = 10);

/// The image file alone, likewise.
LabelledImages read_idx_images(std::string_view images, const std::string& name);

/// The image file of read_idx. Throws Error{usage} unless the images have one channel.
std::string write_idx_images(const LabelledImages& images);

}  // namespace genai
