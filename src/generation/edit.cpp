#include "genai/generation/edit.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <numeric>

#include "genai/base/error.h"
#include "genai/data/batcher.h"
#include "genai/generation/model_space.h"
#include "genai/sampling/editing.h"

namespace genai {

const EnumNames<Edit> kEditNames = {
    {Edit::inpaint, "inpaint"}, {Edit::upscale, "upscale"},   {Edit::vary, "vary"},
    {Edit::blend, "blend"},     {Edit::colorize, "colorize"}, {Edit::draw, "draw"},
    {Edit::repair, "repair"},   {Edit::dream, "dream"},       {Edit::style, "style"}};

namespace {

constexpr int64_t kRestoringSteps = 30, kTravellingSteps = 18;
constexpr double kUsualStrength = 0.5;

std::string size_text(int64_t width, int64_t height) {
  return concat(width, "x", height);
}

/// The whole factor by which pictures are smaller than the model's images.
int64_t upscaling_factor(const Tensor& pictures, const DataInfo& info) {
  const int64_t h = pictures.size(2), w = pictures.size(3), factor = info.height / h;
  if (factor < 2 || h * factor != info.height || w * factor != info.width) {
    fail(ErrorKind::usage,
         "upscale: expected a picture that is a whole number of times smaller than ",
         size_text(info.width, info.height), " (", size_text(info.width / 2, info.height / 2),
         "), found ", size_text(w, h));
  }
  return factor;
}

/// What a model is told that makes the edit by itself, "grey", "low-4", one of these; empty: none
/// does.
std::vector<std::string> told_for(Edit edit, const Tensor& pictures, const DataInfo& info) {
  switch (edit) {
    case Edit::colorize:
      return {"grey"};
    case Edit::draw:
      return {"sketch", kPair};
    case Edit::repair:
      return {"masked"};
    case Edit::upscale:
      return {concat("low-", upscaling_factor(pictures, info))};
    default:
      return {};
  }
}

/// The condition by which a model makes the edit, or null where a Denoiser can do without. Throws
/// Error{usage} where neither is there.
const ConditionSpec* told_spec(const EditRequest& request, const Model& model,
                               const Tensor& pictures, const DataInfo& info) {
  const std::vector<std::string> names = told_for(request.edit, pictures, info);
  if (names.empty()) return nullptr;
  for (const ConditionSpec& spec : model.conditions()) {
    const bool numbered = spec.rule && spec.rule->parameter > 0;
    const std::string own = numbered ? concat(spec.rule->name, "-", spec.parameter) : spec.name;
    if (std::ranges::find(names, own) != names.end()) return &spec;
  }
  if (request.edit == Edit::upscale) return nullptr;
  fail(ErrorKind::usage, enum_name(kEditNames, request.edit), ": expected a model that is told ",
       names[0], names.size() > 1 ? " or " + names[1] : "", "; train one with model.condition ",
       names[0]);
}

/// The grid [1, channels, H, W] that an edit tells a model of a picture uint8 [C, H, W].
Tensor told_grid(Edit edit, const ConditionSpec& spec, const Tensor& picture, const Tensor& mask,
                 const DataInfo& info) {
  const Tensor x = picture.to(at::kFloat).div(255).unsqueeze(0);
  Tensor grid;
  if (edit == Edit::repair) {
    const Tensor known = mask.lt(128).to(at::kFloat).view({1, 1, info.height, info.width});
    grid = at::cat({x * known, known}, 1);
  } else if (edit == Edit::upscale) {
    grid = at::upsample_nearest2d(x, {info.height, info.width});
  } else {
    grid = find_rule("grey").derive(x, 0, Draw(0, "", {0}));  // of a drawing, too
    grid = grid.expand({1, spec.channels / (spec.fold * spec.fold), -1, -1});
  }
  return spec.fold == 1 ? grid : at::pixel_unshuffle(grid, spec.fold);
}

void check(const EditRequest& request, const Model& model, const DataInfo& info, int64_t count,
           const Tensor& pictures, const Tensor& mask) {
  check_request({.first = request.first,
                 .count = count,
                 .label = request.label,
                 .condition = {.items = {.grids = pictures}}},
                model, info);
  const bool told = told_spec(request, model, pictures, info) != nullptr;
  if (request.strength && !(*request.strength > 0 && *request.strength <= 1)) {
    fail(ErrorKind::usage, "request.strength: expected more than 0 and at most 1, found ",
         *request.strength);
  }
  if (request.strength && request.edit != Edit::vary && request.edit != Edit::draw) {
    fail(ErrorKind::usage, "request.strength: is for vary and draw, not for ",
         enum_name(kEditNames, request.edit));
  }
  if (request.strength && request.edit == Edit::draw && request.options.contains("guidance")) {
    fail(ErrorKind::usage,
         "request.strength: is sampling.guidance in other words; expected one of ", "them");
  }
  const bool restores = request.edit == Edit::inpaint || request.edit == Edit::upscale;
  if (restores && !told && model.inputs().codec) {
    fail(ErrorKind::usage, enum_name(kEditNames, request.edit),
         ": measures pixels, and this model ",
         "computes on the latents of its codec; vary and blend apply to it");
  }
  if (request.edit == Edit::upscale) {
    upscaling_factor(pictures, info);
  } else if (pictures.size(2) != info.height || pictures.size(3) != info.width) {
    fail(ErrorKind::usage, enum_name(kEditNames, request.edit), ": expected a picture ",
         size_text(info.width, info.height), " as the model makes, found ",
         size_text(pictures.size(3), pictures.size(2)));
  }
  if (request.edit == Edit::inpaint || request.edit == Edit::repair) {
    if (mask.size(0) != info.height || mask.size(1) != info.width) {
      fail(ErrorKind::usage, "request.mask: expected the picture's size ",
           size_text(info.width, info.height), ", found ", size_text(mask.size(1), mask.size(0)));
    }
    if (!mask.any().item<bool>()) {
      fail(ErrorKind::usage,
           "request.mask: covers nothing; expected pixels that are not black, or ",
           "transparent, where to fill");
    }
  }
}

/// One chunk of rows, each with the number of its version.
class Editor {
 public:
  Editor(const LoadedModel& loaded, const EditRequest& request, const Tensor& mask)
      : request_(request),
        denoiser_(loaded.as<Denoiser>("edit")),
        conditions_(loaded.model->conditions()),
        info_(loaded.manifest.data),
        space_(*loaded.model, info_),
        device_(loaded.device) {
    if (mask.defined()) keep_ = mask.lt(128).to(at::kFloat).to(device_);
  }

  /// @param pictures  uint8 [kChunk, C, H, W]; `others` alike or undefined
  /// @param share     [kChunk], of the way from a picture to its other
  Tensor edit(const Tensor& pictures, const Tensor& others, const Tensor& share,
              const std::vector<int64_t>& numbers) {
    const Draw draw(kGenerationSeed, "edit", numbers, device_);
    const std::vector<int64_t> shape = space_.shape();
    const Tensor noise = draw.normal("noise", shape);
    const auto fresh = [&](int64_t step) { return draw.normal(concat("step ", step), shape); };
    const Tensor images = centred(pictures);
    const Denoiser::SamplingPlan plan = denoiser_.sampling_plan(told(pictures, numbers), options());
    switch (request_.edit) {
      case Edit::inpaint:
      case Edit::upscale: {
        const Measurement known = request_.edit == Edit::inpaint
                                      ? keep_pixels(images, keep_)
                                      : average_pixels(images, upscaling_factor(pictures, info_));
        const Tensor found = pixels(
            restore(noise * plan.levels.front().sigma, plan.levels, plan.denoise, known, fresh));
        if (request_.edit == Edit::upscale) return found;
        return at::where(keep_.cpu().gt(0), pictures, found);
      }
      case Edit::vary: {
        const auto levels = last_levels(plan.levels, request_.strength.value_or(kUsualStrength));
        const Tensor x = levels.front().alpha * images + levels.front().sigma * noise;
        return pixels(solve(x, levels, plan.denoise, fresh, plan.solver));
      }
      case Edit::blend: {
        const Tensor from = noise_of_image(images, plan.levels, plan.denoise);
        const Tensor to = noise_of_image(centred(others), plan.levels, plan.denoise);
        const Tensor x = spherical_mix(from, to, share.to(device_));
        return pixels(solve(x, plan.levels, plan.denoise, fresh, plan.solver));
      }
      default:
        break;
    }
    throw std::logic_error("an edit that a model must be told");
  }

 private:
  Tensor centred(const Tensor& pictures) const { return space_.centred(pictures.to(device_)); }
  Tensor pixels(const Tensor& centred) const { return space_.pictures(centred); }

  /// What is derived from the pictures, where they are as large as the model's. Without a class the
  /// model's unconditional half is asked.
  Tensors told(const Tensor& pictures, const std::vector<int64_t>& numbers) const {
    if (request_.edit == Edit::upscale) return {};
    Split items{.grids = pictures};
    if (request_.label >= 0) items.labels = at::full({pictures.size(0)}, request_.label, at::kLong);
    std::vector<int64_t> rows(numbers.size());
    std::iota(rows.begin(), rows.end(), 0);
    return test_conditions(conditions_, items, info_, rows, device_);
  }

  /// Editing wants more steps than sampling does, and no path that begins without any signal.
  Json options() const {
    const bool restores = request_.edit == Edit::inpaint || request_.edit == Edit::upscale;
    Json options = {{"steps", restores ? kRestoringSteps : kTravellingSteps}, {"levels", "karras"}};
    options.update(request_.options);
    return options;
  }

  const EditRequest& request_;
  Denoiser& denoiser_;
  const ConditionSpecs& conditions_;
  const DataInfo& info_;
  ModelSpace space_;
  at::Device device_;
  Tensor keep_;  // [H, W], 1 where the picture stays
};

}  // namespace

namespace {

/// Sampling options of the edit: how closely to keep to a drawing is guidance, from -1, without it,
/// by 0, as trained, to 1.
Json told_options(const EditRequest& request, const Family& family) {
  Json options = request.options;
  if (!request.strength) return options;
  if (std::ranges::find(family.sampling, "guidance", &Field::name) == family.sampling.end()) {
    fail(ErrorKind::usage, "request.strength: models of the family ", family.name,
         " keep to a drawing as they were trained; diffusion has strengths");
  }
  options["guidance"] = 2 * *request.strength - 1;
  return options;
}

/// `count` samples that are told each of the pictures.
Tensor make_told(const LoadedModel& loaded, const EditRequest& request, int64_t count,
                 const ConditionSpec& spec, const Tensor& pictures, const Tensor& mask) {
  const DataInfo& info = loaded.manifest.data;
  const Json options = told_options(request, *loaded.family);
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < pictures.size(0); ++i) {
    const Tensor grid = told_grid(request.edit, spec, pictures[i], mask, info);
    const Tensor made = generate_items(loaded, {.first = request.first + i * count,
                                                .count = count,
                                                .label = request.label,
                                                .options = options,
                                                .condition = {.given = {{spec.name, grid}}},
                                                .check_wanted = request.check_wanted});
    // Where the picture is known it stays.
    parts.push_back(request.edit == Edit::repair
                        ? at::where(mask.lt(128), pictures[i].unsqueeze(0), made)
                        : made);
  }
  return at::cat(parts);
}

}  // namespace

Tensor edit_pixels(const LoadedModel& loaded, const EditRequest& request, int64_t count,
                   const Tensor& pictures, const Tensor& others, const Tensor& mask) {
  const DataInfo& info = loaded.manifest.data;
  const ConditionSpec* told = told_spec(request, *loaded.model, pictures, info);
  if (!told) loaded.as<Denoiser>("edit");
  check(request, *loaded.model, info, count, pictures, mask);
  if (told) return make_told(loaded, request, count, *told, pictures, mask);
  const at::NoGradGuard no_autograd;  // not InferenceMode: restoring asks for gradients
  Editor editor(loaded, request, mask);
  // Row r of the whole is version r % count of picture r / count. Chunks are padded to one size:
  // matrix products round differently at other numbers of rows.
  const int64_t rows = pictures.size(0) * count;
  std::vector<Tensor> parts;
  for (int64_t begin = 0; begin < rows; begin += kChunk) {
    if (request.check_wanted) request.check_wanted();
    std::vector<int64_t> numbers, picture;
    std::vector<float> share;
    for (int64_t r = begin; r < begin + kChunk; ++r) {
      const int64_t row = std::min(r, rows - 1);
      numbers.push_back(request.first + row);
      picture.push_back(row / count);
      share.push_back(count > 1 ? static_cast<float>(row % count) / static_cast<float>(count - 1)
                                : 0.5f);
    }
    const Tensor chosen = at::tensor(picture);
    const Tensor edited = editor.edit(pictures.index_select(0, chosen),
                                      others.defined() ? others.index_select(0, chosen) : Tensor(),
                                      at::tensor(share), numbers);
    parts.push_back(edited.narrow(0, 0, std::min(kChunk, rows - begin)));
  }
  return at::cat(parts);
}

}  // namespace genai
