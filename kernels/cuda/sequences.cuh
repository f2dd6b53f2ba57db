// sequences.cuh: where the sequences of a packed batch begin and end.
#pragma once
#include "runtime.cuh"

namespace tk {

// Rows begin .. end - 1.
struct Sequence {
  int begin, end;
};

// cu_seqlens(B + 1) of `tokens` rows, on the device.
struct Sequences {
  const int32_t* cu;
  int B, tokens;
  Fault* fault;

  // The sequence that holds the row; {tokens, tokens} if the list is wrong and none does.
  DEV Sequence of(int row) const {
    int low = 0, high = B;  // cu[low] <= row < cu[high] in a correct list
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      if (cu[middle] <= row)
        low = middle;
      else
        high = middle;
    }
    const Sequence s{cu[low], min(cu[low + 1], tokens)};
    return s.begin >= 0 && s.begin <= row && row < s.end ? s : Sequence{tokens, tokens};
  }

  // The first block of the grid reports a wrong list.
  DEV void check() const {
    if (blockIdx.x + blockIdx.y + blockIdx.z > 0) return;
    for (int b = static_cast<int>(threadIdx.x); b < B; b += static_cast<int>(blockDim.x))
      if (cu[b] > cu[b + 1] || (b == 0 && cu[0] != 0)) report_fault(fault, kFaultOffsets, b, cu[b], cu[b + 1]);
    if (threadIdx.x == 0 && cu[B] != tokens) report_fault(fault, kFaultOffsetsEnd, B, cu[B], tokens);
  }
};

}  // namespace tk
