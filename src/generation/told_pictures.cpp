#include "genai/generation/told_pictures.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "genai/base/picture.h"
#include "genai/data/images.h"

namespace genai {
namespace {

constexpr double kHidden = 0.5;

/// Numbers in [0, 1], [B, 1 or 3, H, W] each.
std::vector<Tensor> shown(const ConditionSpec& spec, const Tensor& told, const DataInfo& info) {
  const Tensor grid = spec.fold == 1 ? told : at::pixel_shuffle(told, spec.fold);
  if (spec.name == kPast) return grid.split(info.channels, 1);
  if (grid.size(1) != info.channels + 1) return {grid};
  const Tensor known = grid.narrow(1, info.channels, 1);  // of masked
  return {grid.narrow(1, 0, info.channels) + (1 - known) * kHidden};
}

Tensors all_told(const LoadedModel& loaded, const ImageRequest& request) {
  std::vector<int64_t> numbers(static_cast<size_t>(request.count));
  std::iota(numbers.begin(), numbers.end(), request.first);
  return sample_conditions(*loaded.model, with_conditions(loaded, request), loaded.manifest.data,
                           numbers, at::kCPU);
}

}  // namespace

int64_t told_picture_count(const ConditionSpecs& specs, const DataInfo& info) {
  int64_t count = 0;
  for (const ConditionSpec& spec : specs) {
    if (spec.kind != ConditionKind::grid) continue;
    count += spec.name == kPast ? info.past : 1;
  }
  return count;
}

ToldPictures told_pictures(const ConditionSpecs& specs, const Tensors& told, const DataInfo& info) {
  ToldPictures rows;
  for (const ConditionSpec& spec : specs) {
    const auto found = told.find(spec.name);
    if (spec.kind != ConditionKind::grid || found == told.end()) continue;
    for (const Tensor& grids : shown(spec, found->second, info)) {
      const auto pictures = to_images(quantized(grids));
      rows.resize(pictures.size());
      for (size_t i = 0; i < rows.size(); ++i) rows[i].push_back(pictures[i]);
    }
  }
  return rows;
}

ToldPictures told_pictures(const LoadedModel& loaded, const ImageRequest& request) {
  const ConditionSpecs& specs = loaded.model->conditions();
  const DataInfo& info = loaded.manifest.data;
  if (told_picture_count(specs, info) == 0) return {};
  return told_pictures(specs, all_told(loaded, request), info);
}

std::vector<std::string> told_captions(const LoadedModel& loaded, const ImageRequest& request) {
  if (!sequence_of(loaded.model->conditions())) return {};
  const Tensor ids = all_told(loaded, request).at(kCaption).contiguous();
  std::vector<std::string> captions;
  for (const Tensor& row : ids.unbind()) {
    captions.push_back(loaded.manifest.data.captions->decode(
        {row.const_data_ptr<int64_t>(), static_cast<size_t>(row.numel())}));
  }
  return captions;
}

Image side_by_side(const std::vector<Image>& pictures) {
  const bool coloured =
      std::ranges::any_of(pictures, [](const Image& image) { return image.channels == 3; });
  std::vector<Image> alike;
  for (const Image& image : pictures) alike.push_back(coloured ? to_rgb(image) : image);
  return grid(alike, 1, static_cast<int64_t>(alike.size()), /*padding=*/0);
}

}  // namespace genai
