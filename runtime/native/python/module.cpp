#include <nanobind/nanobind.h>

#include "arrays.h"
#include "cpu.h"

namespace {

// (GFLOP/s, instructions)
std::pair<double, std::string> bound_fma_peak(int64_t runs) {
    const auto checked = static_cast<int>(pocketdet::python::check_range("runs", runs, 1, 10000));
    const nanobind::gil_scoped_release released;
    const pocketdet::FmaPeak peak = pocketdet::measure_fma_peak(checked);
    return {peak.gflops, peak.instructions};
}

}  // namespace

NB_MODULE(_core, module) {
    module.doc() =
        "The C++ core of pocketdet: everything around the network, as docs/reference/definitions.md defines it.\n\n"
        "Arrays are numpy, float32 unless named otherwise. Boxes are (x1, y1, x2, y2) pixels, sizes (height, width).\n"
        "A bad argument raises ValueError. All functions are pure, release the GIL and may run in several threads.";
    module.def("cpu_features", &pocketdet::cpu_features,
               "Names of this processor's SIMD extensions, such as 'avx2', 'fma', 'neon', 'dotprod'.");
    module.def(
        "fma_peak", &bound_fma_peak, nanobind::arg("runs") = 20,
        "The fastest that one thread multiplies and adds float32 registers: GFLOP/s, where a multiply-add is two,\n"
        "and the instructions that did it ('avx512f', 'avx2+fma', 'neon' or 'c++'). The best of `runs` runs of about\n"
        "a millisecond for each instruction set.");
    pocketdet::python::bind_boxes(module);
    pocketdet::python::bind_graph(module);
    pocketdet::python::bind_image(module);
    pocketdet::python::bind_nms(module);
    pocketdet::python::bind_one_stage(module);
    pocketdet::python::bind_stages(module);
}
