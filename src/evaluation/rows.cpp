#include "genai/evaluation/rows.h"

#include <ATen/ATen.h>

#include "genai/base/error.h"

namespace genai {

void check_rows(const Tensor& rows, std::string_view what, int64_t at_least, std::string_view why) {
  if (!rows.defined() || rows.dim() != 2 || rows.size(1) < 1 || rows.is_complex()) {
    fail(ErrorKind::data, what, ": expected a table of real numbers [items, features], found ",
         rows.defined() ? concat(rows.toString(), " ", rows.sizes()) : "nothing");
  }
  if (rows.size(0) < at_least) {
    fail(ErrorKind::data, what, ": expected at least ", at_least, " items, found ", rows.size(0),
         why.empty() ? "" : "; ", why);
  }
  if (!rows.is_floating_point()) return;
  const Tensor finite = at::isfinite(rows);
  if (finite.all().item<bool>()) return;
  const Tensor bad = finite.all(1).logical_not();
  fail(ErrorKind::data, what, ": expected finite numbers, found ", bad.sum().item<int64_t>(),
       " of ", rows.size(0), " items with a NaN or infinity, the first of them item ",
       bad.to(at::kByte).argmax().item<int64_t>(),
       "; find out which step made them (a diverged model gives such pictures)");
}

Tensor double_rows(const Tensor& rows, std::string_view what, int64_t at_least,
                   std::string_view why) {
  check_rows(rows, what, at_least, why);
  return rows.detach().to(at::kCPU, at::kDouble).contiguous();
}

void check_same_columns(const Tensor& a, std::string_view what_a, const Tensor& b,
                        std::string_view what_b) {
  if (a.size(1) == b.size(1)) return;
  fail(ErrorKind::data, what_a, " have ", a.size(1), " features an item, ", what_b, " have ",
       b.size(1), "; compare only what one and the same extractor made");
}

}  // namespace genai
