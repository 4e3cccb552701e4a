#include "genai/core/draw.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <numeric>

#include "genai/core/device.h"
#include "genai/core/philox.h"

namespace genai {

Draw::Draw(uint64_t seed, std::string purpose, std::vector<int64_t> items, at::Device device)
    : seed_(seed), purpose_(std::move(purpose)), items_(std::move(items)), device_(device) {}

template <class Fill>
Tensor Draw::make(std::string_view name, at::IntArrayRef shape, int64_t first, Fill fill) const {
  std::vector<int64_t> sizes{items()};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  const Tensor numbers = at::empty(sizes, host_options(at::kFloat, device_));
  const int64_t per_item = items() ? numbers.numel() / items() : 0;
  const uint64_t key = stream_key(seed_, purpose_ + "/" + std::string(name));
  float* out = numbers.mutable_data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, per_item));
  at::parallel_for(0, items(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      fill(key, static_cast<uint64_t>(items_[static_cast<size_t>(i)]), static_cast<uint64_t>(first),
           out + i * per_item, per_item);
    }
  });
  return numbers.to(device_, /*non_blocking=*/true);
}

Tensor Draw::normal(std::string_view name, at::IntArrayRef shape, int64_t first) const {
  return make(name, shape, first, philox_normal);
}

Tensor Draw::uniform(std::string_view name, at::IntArrayRef shape, int64_t first) const {
  return make(name, shape, first, philox_uniform);
}

std::vector<int64_t> random_permutation(uint64_t seed, std::string_view purpose, int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::vector<uint64_t> bits(static_cast<size_t>(n));
  philox_bits(stream_key(seed, purpose), 0, 0, bits.data(), n);
  // Fisher-Yates; the product's high word is uniform in 0 .. i up to a bias of i / 2^64.
  for (size_t i = order.size(); i-- > 1;) {
    const auto j = static_cast<size_t>((static_cast<unsigned __int128>(bits[i]) * (i + 1)) >> 64);
    std::swap(order[i], order[j]);
  }
  return order;
}

}  // namespace genai
