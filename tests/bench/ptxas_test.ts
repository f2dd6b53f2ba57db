import { assertEquals } from "@std/assert";
import { type KernelResources, newSpills, parsePtxas } from "../../bench/ptxas.ts";

const text = `ptxas info    : 59 bytes gmem, 40 bytes cmem[4]
ptxas info    : Compiling entry function '_Z3addPf' for 'sm_80'
ptxas info    : Function properties for _Z3addPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 1024 bytes smem, 400 bytes cmem[0]
ptxas info    : Compile time = 1.234 ms
ptxas info    : Compiling entry function '_Z3mulPf' for 'sm_90a'
ptxas info    : Function properties for _Z3mulPf
    64 bytes stack frame, 24 bytes spill stores, 40 bytes spill loads
ptxas info    : Used 255 registers, used 0 barriers
`;

const [add, mul]: KernelResources[] = [
  { kernel: "_Z3addPf", target: "sm_80", registers: 32, shared: 1024, stack: 0, spills: 0 },
  { kernel: "_Z3mulPf", target: "sm_90a", registers: 255, shared: 0, stack: 64, spills: 64 },
];

Deno.test("ptxas: registers, shared memory, stack and spills of each kernel", () => {
  assertEquals(parsePtxas(text), [add, mul]);
});

Deno.test("ptxas: more spills than the baseline are new, on each target by itself", () => {
  assertEquals(newSpills([add, mul], [add, mul]), []);
  assertEquals(newSpills([add, mul], [{ ...mul, spills: 100 }]), []);
  assertEquals(newSpills([add, mul], [{ ...mul, spills: 8 }]), [
    "_Z3mulPf on sm_90a spills 64 bytes a thread, 8 before",
  ]);
  assertEquals(newSpills([mul], [{ ...mul, target: "sm_80" }]), [
    "_Z3mulPf on sm_90a spills 64 bytes a thread, 0 before",
  ]);
});
