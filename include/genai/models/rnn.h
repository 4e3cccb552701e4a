// A recurrent network that learns to write: a state of fixed size is all that it keeps of the text.
//   tanh   J. Elman, "Finding structure in time", 1990
//   GRU    K. Cho et al., 2014, equations 5-8 (the reset gate behind the product, as in cuDNN)
//   LSTM   S. Hochreiter, J. Schmidhuber, 1997; F. Gers et al., 2000
#pragma once
#include "genai/core/language_shapes.h"
#include "genai/model/family.h"

namespace genai {

struct RnnConfig {
  Cell cell = Cell::lstm;
  int64_t layers = 2;
  int64_t width = 200;
  int64_t embedding = 0;
  bool tied = true;
  double dropout = 0;
};

extern const EnumNames<Cell> kCellNames;

/// Throws Error{usage} for settings that do not fit each other.
RnnShape rnn_shape(const RnnConfig& config, const DataInfo& info);

Family rnn_family();

}  // namespace genai
