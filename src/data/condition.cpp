#include "genai/data/condition.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>

#include "genai/base/error.h"
#include "genai/base/picture.h"

namespace genai {
namespace {

/// ITU-R BT.601.
constexpr double kRed = 0.299, kGreen = 0.587, kBlue = 0.114;
constexpr double kEdgeScale = 2;  // a step from black to white has a slope of 4

/// [B, 1, H, W]
Tensor luma(const Tensor& x) {
  if (x.size(1) == 1) return x;
  const auto c = x.split(1, 1);
  return kRed * c[0] + kGreen * c[1] + kBlue * c[2];
}

int64_t colours_to_grey(const DataInfo& info, int64_t) {
  if (info.channels != 3) {
    fail(ErrorKind::usage, "model.condition: grey is of images in colour; those of '", info.source,
         "' are grey");
  }
  return 1;
}

/// Dark lines on white where the Sobel filter (I. Sobel, G. Feldman 1968) finds edges.
Tensor sketch(const Tensor& x, int64_t, const Draw&) {
  const Tensor grey = at::replication_pad2d(luma(x), {1, 1, 1, 1});
  // Along a dimension: 1 2 1, and the difference across two pixels.
  const auto part = [](const Tensor& t, int64_t dim, int64_t from) {
    return t.narrow(dim, from, t.size(dim) - 2);
  };
  const auto smooth = [&](const Tensor& t, int64_t dim) {
    return part(t, dim, 0) + 2 * part(t, dim, 1) + part(t, dim, 2);
  };
  const auto slope = [&](const Tensor& t, int64_t dim) {
    return part(t, dim, 2) - part(t, dim, 0);
  };
  const Tensor across = slope(smooth(grey, 2), 3), down = slope(smooth(grey, 3), 2);
  return 1 - ((across.square() + down.square()).sqrt() / kEdgeScale).clamp_max(1);
}

int64_t channels_of_low(const DataInfo& info, int64_t factor) {
  if (factor < 2 || info.height % factor != 0 || info.width % factor != 0) {
    fail(ErrorKind::usage, "model.condition: low-", factor, ": expected a factor from 2 on that ",
         "divides ", info.width, "x", info.height);
  }
  return info.channels;
}

/// Blocks of factor x factor pixels, each of one value.
Tensor low(const Tensor& x, int64_t factor, const Draw&) {
  return at::upsample_nearest2d(at::avg_pool2d(x, factor), {x.size(2), x.size(3)});
}

/// A hole of half the height and width at a random place; the last channel says what is known.
Tensor masked(const Tensor& x, int64_t, const Draw& draw) {
  const int64_t h = x.size(2), w = x.size(3), tall = (h + 1) / 2, wide = (w + 1) / 2;
  const Tensor place = draw.uniform("hole", {2});                       // [B, 2]
  const auto within = [&](int64_t side, int64_t hole, int64_t which) {  // [B, side]
    const Tensor from =
        (place.select(1, which) * static_cast<double>(side - hole + 1)).floor().unsqueeze(1);
    const Tensor at = at::arange(side, from.options());
    return at.ge(from).logical_and(at.lt(from + hole));
  };
  const Tensor hole = within(h, tall, 0).unsqueeze(2).logical_and(within(w, wide, 1).unsqueeze(1));
  const Tensor known = hole.logical_not().to(x.dtype()).unsqueeze(1);  // [B, 1, H, W]
  return at::cat({x * known, known}, 1);
}

std::vector<ConditionRule> make_rules() {
  const auto one = [](const DataInfo&, int64_t) -> int64_t { return 1; };
  return {
      {.name = "grey",
       .about = "the image without its colours",
       .channels = colours_to_grey,
       .derive = [](const Tensor& x, int64_t, const Draw&) { return luma(x); }},
      {.name = "sketch",
       .about = "its edges, dark lines on white",
       .channels = one,
       .derive = sketch},
      {.name = "low",
       .about = "the image so many times smaller",
       .parameter = 2,
       .channels = channels_of_low,
       .derive = low,
       .accept = [](const Tensor& x, int64_t factor) { return low(x, factor, Draw(0, "", {0})); }},
      {.name = "masked",
       .about = "the image with a hole, and where it is",
       .channels = [](const DataInfo& info, int64_t) { return info.channels + 1; },
       .derive = masked}};
}

/// Pixels of a side that stand in one place of what the model sees.
int64_t fold_of(const std::string& name, const DataInfo& info, const DataInfo& seen) {
  const int64_t fold = info.height / seen.height;
  if (fold < 1 || seen.height * fold != info.height || seen.width * fold != info.width) {
    fail(ErrorKind::usage, "model.condition: ", name, ": expected a codec whose grids divide ",
         info.width, "x", info.height, "; they are ", seen.width, "x", seen.height);
  }
  return fold;
}

Tensor folded(const Tensor& grid, int64_t fold) {
  return fold == 1 ? grid : at::pixel_unshuffle(grid, fold);
}

ConditionSpec find_grid(const std::string& name, const DataInfo& info, const DataInfo& seen) {
  const size_t dash = name.find('-');
  for (const ConditionRule& rule : condition_rules()) {
    if (rule.name != name.substr(0, dash)) continue;
    int64_t parameter = rule.parameter;
    if (dash != name.npos) {
      const char* end = name.data() + name.size();
      const auto [rest, error] = std::from_chars(name.data() + dash + 1, end, parameter);
      if (rule.parameter == 0 || error != std::errc() || rest != end) break;
    }
    if (info.levels == 0 || info.kind() != ItemKind::grid) {
      fail(ErrorKind::usage, "model.condition: ", name, " is derived from images; '", info.source,
           "' is ", info.modality->name());
    }
    const int64_t fold = fold_of(name, info, seen);
    return {.name = name,
            .kind = ConditionKind::grid,
            .channels = rule.channels(info, parameter) * fold * fold,
            .parameter = parameter,
            .fold = fold,
            .rule = &rule};
  }
  fail(ErrorKind::usage, "model.condition: '", name, "' is none; expected ", condition_names());
}

/// A grid that comes with the items. @param lacks  why they have none, where channels is 0
ConditionSpec find_given(const char* name, int64_t channels, const char* lacks,
                         const DataInfo& info, const DataInfo& seen) {
  if (channels == 0) {
    fail(ErrorKind::usage, "model.condition: ", name, ": the pictures of '", info.source, "' have ",
         lacks);
  }
  const int64_t fold = fold_of(name, info, seen);
  return {
      .name = name, .kind = ConditionKind::grid, .channels = channels * fold * fold, .fold = fold};
}

ConditionSpec find_pair(const DataInfo& info, const DataInfo& seen) {
  return find_given(kPair, info.pair_channels, "none; expected --pair FOLDER", info, seen);
}

ConditionSpec find_past(const DataInfo& info, const DataInfo& seen) {
  return find_given(kPast, info.past * info.channels,
                    "no frames before them; expected clips and data.past N", info, seen);
}

ConditionSpec find_caption(const DataInfo& info) {
  if (!info.captions) {
    fail(ErrorKind::usage, "model.condition: caption: the images of '", info.source,
         "' have none; expected captions.csv or captions.txt beside the pictures, lines of ",
         "\"name, caption\"");
  }
  return {.name = kCaption,
          .kind = ConditionKind::sequence,
          .vocabulary = info.captions->vocabulary(),
          .length = info.captions->length()};
}

ConditionSpec find_class(const DataInfo& info) {
  if (info.classes.empty()) {
    fail(ErrorKind::usage, "model.condition: class: the data set '", info.source,
         "' has no labels; expected classes in folders, or a model that is told something else or "
         "nothing (model.condition '')");
  }
  return {.name = kClass, .kind = ConditionKind::label, .classes = info.class_count()};
}

}  // namespace

const std::vector<ConditionRule>& condition_rules() {
  static const std::vector<ConditionRule> all = make_rules();
  return all;
}

const ConditionRule& find_rule(const std::string& name) {
  const auto found = std::ranges::find(condition_rules(), name, &ConditionRule::name);
  if (found == condition_rules().end()) throw std::logic_error("no rule '" + name + "'");
  return *found;
}

std::string condition_names() {
  std::string names = concat(kClass, ", ", kPair, ", ", kPast, ", ", kCaption);
  for (const ConditionRule& rule : condition_rules()) {
    names += ", " + rule.name + (rule.parameter > 0 ? " (or " + rule.name + "-N)" : "");
  }
  return names;
}

ConditionSpecs find_conditions(const std::string& names, const DataInfo& info,
                               const DataInfo& seen) {
  ConditionSpecs specs;
  for (size_t at = 0; at < names.size();) {
    const size_t end = std::min(names.find(',', at), names.size());
    const std::string name = names.substr(at, end - at);
    at = end + 1;
    if (find_condition(specs, name)) {
      fail(ErrorKind::usage, "model.condition: '", name, "' is there twice");
    }
    specs.push_back(name == kClass     ? find_class(info)
                    : name == kPair    ? find_pair(info, seen)
                    : name == kPast    ? find_past(info, seen)
                    : name == kCaption ? find_caption(info)
                                       : find_grid(name, info, seen));
  }
  return specs;
}

Tensors conditions_of(const ConditionSpecs& specs, const Tensor& items,
                      const GivenConditions& given, const Draw& draw) {
  Tensors found;
  for (const ConditionSpec& spec : specs) {
    const Tensor value = spec.rule               ? spec.rule->derive(items, spec.parameter, draw)
                         : spec.name == kPair    ? given.pairs
                         : spec.name == kPast    ? given.past
                         : spec.name == kCaption ? given.captions
                                                 : given.labels;
    if (value.defined()) found[spec.name] = folded(value, spec.fold);
  }
  return found;
}

Tensor condition_of_picture(const ConditionSpec& spec, const Image& picture, const DataInfo& info) {
  const auto tensor_of = [](const Image& image) {  // [1, C, H, W] in [0, 1]
    return at::tensor(at::ArrayRef<uint8_t>(image.pixels), at::kByte)
        .view({1, image.height, image.width, image.channels})
        .permute({0, 3, 1, 2})
        .to(at::kFloat)
        .div(255);
  };
  const int64_t channels = spec.channels / (spec.fold * spec.fold);
  const Image coloured = channels == 1 ? to_grey(picture) : to_rgb(picture);
  if (channels != 1 && channels != 3) {
    fail(ErrorKind::usage, "request.condition: ", spec.name,
         " is taken from test images alone; expected test:N");
  }
  const int64_t factor = spec.parameter;
  if (factor > 1 && coloured.width * factor == info.width &&
      coloured.height * factor == info.height) {
    return folded(at::upsample_nearest2d(tensor_of(coloured), {info.height, info.width}),
                  spec.fold);
  }
  const Tensor fitted = tensor_of(resize_to_fit(coloured, info.width, info.height));
  return folded(spec.rule && spec.rule->accept ? spec.rule->accept(fitted, spec.parameter) : fitted,
                spec.fold);
}

const ConditionSpec* find_condition(const ConditionSpecs& specs, const std::string& name) {
  for (const ConditionSpec& spec : specs) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

int64_t classes_of(const ConditionSpecs& specs) {
  const ConditionSpec* spec = find_condition(specs, kClass);
  return spec ? spec->classes : 0;
}

bool told_of_items(const ConditionSpecs& specs) {
  for (const ConditionSpec& spec : specs) {
    if (spec.kind != ConditionKind::label) return true;
  }
  return false;
}

const ConditionSpec* sequence_of(const ConditionSpecs& specs) {
  return find_condition(specs, kCaption);
}

Tensor sequence_among(const Tensors& conditions) {
  const auto found = conditions.find(kCaption);
  return found == conditions.end() ? Tensor() : found->second;
}

int64_t grid_channels(const ConditionSpecs& specs) {
  int64_t channels = 0;
  for (const ConditionSpec& spec : specs) channels += spec.channels;
  return channels;
}

Tensor labels_among(const Tensors& conditions) {
  const auto found = conditions.find(kClass);
  return found == conditions.end() ? Tensor() : found->second;
}

Tensor grids_among(const ConditionSpecs& specs, const Tensors& conditions) {
  std::vector<Tensor> grids;
  for (const ConditionSpec& spec : specs) {
    if (spec.kind != ConditionKind::grid) continue;
    const auto found = conditions.find(spec.name);
    if (found == conditions.end()) throw std::logic_error("no condition '" + spec.name + "'");
    grids.push_back(found->second);
  }
  return grids.empty() ? Tensor() : grids.size() == 1 ? grids[0] : at::cat(grids, 1);
}

}  // namespace genai
