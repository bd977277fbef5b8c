// Anchors, box coding, overlap.
#include <optional>

#include "anchors.h"
#include "arrays.h"

namespace pocketdet::python {

using namespace nb::literals;

static nb::object bound_make_anchors(Pair grid, double stride, nb::handle sizes) {
    const Size cells = check_size("grid", grid);
    const float step = check_positive("stride", stride);
    const ReadArray size_array =
        load_array(sizes, "sizes", nb::dtype<float>(), "a float32 array of shape (A, 2)", {-1, 2});
    const AnchorGrid anchor_grid{cells.height, cells.width, step, floats_of(size_array),
                                 static_cast<int>(size_array.shape(0))};
    check_range("grid cells x sizes", static_cast<int64_t>(anchor_grid.count()), 0, kMaxBoxes);
    Result<float> anchors({anchor_grid.count(), 4});
    {
        nb::gil_scoped_release released;
        make_anchors(anchor_grid, reinterpret_cast<Box*>(anchors.data()));
    }
    return anchors.release();
}

static nb::object bound_decode_boxes(nb::handle reference, nb::handle deltas, const std::array<double, 4>& std,
                                     const std::optional<Pair>& clip) {
    const ReadArray references = load_boxes(reference, "reference");
    const size_t count = references.shape(0);
    const ReadArray delta_array = load_boxes(deltas, "deltas", static_cast<int64_t>(count));
    const std::array<float, 4> std_values = check_finite("std", std, true);
    Size image{0, 0};
    if (clip) image = check_size("clip", *clip);
    Result<float> boxes({count, 4});
    {
        nb::gil_scoped_release released;
        decode_boxes(boxes_of(references), floats_of(delta_array), count, std_values.data(), clip ? &image : nullptr,
                     reinterpret_cast<Box*>(boxes.data()));
    }
    return boxes.release();
}

static nb::object bound_iou_matrix(nb::handle a, nb::handle b) {
    const ReadArray first = load_boxes(a, "a");
    const ReadArray second = load_boxes(b, "b");
    const size_t rows = first.shape(0);
    const size_t columns = second.shape(0);
    check_range("pairs of a and b", static_cast<int64_t>(rows * columns), 0, kMaxElements);
    Result<float> overlaps({rows, columns});
    {
        nb::gil_scoped_release released;
        iou_matrix(boxes_of(first), rows, boxes_of(second), columns, overlaps.data());
    }
    return overlaps.release();
}

void bind_boxes(nb::module_& module) {
    module.def("make_anchors", &bound_make_anchors, "grid"_a, "stride"_a, "sizes"_a,
               "Anchors of the sizes (A, 2), width and height in pixels, at each cell of a (height, width) grid.\n\n"
               "Returns (height * width * A, 4) boxes; anchor (y * width + x) * A + a is centred on\n"
               "((x + 0.5) * stride, (y + 0.5) * stride).");
    module.def(
        "decode_boxes", &bound_decode_boxes, "reference"_a, "deltas"_a, "std"_a, "clip"_a = nb::none(),
        "Boxes (N, 4) from reference boxes (N, 4) and deltas (N, 4), which are multiplied by `std` (4) first.\n\n"
        "Clipped to the image (height, width) unless `clip` is None. A NaN input gives NaN coordinates.");
    module.def("iou_matrix", &bound_iou_matrix, "a"_a, "b"_a,
               "Intersection over union of boxes (N, 4) with boxes (M, 4): (N, M); 0 where the union is not positive.");
}

}  // namespace pocketdet::python
