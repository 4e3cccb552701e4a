#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <torch/headeronly/version.h>

#include <iostream>

int main() {
  if (at::ones({2}).sum().item<float>() != 2.0f) return 1;
  std::cout << "LibTorch " << TORCH_VERSION << ", CUDA "
            << (at::globalContext().hasCUDA() ? "available" : "not available") << "\n";
}
