// fault.cuh: what a kernel finds wrong with indices in device memory. It leaves a record, skips the bad
// access, and the next tk_stream_sync or tk_download reports the first record as an execution error.
#pragma once
#include <cstdint>
#include <string>

#include "gpu.cuh"

namespace tk {

enum FaultKind : int32_t {
  kNoFault,
  kFaultTokenId,      // index: token, value: id, bound: rows of the table
  kFaultRotation,     // index: token, value: position, bound: rows of cos_sin
  kFaultBlockTable,   // index: token, value: position, bound: positions that the block table covers
  kFaultOffsets,      // cu_seqlens is no ascending list from 0
  kFaultOffsetsEnd,   // value: end of cu_seqlens, bound: tokens
  kFaultSegments,     // bound: tokens
  kFaultCapacity,     // index: row, bound: capacity
  kFaultTarget,       // index: token, value: target, bound: vocabulary
  kFaultWord,         // value: index of a word, bound: words
};

struct Fault {
  int32_t kind, index, value, bound;
};

// The first thread that reports keeps the record.
DEV void report_fault(Fault* fault, FaultKind kind, int32_t index, int32_t value, int32_t bound) {
  if (atomicCAS(&fault->kind, static_cast<int32_t>(kNoFault), static_cast<int32_t>(kind)) != kNoFault) return;
  fault->index = index;
  fault->value = value;
  fault->bound = bound;
}

inline std::string fault_message(const Fault& fault) {
  const std::string index = std::to_string(fault.index), value = std::to_string(fault.value),
                    bound = std::to_string(fault.bound);
  switch (fault.kind) {
    case kFaultTokenId:
      return "embedding: token " + index + " has id " + value + ", but the table has " + bound + " rows";
    case kFaultRotation: return "token " + index + " has position " + value + ", but cos_sin ends at " + bound;
    case kFaultBlockTable:
      return "token " + index + " has position " + value + ", but the block table ends at " + bound;
    case kFaultOffsets: return "cu_seqlens must begin with 0 and never decrease";
    case kFaultOffsetsEnd: return "cu_seqlens ends at " + value + ", but there are " + bound + " tokens";
    case kFaultSegments: return "gae: segments must rise from 0 to " + bound + ", the number of tokens";
    case kFaultCapacity: return "row " + index + " has no room for more than " + bound + " tokens";
    case kFaultTarget:
      return "token " + index + " has target " + value + ", but the vocabulary has " + bound + " entries";
    case kFaultWord: return "word " + value + " is written, but there are " + bound;
    default: return "a kernel reported fault " + std::to_string(fault.kind);
  }
}

}  // namespace tk
