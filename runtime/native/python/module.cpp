#include <nanobind/nanobind.h>

#include "arrays.h"
#include "cpu.h"

NB_MODULE(_core, module) {
    module.doc() =
        "The C++ core of pocketdet: everything around the network, as docs/DEFINITIONS.md defines it.\n\n"
        "Arrays are numpy, float32 unless named otherwise. Boxes are (x1, y1, x2, y2) pixels, sizes (height, width).\n"
        "A bad argument raises ValueError. All functions are pure, release the GIL and may run in several threads.";
    module.def("cpu_features", &pocketdet::cpu_features,
               "Names of this processor's SIMD extensions, such as 'avx2', 'fma', 'neon', 'dotprod'.");
    pocketdet::python::bind_boxes(module);
    pocketdet::python::bind_image(module);
    pocketdet::python::bind_nms(module);
    pocketdet::python::bind_stages(module);
}
