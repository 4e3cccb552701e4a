// What a request to train asks for, before any data are read: the family, the settings that a
// preset, a file or a stored run gives it, and the form that they fill.
#pragma once
#include "items-inl.h"
#include "jobs-inl.h"

namespace genai {

struct TrainWish {
  std::string model, config, out, resume, init;
  bool dry_run = false;
};
const FieldTable& train_fields();

/// The family that a request leads to, and the settings of its preset, file or stored run.
struct TrainPlan {
  const Family* family = nullptr;
  Settings settings;
  ItemKind items = ItemKind::grid;  // what the data are
  RunReference resumed;             // set when resuming
  bool resume = false;              // from a checkpoint
  std::string preset;               // of the run that is resumed or made
};
/// Throws Error{usage} or Error{data} where neither preset, file nor run says what to train.
TrainPlan make_plan(const TrainWish& wish, const JobContext& context);

/// Throws Error{usage}, naming presets that are, where the settings are for data of the other kind.
void check_items(const TrainPlan& plan, const Modality& modality, const std::string& source);

/// "request" alone, of a request that was not checked yet: what is wrong in it is told later.
TrainWish wish_of(const Settings& given);

RequestForm form_of_plan(const TrainPlan& plan);

}  // namespace genai
