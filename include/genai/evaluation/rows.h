// Sets of items as tables: one row an item, one column a feature. What all metrics ask of them.
#pragma once
#include <string_view>

#include "genai/core/tensors.h"

namespace genai {

/// Throws Error{data}, naming the set by `what` ("samples"), unless rows are [n, d] of numbers, all
/// finite, with n >= at_least and d >= 1. `why` ends the message about too few rows.
void check_rows(const Tensor& rows, std::string_view what, int64_t at_least,
                std::string_view why = "");

/// Checked; float64, on the CPU, contiguous, without gradient.
Tensor double_rows(const Tensor& rows, std::string_view what, int64_t at_least,
                   std::string_view why = "");

/// Throws Error{data} unless both have as many columns.
void check_same_columns(const Tensor& a, std::string_view what_a, const Tensor& b,
                        std::string_view what_b);

}  // namespace genai
