// Do pictures show what their captions say? Of sets of things in places (data/scenes.h): each thing
// is cut out where its caption puts it and judged by a classifier of single things.
#pragma once
#include "genai/evaluation/extractor.h"
#include "genai/evaluation/result.h"
#include "genai/generation/generate.h"

namespace genai {

/// Is there a judge for models of this set that are told captions?
bool has_caption_judge(const LoadedModel& loaded, const DataInfo& info);

/// Samples number `first` on are told the captions of two things of the test items, one after the
/// other, whose pairs of kinds no training picture shows:
/// - caption_accuracy: share of samples in which both are seen where they should be;
/// - thing_accuracy: share of things seen where they should be.
/// Both with what the test pictures themselves get; the judge's name and accuracy on single things
/// stand in the protocol and the notes. The picture "captions" shows the first samples.
/// @param data    with test items
/// @param folder  of the data sets
/// Throws Error{data} where there are no such test items.
void measure_captions(const LoadedModel& loaded, const Dataset& data,
                      const std::filesystem::path& folder, int64_t first, int64_t count,
                      const Json& options, Evaluation& into, TrainObserver& observer,
                      const StageProgress& progress = {});

}  // namespace genai
