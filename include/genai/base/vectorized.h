// Loops that the compiler vectorizes for every x86-64 CPU of the last decade: one code path, so
// that --exact holds on all of them.
#pragma once

#if defined(__x86_64__)
#define GENAI_VECTORIZED __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define GENAI_VECTORIZED
#endif
