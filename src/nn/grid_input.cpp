#include "genai/nn/grid_input.h"

namespace genai {
namespace nn = torch::nn;

GridInputImpl::GridInputImpl(int64_t channels, const std::vector<int64_t>& widths) {
  convolutions_ = register_module("convolutions", nn::ModuleList());
  for (const int64_t width : widths) {
    convolutions_->push_back(nn::Conv2d(nn::Conv2dOptions(channels, width, 1)));
  }
}

at::Tensor GridInputImpl::forward(const at::Tensor& x, const at::Tensor& grid, size_t place) {
  // In the memory order of the maps that it is added to.
  const at::Tensor small =
      at::adaptive_avg_pool2d(grid, {x.size(2), x.size(3)}).contiguous(x.suggest_memory_format());
  return x + convolutions_[place]->as<nn::Conv2d>()->forward(small);
}

}  // namespace genai
