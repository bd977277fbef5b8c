#include "preprocessor.h"

#include <new>

#include "errors.h"
#include "image_file.h"

namespace pocketdet {

void check_image(const ImageView& image) {
    if (image.pixels == nullptr || image.width < 1 || image.height < 1) {
        throw ImageError("expected an image with pixels, found " + std::to_string(image.width) + " x " +
                         std::to_string(image.height));
    }
    check_image_size(static_cast<uint64_t>(image.width), static_cast<uint64_t>(image.height), "image");
}

Preprocessor::Preprocessor(const Manifest& manifest)
    : input_(manifest.input),
      rule_(manifest.preprocessing),
      normalise_(make_normalise_table(rule_.mean.data(), rule_.std.data())) {}

ResizeOptions Preprocessor::options() const { return {input_, rule_.resize, rule_.order, rule_.pad}; }

std::vector<uint8_t> Preprocessor::resize(const ImageView& image) {
    check_image(image);
    std::vector<uint8_t> out(size_t{3} * static_cast<size_t>(input_.height) * static_cast<size_t>(input_.width));
    resize_to_bytes(image, options(), workspace_, out.data());
    return out;
}

ncnn::Mat Preprocessor::run(const ImageView& image) {
    check_image(image);
    tensor_.create(input_.width, input_.height, 3);  // nothing to do but for the first time
    if (tensor_.empty()) throw std::bad_alloc();
    resize_to_planes(image, options(), normalise_, workspace_, tensor_, static_cast<std::ptrdiff_t>(tensor_.cstep));
    return tensor_;
}

}  // namespace pocketdet
