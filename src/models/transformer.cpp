#include "genai/models/transformer.h"

#include "genai/models/sequence_model.h"
#include "genai/nn/transformer_network.h"
#include "genai/sampling/tokens.h"

namespace genai {

const EnumNames<Positions> kPositionsNames = {{Positions::learned, "learned"},
                                              {Positions::rotary, "rotary"}};
const EnumNames<NormKind> kNormKindNames = {{NormKind::layer, "layer"}, {NormKind::rms, "rms"}};
const EnumNames<MlpKind> kMlpNames = {{MlpKind::gelu, "gelu"},
                                      {MlpKind::gelu_tanh, "gelu-tanh"},
                                      {MlpKind::relu2, "relu2"},
                                      {MlpKind::swiglu, "swiglu"}};

namespace {

/// A table of all bigrams is at most so long; nobody asks, at most so long: 256 tokens,
/// which with the optimizer's moments are 134 MB at a width of 128.
constexpr int64_t kMostBigrams = int64_t{1} << 20, kMostUsualBigrams = int64_t{1} << 16;

bool with_bigrams(const TransformerConfig& config, const DataInfo& info) {
  const int64_t table = info.vocabulary() * info.vocabulary();
  return config.bigrams.value_or(info.tokenizer && table <= kMostUsualBigrams);
}

const FieldTable& transformer_fields() {
  static const FieldTable table =
      describe<TransformerConfig>()
          .field("layers", &TransformerConfig::layers, "blocks of attention and MLP",
                 between(1, 256))
          .field("heads", &TransformerConfig::heads, "of attention; must divide the width",
                 between(1, 256))
          .field("kv_heads", &TransformerConfig::kv_heads,
                 "heads of keys and values, each shared by several heads; 0: as many as heads",
                 between(0, 256))
          .field("width", &TransformerConfig::width, "numbers that stand for a token",
                 between(1, 16'384))
          .field("hidden", &TransformerConfig::hidden,
                 "numbers within an MLP; 0: 4 width, for swiglu 8/3 of it", between(0, 65'536))
          .field("positions", &TransformerConfig::positions, "how a token knows its place",
                 kPositionsNames)
          .field("norm", &TransformerConfig::norm, "layer norm or RMS norm", kNormKindNames)
          .field("mlp", &TransformerConfig::mlp, "what the MLPs do between their matrices",
                 kMlpNames)
          .field("qk_norm", &TransformerConfig::qk_norm, "queries and keys have length 1")
          .field("tied", &TransformerConfig::tied,
                 "the last layer is the table of the tokens' vectors")
          .field("bias", &TransformerConfig::bias, "linear layers and layer norms have biases")
          .field("bigrams", &TransformerConfig::bigrams,
                 "bigram embedding: adds a vector for each pair of a token and the one before it; "
                 "auto: for texts of 256 different tokens or less")
          .field("soft_cap", &TransformerConfig::soft_cap,
                 "logits are held within this by tanh; 0: free", at_least(0))
          .field("dropout", &TransformerConfig::dropout, "share of numbers dropped in training",
                 from_below(0, 1))
          .field("lora_rank", &TransformerConfig::lora_rank,
                 "with --init: trains low-rank changes of the blocks' matrices alone (LoRA); 0: "
                 "trains all",
                 between(0, 4096))
          .table();
  return table;
}

class TransformerModel : public torch::nn::Module, public SequenceModel {
 public:
  TransformerModel(const TransformerConfig& config, const DataInfo& info) : SequenceModel(info) {
    network_ =
        TransformerNetwork(transformer_shape(config, info), config.dropout, config.lora_rank);
  }

  // The network's own names are the checkpoint's.
  torch::nn::Module& module() override { return *network_; }

  std::vector<ParameterSet> parameter_sets() override {
    return {all_parameters(*network_,
                           [](const std::string& name) { return name.starts_with("blocks."); })};
  }

  std::vector<Phase> phases() override {
    return {{.name = "predict", .updates = "all", .draw = nullptr, .loss = [this](LossInput& in) {
               return Loss{.value = mean_loss(network_->forward(in.batch.input), in.batch),
                           .logs = {}};
             }}};
  }

  Tensor next_logits(const Tensor& tokens) override { return network_->forward(tokens); }

  std::unique_ptr<Decoder> decoder(int64_t streams, WeightFormat format, int threads) override {
    return make_decoder(network_->shape(), streams, weights_of(*network_), format, threads);
  }

 private:
  TransformerNetwork network_{nullptr};
};

}  // namespace

TransformerShape transformer_shape(const TransformerConfig& c, const DataInfo& info) {
  const int64_t kv_heads = c.kv_heads > 0 ? c.kv_heads : c.heads;
  // Rounded to whole groups of 32, for fast products and 8-bit weights.
  const int64_t swiglu = (8 * c.width / 3 + 31) / 32 * 32;
  const int64_t usual = c.mlp == MlpKind::swiglu ? swiglu : 4 * c.width;
  if (c.width % c.heads != 0) {
    fail(ErrorKind::usage, "model.heads: ", c.heads, " do not divide the width of ", c.width);
  }
  if (c.heads % kv_heads != 0) {
    fail(ErrorKind::usage, "model.kv_heads: ", kv_heads, " do not divide the ", c.heads, " heads");
  }
  if (c.positions == Positions::rotary && c.width / c.heads % 2 != 0) {
    fail(ErrorKind::usage, "model.positions: rotary ones turn pairs of numbers, but a head has ",
         c.width / c.heads, "; choose heads so that width / heads is even");
  }
  const bool bigrams = with_bigrams(c, info);
  if (bigrams && info.vocabulary() * info.vocabulary() > kMostBigrams) {
    fail(ErrorKind::usage, "model.bigrams: expected a vocabulary of 1024 tokens or less, '",
         info.source, "' has ", info.vocabulary(), "; leave it out (model.bigrams auto or false)");
  }
  return {.vocabulary = info.vocabulary(),
          .context = info.context,
          .layers = c.layers,
          .heads = c.heads,
          .kv_heads = kv_heads,
          .width = c.width,
          .hidden = c.hidden > 0 ? c.hidden : usual,
          .positions = c.positions,
          .norm = c.norm,
          .mlp = c.mlp,
          .qk_norm = c.qk_norm,
          .tied = c.tied,
          .bias = c.bias,
          .bigrams = bigrams,
          .soft_cap = c.soft_cap};
}

Family transformer_family() {
  return {.name = "transformer",
          .summary = "decoder-only transformer: writes text token by token",
          .reads = ItemKind::sequence,
          .offers = {{Capability::next_token}},
          .settings = transformer_fields(),
          .sampling = token_sampling_fields(),
          .make = [](const Json& settings, const ModelContext& context) -> std::unique_ptr<Model> {
            return std::make_unique<TransformerModel>(
                from_json<TransformerConfig>(transformer_fields(), settings, "model"),
                context.info);
          },
          .tiny = {{"layers", 2}, {"heads", 2}, {"width", 16}},
          .decide =
              [](Json& settings, const DataInfo& info) {
                auto config = from_json<TransformerConfig>(transformer_fields(), settings, "model");
                config.bigrams = with_bigrams(config, info);
                settings = write_fields(transformer_fields(), &config);
              }};
}

}  // namespace genai
