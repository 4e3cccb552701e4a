// What coding tells while it goes on.
#pragma once
#include <functional>

namespace genai {

/// Is told the share that is done, 0 to 1; may throw to end the work.
using CodingProgress = std::function<void(double)>;

}  // namespace genai
